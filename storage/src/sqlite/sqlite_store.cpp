#include <fusebox/storage/sqlite_store.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>

#include "rules.hpp"
#include "sqlite/schema.hpp"
#include "sqlite/store_impl.hpp"

namespace fusebox::storage {

using namespace fusebox::incidents;
using sqlite::Connection;
using sqlite::Failure;
using Kind = StoreError::Kind;

namespace {

[[noreturn]] void cannot_create(const std::filesystem::path& path, int error) {
    throw Failure{Kind::unavailable, "cannot create " + path.string() + ": " + std::generic_category().message(error)};
}

void create_folders(const std::filesystem::path& folder) {
    std::filesystem::path made;
    for (const auto& part : folder) {
        made /= part;
        std::error_code ignored;  // the errno of mkdir says more
        if (std::filesystem::is_directory(made, ignored)) continue;
        if (::mkdir(made.c_str(), S_IRWXU) != 0 && errno != EEXIST) cannot_create(made, errno);
    }
}

/// Creates the file with access for the owner only; SQLite gives the files that it adds beside this one the same mode.
/// False: it was there.
bool create_file(const std::filesystem::path& path) {
    create_folders(path.parent_path());
    // One thread at a time: closing a file drops every lock that this process has on the file, and another thread's
    // SQLite may hold one.
    static std::mutex mutex;
    const std::lock_guard lock{mutex};
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file < 0 && errno == EEXIST) return false;
    if (file < 0) cannot_create(path, errno);
    ::close(file);
    return true;
}

/// The path stands in what is said of opening and copying, which the log and the command line show; not in what is said
/// of requests, which clients see.
StoreError about(const std::filesystem::path& path, StoreError error) {
    if (!error.message.contains(path.string())) error.message = path.string() + ": " + error.message;
    return error;
}

/// Makes sure that a name in a folder survives a power cut.
void sync_folder(const std::filesystem::path& folder) {
    const int file = ::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0) return;
    ::fsync(file);
    ::close(file);
}

/// What gives the file back to the disk after `prune`. Old files need their pages ordered anew for it once, which also
/// gives back the room of the tables that an upgrade has replaced. Where that cannot be done now (no room, another
/// process), all else works: free pages are then kept for new rows, and the next start tries again.
void order_for_giving_back(Connection& connection, std::vector<std::string>& said) {
    constexpr std::int64_t incremental = 2;
    if (connection.number("PRAGMA auto_vacuum") == incremental) return;
    try {
        connection.execute("VACUUM");
        said.emplace_back("the file was rewritten, so that it can shrink");
    } catch (const Failure& failure) {
        said.push_back("the file could not be rewritten and will not shrink: " + failure.error().message);
    }
}

}  // namespace

SqliteStore::Impl::Impl(const SqliteOptions& options)
    : connection_(options.path, Connection::Mode::write, options.busy_timeout),
      writer_(connection_),
      readers_(options.path, options.busy_timeout, options.readers),
      readers_for_people_(options.path, options.busy_timeout, options.readers_for_people) {
    connection_.execute("PRAGMA auto_vacuum = INCREMENTAL");  // before the first table; old files: see below
    upgrades_ = sqlite::migrate(connection_);
    if (!connection_.use_write_ahead_log())
        throw Failure{Kind::unavailable, "this file system cannot hold a write-ahead log (is it remote?)"};
    // Without a limit the log would keep the size that a burst of writes gave it. Pages that many writes change go from
    // the log to the file once per 16 MiB of log.
    connection_.execute("PRAGMA journal_size_limit = 67108864; PRAGMA wal_autocheckpoint = 4096");
    order_for_giving_back(connection_, upgrades_);
    if (options.max_bytes > 0) {
        const auto pages = options.max_bytes / static_cast<std::uint64_t>(connection_.number("PRAGMA page_size"));
        connection_.execute(("PRAGMA max_page_count = " + std::to_string(std::max<std::uint64_t>(pages, 1))).c_str());
    }
}

std::optional<std::string> SqliteStore::Impl::damage() const {
    const std::lock_guard lock{mutex_};
    return damage_;
}

void SqliteStore::Impl::note_damage(std::string what) {
    const std::lock_guard lock{mutex_};
    damage_ = std::move(what);
}

void SqliteStore::Impl::note_failed(const StoreError& error) {
    if (error.kind == Kind::corrupt) note_damage(error.message);
}

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

StoreResult<std::unique_ptr<SqliteStore>> SqliteStore::open(const SqliteOptions& options) {
    const auto refuse = [](std::string why) { return std::unexpected(rules::error(Kind::invalid, std::move(why))); };
    if (options.path.empty()) return refuse("sqlite: the path is empty");
    if (options.path == ":memory:") return refuse("sqlite: a database in memory is called \"memory:\" here");
    if (options.busy_timeout <= options.busy_timeout.zero()) return refuse("sqlite: busy_timeout must be above 0");
    if (options.readers == 0 || options.readers_for_people == 0) return refuse("sqlite: readers must be at least 1");
    try {
        create_file(options.path);
        return std::unique_ptr<SqliteStore>{new SqliteStore{std::make_unique<Impl>(options)}};
    } catch (const Failure& failure) {
        return std::unexpected(about(options.path, failure.error()));
    }
}

StoreResult<void> SqliteStore::back_up(const std::filesystem::path& from, const std::filesystem::path& to,
                                       const RequestContext& context) {
    const auto fail = [](const std::filesystem::path& path, Kind kind, std::string why) {
        return std::unexpected(about(path, rules::error(kind, std::move(why))));
    };
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(from, ignored)) return fail(from, Kind::not_found, "there is no such file");
    if (std::filesystem::exists(to, ignored)) return fail(to, Kind::invalid, "exists already and was left as it is");
    // The copy gets its name when it is whole.
    auto part = to;
    part += "." + new_id("part", std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()));
    const auto remove = [&] { std::filesystem::remove(part, ignored); };
    try {
        constexpr std::chrono::seconds busy_timeout{5};
        {
            Connection source{from, Connection::Mode::read_only, busy_timeout};
            const Connection::Within within{source, context, Connection::Interrupt::waiting};
            sqlite::check_owner(source);
            create_file(part);
            Connection copy{part, Connection::Mode::write, busy_timeout};
            source.copy_to(copy);
        }
        // link() and not rename(), which would replace a file that has come there meanwhile.
        if (::link(part.c_str(), to.c_str()) != 0) {
            const int error = errno;
            remove();
            return fail(to, Kind::unavailable, "cannot be created: " + std::generic_category().message(error));
        }
        remove();
        sync_folder(to.parent_path());
        return {};
    } catch (const Failure& failure) {
        remove();
        return std::unexpected(about(failure.error().kind == Kind::corrupt ? from : to, failure.error()));
    }
}

std::vector<std::string> SqliteStore::upgrades() const { return impl_->upgrades(); }

std::optional<std::string> SqliteStore::damage() const { return impl_->damage(); }

StoreResult<void> SqliteStore::check_writable(const RequestContext& context) {
    return impl_->write(context, [](Connection& connection) {
        // The insertion fails where the file or the log has no room; the deletion gives the room back.
        connection.execute("INSERT INTO write_test VALUES (zeroblob(32768)); DELETE FROM write_test");
    });
}

}  // namespace fusebox::storage
