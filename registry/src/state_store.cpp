#include <fusebox/registry/state_store.hpp>

#include <cerrno>
#include <cstddef>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <fusebox/text/file.hpp>

namespace fusebox {

std::expected<SavedBreakers, StateStoreError> MemoryStateStore::load_all() {
    const std::lock_guard lock{mutex_};
    return kept_;
}

std::expected<void, StateStoreError> MemoryStateStore::save(const SavedBreakers& changed) {
    const std::lock_guard lock{mutex_};
    for (const auto& [name, snapshot] : changed) kept_.insert_or_assign(name, snapshot);
    return {};
}

std::expected<void, StateStoreError> MemoryStateStore::remove(std::span<const std::string> names) {
    const std::lock_guard lock{mutex_};
    for (const auto& name : names) kept_.erase(name);
    return {};
}

namespace {

constexpr std::size_t max_bytes{64U << 20U};  // a breaker needs some hundred bytes

std::unexpected<StateStoreError> failed(const std::filesystem::path& path, std::string_view what, int code) {
    return std::unexpected(
        StateStoreError{fmt::format("{}: {}: {}", path.string(), what, std::generic_category().message(code))});
}

/// Closed when it goes.
class File {
public:
    File(const std::filesystem::path& path, int flags)
        : fd_(::open(path.c_str(), flags | O_CLOEXEC, 0600)), open_error_(fd_ < 0 ? errno : 0) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
        if (fd_ >= 0) ::close(fd_);
    }
    // Each gives 0, or what went wrong.
    [[nodiscard]] int open_error() const noexcept { return open_error_; }
    [[nodiscard]] int write(std::string_view text) const noexcept {
        while (!text.empty()) {
            const auto written = ::write(fd_, text.data(), text.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return errno;
            text.remove_prefix(static_cast<std::size_t>(written));
        }
        return 0;
    }
    [[nodiscard]] int sync() const noexcept { return ::fsync(fd_) == 0 ? 0 : errno; }

private:
    int fd_;
    int open_error_;
};

}  // namespace

FileStateStore::FileStateStore(std::filesystem::path path) : path_(std::move(path)) {}

std::expected<SavedBreakers, StateStoreError> FileStateStore::load_all() {
    kept_.reset();
    const auto content = text::read_file(path_, max_bytes);
    if (!content) {
        if (content.error().code == std::errc::no_such_file_or_directory ||
            content.error().code == std::errc::not_a_directory) {  // nothing was saved yet
            kept_.emplace();
            return *kept_;
        }
        return std::unexpected(StateStoreError{fmt::format("{}: {}", path_.string(), content.error().message)});
    }
    auto parsed = parse_state(*content);
    if (!parsed) {
        return std::unexpected(StateStoreError{fmt::format(
            "{}; the states of the breakers are neither loaded nor saved until this file is mended or moved away",
            describe(parsed.error(), path_.string()))});
    }
    kept_ = *std::move(parsed);
    return *kept_;
}

std::expected<void, StateStoreError> FileStateStore::need_loaded() {
    if (kept_) return {};
    if (auto loaded = load_all(); !loaded) return std::unexpected(loaded.error());
    return {};
}

std::expected<void, StateStoreError> FileStateStore::save(const SavedBreakers& changed) {
    if (auto loaded = need_loaded(); !loaded) return loaded;
    auto next = *kept_;
    for (const auto& [name, snapshot] : changed) next.insert_or_assign(name, snapshot);
    if (auto written = write(next); !written) return written;
    kept_ = std::move(next);
    return {};
}

std::expected<void, StateStoreError> FileStateStore::remove(std::span<const std::string> names) {
    if (auto loaded = need_loaded(); !loaded) return loaded;
    auto next = *kept_;
    for (const auto& name : names) next.erase(name);
    if (next.size() == kept_->size()) return {};
    if (auto written = write(next); !written) return written;
    kept_ = std::move(next);
    return {};
}

std::expected<void, StateStoreError> FileStateStore::write(const SavedBreakers& all) const {
    const auto folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path{"."};
    auto beside = path_;
    beside += ".new";
    if (std::error_code error; std::filesystem::create_directories(folder, error), error) {
        return failed(folder, "cannot be made", error.value());
    }
    const auto text = format_state(all);
    {
        // Always a file of our own making, with our mode: what a crash left there goes, and no link is followed.
        if (::unlink(beside.c_str()) != 0 && errno != ENOENT) return failed(beside, "cannot be written", errno);
        const File file{beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW};
        if (const int code = file.open_error()) return failed(beside, "cannot be written", code);
        if (const int code = file.write(text)) return failed(beside, "cannot be written", code);
        // Before the rename: a file whose name has come to the disk before its content would be empty after a crash.
        if (const int code = file.sync()) return failed(beside, "cannot be written", code);
    }
    if (::rename(beside.c_str(), path_.c_str()) != 0) return failed(path_, "cannot be replaced", errno);
    const File opened{folder, O_RDONLY | O_DIRECTORY};
    if (const int code = opened.open_error()) return failed(folder, "cannot be synced", code);
    if (const int code = opened.sync()) return failed(folder, "cannot be synced", code);
    return {};
}

}  // namespace fusebox
