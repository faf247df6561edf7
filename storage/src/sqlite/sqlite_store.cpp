#include <fusebox/storage/sqlite_store.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "rules.hpp"
#include "sqlite/connection.hpp"
#include "sqlite/group_commit.hpp"
#include "sqlite/read_pool.hpp"
#include "sqlite/rows.hpp"
#include "sqlite/schema.hpp"

namespace fusebox::storage {

using namespace fusebox::incidents;
using sqlite::Connection;
using sqlite::Failure;
using sqlite::Timeline;
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
void create_file(const std::filesystem::path& path) {
    create_folders(path.parent_path());
    // One thread at a time: closing a file drops every lock that this process has on the file, and another thread's
    // SQLite may hold one.
    static std::mutex mutex;
    const std::lock_guard lock{mutex};
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (file >= 0) {
        ::close(file);
    } else if (errno != EEXIST) {
        cannot_create(path, errno);
    }
}

/// " AND column IN (?, ?)"; nothing for an empty list.
template <class T>
void add_choice(std::string& sql, std::string_view column, const std::vector<T>& values) {
    if (values.empty()) return;
    sql += " AND ";
    sql += column;
    sql += " IN (?";
    for (std::size_t i = 1; i < values.size(); ++i) sql += ", ?";
    sql += ")";
}

std::string select(std::string_view columns, std::string_view rest) {
    return "SELECT " + std::string{columns} + " " + std::string{rest};
}

/// Removes the row that was read beyond the limit; such a row says that there is a next page.
template <class T>
void end_page(Page<T>& page, std::size_t limit) {
    if (page.items.size() <= limit) return;
    page.items.pop_back();
    page.next_cursor = rules::cursor_after(page.items.back());
}

Notification find_notification(Connection& connection, std::string_view id) {
    static const std::string sql = select(sqlite::notification_columns, "FROM outbox WHERE id = ?");
    auto query = connection.prepare(sql);
    if (!query.bind(id).step()) throw Failure{rules::no_such_notification(id)};
    return sqlite::read_notification(query);
}

}  // namespace

class SqliteStore::Impl {
public:
    explicit Impl(const SqliteOptions& options)
        : connection_(options.path, Connection::Mode::write, options.busy_timeout),
          writer_(connection_),
          readers_(options.path, options.busy_timeout, options.readers) {
        sqlite::migrate(connection_, options.path.string());
        if (!connection_.use_write_ahead_log())
            throw Failure{Kind::unavailable, "sqlite " + options.path.string() +
                                                 ": this file system cannot hold a write-ahead log (is it remote?)"};
        // Without a limit the log would keep the size that a burst of writes gave it.
        connection_.execute("PRAGMA journal_size_limit = 67108864");
        if (options.max_bytes > 0) {
            const auto pages = options.max_bytes / static_cast<std::uint64_t>(connection_.number("PRAGMA page_size"));
            connection_.execute(
                ("PRAGMA max_page_count = " + std::to_string(std::max<std::uint64_t>(pages, 1))).c_str());
        }
    }

    /// `work(connection)` in a transaction of its own.
    template <class Work>
    auto write(const RequestContext& context, Work work) -> StoreResult<std::invoke_result_t<Work, Connection&>> {
        using Value = std::invoke_result_t<Work, Connection&>;
        try {
            if constexpr (std::is_void_v<Value>) {
                writer_.run(work, context);
                return {};
            } else {
                Value value;
                writer_.run([&](Connection& connection) { value = work(connection); }, context);
                return value;
            }
        } catch (const Failure& failure) {
            return std::unexpected(failure.error());
        }
    }

    template <class Work>
    auto read(const RequestContext& context, Work work) -> StoreResult<std::invoke_result_t<Work, Connection&>> {
        try {
            const sqlite::ReadPool::Loan loan{readers_, context};
            const Connection::Within within{*loan, context, Connection::Interrupt::waiting_and_running};
            return work(*loan);
        } catch (const Failure& failure) {
            return std::unexpected(failure.error());
        }
    }

private:
    Connection connection_;
    sqlite::GroupCommit writer_;
    sqlite::ReadPool readers_;
};

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

StoreResult<std::unique_ptr<SqliteStore>> SqliteStore::open(const SqliteOptions& options) {
    const auto refuse = [](std::string why) { return std::unexpected(rules::error(Kind::invalid, std::move(why))); };
    if (options.path.empty()) return refuse("sqlite: the path is empty");
    if (options.path == ":memory:") return refuse("sqlite: a database in memory is called \"memory:\" here");
    if (options.busy_timeout <= options.busy_timeout.zero()) return refuse("sqlite: busy_timeout must be above 0");
    if (options.readers == 0) return refuse("sqlite: readers must be at least 1");
    try {
        create_file(options.path);
        return std::unique_ptr<SqliteStore>{new SqliteStore{std::make_unique<Impl>(options)}};
    } catch (const Failure& failure) {
        return std::unexpected(failure.error());
    }
}

StoreResult<void> SqliteStore::commit(std::span<const IncidentWrite> writes, const RequestContext& context) {
    std::vector<Incident> whole;
    std::vector<sqlite::IncidentRow> rows;  // made before the writer's turn: only SQLite's work is done under it
    whole.reserve(writes.size());
    rows.reserve(writes.size());
    try {
        for (const auto& write : writes) {
            if (auto bad = rules::check(write)) return std::unexpected(*std::move(bad));
            whole.push_back(write.incident);
            whole.back().timeline.clear();
            if (write.incident.version > 0) {
                auto before = get(write.incident.id, context);
                if (!before && before.error().kind != Kind::not_found)
                    return std::unexpected(std::move(before.error()));
                if (before) whole.back().timeline = std::move(before->timeline);
            }
            auto& timeline = whole.back().timeline;
            timeline.insert(timeline.end(), write.events.begin(), write.events.end());
            truncate_timeline(timeline, write.max_timeline);
            rows.emplace_back(whole.back());
        }
    } catch (const Failure& failure) {
        return std::unexpected(failure.error());
    }
    auto stored = impl_->write(context, [&](Connection& connection) {
        for (std::size_t i = 0; i < writes.size(); ++i) {
            rows[i].write(connection);
            for (const auto& draft : writes[i].notifications)
                if (!sqlite::insert_notification(connection, draft))
                    throw Failure{rules::duplicate_notification(draft.id)};
        }
    });
    return stored;
}

StoreResult<Incident> SqliteStore::get(std::string_view id, const RequestContext& context) {
    static const std::string sql = select(sqlite::incident_columns, ", timeline FROM incidents WHERE id = ?");
    return impl_->read(context, [&](Connection& connection) {
        auto query = connection.prepare(sql);
        if (!query.bind(id).step()) throw Failure{rules::no_such_incident(id)};
        return sqlite::read_incident(query, Timeline::selected);
    });
}

StoreResult<std::map<std::string, Incident, std::less<>>> SqliteStore::latest_by_fingerprints(
    std::span<const std::string> fingerprints, const RequestContext& context) {
    static const std::string sql = select(sqlite::incident_columns,
                                          ", timeline FROM incidents WHERE fingerprint = ? ORDER BY"
                                          " state IN ('resolved', 'closed'), created_at DESC, id DESC LIMIT 1");
    return impl_->read(context, [&](Connection& connection) {
        std::map<std::string, Incident, std::less<>> found;
        for (const auto& fingerprint : fingerprints) {
            auto query = connection.prepare(sql);
            if (!query.bind(fingerprint).step()) continue;
            auto& timeline = found.insert_or_assign(fingerprint, sqlite::read_incident(query, Timeline::selected))
                                 .first->second.timeline;
            if (timeline.size() > latest_events)
                timeline.erase(timeline.begin(), timeline.end() - static_cast<std::ptrdiff_t>(latest_events));
        }
        return found;
    });
}

StoreResult<std::vector<std::string>> SqliteStore::note_sightings(std::span<const Sighting> sightings,
                                                                  const RequestContext& context) {
    return impl_->write(context, [&](Connection& connection) {
        std::vector<std::string> missed;
        for (const auto& sighting : sightings) {
            connection.prepare("UPDATE incidents SET alert_count = ? WHERE id = ? AND version = ?")
                .bind(static_cast<std::int64_t>(sighting.alert_count))
                .bind(sighting.incident_id)
                .bind(static_cast<std::int64_t>(sighting.version))
                .run();
            if (connection.changes() == 0) missed.push_back(sighting.incident_id);
        }
        return missed;
    });
}

StoreResult<std::vector<std::string>> SqliteStore::expiring(WallTime /*before*/, std::size_t /*limit*/,
                                                            const RequestContext& /*context*/) {
    return std::vector<std::string>{};
}

StoreResult<std::vector<std::string>> SqliteStore::resolved_before(WallTime before, std::size_t limit,
                                                                   const RequestContext& context) {
    return impl_->read(context, [&](Connection& connection) {
        auto query = connection.prepare(
            "SELECT id FROM incidents WHERE state = 'resolved' AND resolved_at <= ? ORDER BY resolved_at LIMIT ?");
        query.bind(before).bind(static_cast<std::int64_t>(limit));
        std::vector<std::string> ids;
        while (query.step()) ids.emplace_back(query.text(0));
        return ids;
    });
}

StoreResult<PruneCounts> SqliteStore::prune(const PruneQuery& /*query*/, const RequestContext& /*context*/) {
    return PruneCounts{};
}

StoreResult<Page<Incident>> SqliteStore::list(const IncidentQuery& query, const RequestContext& context) {
    const auto start = rules::start_of(query);
    if (!start) return std::unexpected(start.error());

    std::string sql = select(sqlite::incident_columns, "FROM incidents WHERE true");
    if (*start) sql += " AND (created_at, id) < (?, ?)";
    add_choice(sql, "state", query.states);
    add_choice(sql, "severity", query.severities);
    for (std::size_t i = 0; i < query.labels.size(); ++i)
        sql += " AND EXISTS (SELECT 1 FROM json_each(labels) WHERE key = ? AND value = ?)";
    if (!query.text.empty()) sql += " AND instr(lower(title), ?) > 0";
    sql += " ORDER BY created_at DESC, id DESC LIMIT ?";

    return impl_->read(context, [&](Connection& connection) {
        auto rows = connection.prepare(sql);
        if (*start) rows.bind((*start)->created_at).bind((*start)->id);
        for (const auto state : query.states) rows.bind(to_string(state));
        for (const auto severity : query.severities) rows.bind(to_string(severity));
        for (const auto& [name, value] : query.labels) rows.bind(name).bind(value);
        if (!query.text.empty()) rows.bind(rules::fold_case(query.text));
        rows.bind(static_cast<std::int64_t>(query.limit + 1));
        Page<Incident> page;
        while (rows.step()) page.items.push_back(sqlite::read_incident(rows, Timeline::left_out));
        end_page(page, query.limit);
        return page;
    });
}

StoreResult<std::map<IncidentState, std::uint64_t>> SqliteStore::incident_counts(const RequestContext& context) {
    return impl_->read(context, [](Connection& connection) {
        // The index holds the state, so SQLite reads the index alone and no incident.
        auto rows =
            connection.prepare("SELECT state, count(*) FROM incidents INDEXED BY incidents_by_age GROUP BY state");
        std::map<IncidentState, std::uint64_t> counts;
        while (rows.step()) {
            const auto state = incident_state_from_string(rows.text(0));
            if (!state) throw Failure{Kind::corrupt, "an incident has the unknown state " + std::string{rows.text(0)}};
            counts[*state] = static_cast<std::uint64_t>(rows.number(1));
        }
        return counts;
    });
}

StoreResult<void> SqliteStore::check_writable(const RequestContext& context) {
    return impl_->write(context, [](Connection& connection) {
        // The insertion fails where the file or the log has no room; the deletion gives the room back.
        connection.execute("INSERT INTO write_test VALUES (zeroblob(32768)); DELETE FROM write_test");
    });
}

StoreResult<std::vector<Notification>> SqliteStore::lease(std::string_view destination, WallTime now,
                                                          std::chrono::milliseconds lease_for, std::size_t limit,
                                                          const RequestContext& context) {
    static const std::string sql =
        "UPDATE outbox SET state = 'leased', lease_token = ?, lease_until = ? WHERE sequence IN ("
        " SELECT row.sequence FROM outbox AS row INDEXED BY outbox_waiting"
        " WHERE row.destination = ? AND row.state IN ('pending', 'leased') AND row.due_at <= ? AND NOT EXISTS ("
        "  SELECT 1 FROM outbox AS earlier INDEXED BY outbox_by_incident WHERE earlier.incident_id = row.incident_id"
        "  AND earlier.destination = row.destination AND earlier.state IN ('pending', 'leased')"
        "  AND earlier.sequence < row.sequence)"
        " ORDER BY row.sequence LIMIT ?) RETURNING " +
        std::string{sqlite::notification_columns};
    const std::string token = new_id("lease", now);
    return impl_->write(context, [&](Connection& connection) {
        auto rows = connection.prepare(sql);
        rows.bind(token).bind(WallTime{now + lease_for}).bind(destination).bind(now);
        rows.bind(static_cast<std::int64_t>(limit));
        std::vector<Notification> leased;
        while (rows.step()) leased.push_back(sqlite::read_notification(rows));
        std::ranges::sort(leased, {}, &Notification::sequence);  // RETURNING promises no order
        return leased;
    });
}

StoreResult<void> SqliteStore::settle(std::string_view id, std::string_view lease_token, const DeliveryResult& result,
                                      const RequestContext& context) {
    return impl_->write(context, [&](Connection& connection) {
        Notification row = find_notification(connection, id);
        if (auto settled = rules::settle(row, lease_token, result); !settled) throw Failure{settled.error()};
        sqlite::update_notification(connection, row);
    });
}

StoreResult<std::optional<WallTime>> SqliteStore::next_due(std::string_view destination,
                                                           const RequestContext& context) {
    return impl_->read(context, [&](Connection& connection) -> std::optional<WallTime> {
        auto query = connection.prepare(
            "SELECT row.due_at FROM outbox AS row INDEXED BY outbox_due"
            " WHERE row.destination = ? AND row.state IN ('pending', 'leased') AND NOT EXISTS ("
            "  SELECT 1 FROM outbox AS earlier INDEXED BY outbox_by_incident"
            "  WHERE earlier.incident_id = row.incident_id AND earlier.destination = row.destination"
            "  AND earlier.state IN ('pending', 'leased') AND earlier.sequence < row.sequence)"
            " ORDER BY row.due_at LIMIT 1");
        if (!query.bind(destination).step()) return std::nullopt;
        return query.time(0);
    });
}

StoreResult<Notification> SqliteStore::get_notification(std::string_view id, const RequestContext& context) {
    return impl_->read(context, [&](Connection& connection) { return find_notification(connection, id); });
}

StoreResult<Page<Notification>> SqliteStore::list_notifications(const NotificationQuery& query,
                                                                const RequestContext& context) {
    const auto start = rules::start_of(query);
    if (!start) return std::unexpected(start.error());

    std::string sql = select(sqlite::notification_columns, "FROM outbox WHERE true");
    if (*start) sql += " AND sequence < ?";
    if (query.state) sql += " AND state = ?";
    if (!query.incident_id.empty()) sql += " AND incident_id = ?";
    if (!query.destination.empty()) sql += " AND destination = ?";
    sql += " ORDER BY sequence DESC LIMIT ?";

    return impl_->read(context, [&](Connection& connection) {
        auto rows = connection.prepare(sql);
        if (*start) rows.bind(static_cast<std::int64_t>(**start));
        if (query.state) rows.bind(to_string(*query.state));
        if (!query.incident_id.empty()) rows.bind(query.incident_id);
        if (!query.destination.empty()) rows.bind(query.destination);
        rows.bind(static_cast<std::int64_t>(query.limit + 1));
        Page<Notification> page;
        while (rows.step()) page.items.push_back(sqlite::read_notification(rows));
        end_page(page, query.limit);
        return page;
    });
}

StoreResult<Notification> SqliteStore::replay(std::string_view id, WallTime now, const RequestContext& context) {
    return impl_->write(context, [&](Connection& connection) {
        Notification row = find_notification(connection, id);
        if (auto replayed = rules::replay(row, now); !replayed) throw Failure{replayed.error()};
        sqlite::update_notification(connection, row);
        return row;
    });
}

StoreResult<void> SqliteStore::enqueue(const NotificationDraft& draft, const RequestContext& context) {
    if (auto bad = rules::check(draft)) return std::unexpected(*std::move(bad));
    return impl_->write(context, [&](Connection& connection) { sqlite::insert_notification(connection, draft); });
}

StoreResult<std::map<std::string, std::map<NotificationState, std::uint64_t>>> SqliteStore::counts(
    const RequestContext& context) {
    return impl_->read(context, [](Connection& connection) {
        auto rows = connection.prepare("SELECT destination, state, count(*) FROM outbox GROUP BY destination, state");
        std::map<std::string, std::map<NotificationState, std::uint64_t>> counts;
        while (rows.step()) {
            const auto state = notification_state_from_string(rows.text(1));
            if (!state)
                throw Failure{Kind::corrupt, "an outbox row has the unknown state " + std::string{rows.text(1)}};
            counts[std::string{rows.text(0)}][*state] = static_cast<std::uint64_t>(rows.number(2));
        }
        return counts;
    });
}

}  // namespace fusebox::storage
