// SqliteStore as an IncidentStore.
#include <algorithm>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "rules.hpp"
#include "sqlite/incident_list.hpp"
#include "sqlite/incident_rows.hpp"
#include "sqlite/outbox_rows.hpp"
#include "sqlite/store_impl.hpp"

namespace fusebox::storage {

using namespace fusebox::incidents;
using sqlite::Connection;
using sqlite::Failure;

namespace {

std::string select_incident(std::string_view where) {
    return "SELECT " + std::string{sqlite::incident_columns} + " FROM " + std::string{sqlite::incident_tables} +
           " WHERE " + std::string{where};
}

std::vector<std::string> ids(Connection& connection, std::string_view sql, WallTime before, std::size_t limit) {
    auto rows = connection.prepare(sql);
    rows.bind(before).bind(static_cast<std::int64_t>(limit));
    std::vector<std::string> found;
    while (rows.step()) found.emplace_back(rows.text(0));
    return found;
}

/// Gives pages that hold nothing back to the disk; some stay for the rows to come.
void give_back(Connection& connection) {
    constexpr std::int64_t kept = 1024;          // 4 MiB
    constexpr std::int64_t most_at_once = 2048;  // pages are moved for it, so one call gives back 8 MiB at most
    const auto free = connection.number("PRAGMA freelist_count");
    if (free <= kept) return;
    connection.execute(
        ("PRAGMA incremental_vacuum(" + std::to_string(std::min(free - kept, most_at_once)) + ")").c_str());
}

}  // namespace

StoreResult<void> SqliteStore::commit(std::span<const IncidentWrite> writes, const RequestContext& context) {
    std::vector<sqlite::IncidentRow> rows;  // made before the writer's turn: only SQLite's work is done under it
    rows.reserve(writes.size());
    try {
        for (const auto& write : writes) {
            if (auto bad = rules::check(write)) return std::unexpected(*std::move(bad));
            rows.emplace_back(write);
        }
    } catch (const Failure& failure) {
        return std::unexpected(failure.error());
    }
    return impl_->write(context, [&](Connection& connection) {
        sqlite::NewRows added;
        for (const auto& row : rows) row.write(connection, added);
        added.count(connection);
    });
}

StoreResult<Incident> SqliteStore::get(std::string_view id, const RequestContext& context) {
    static const std::string sql = select_incident("row.id = ?");
    return impl_->read(context, [&](Connection& connection) {
        const Connection::Snapshot snapshot{connection};
        auto row = connection.prepare(sql);
        if (!row.bind(id).step()) throw Failure{rules::no_such_incident(id)};
        Incident incident = sqlite::read_incident(row);
        constexpr auto all = static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max());
        incident.timeline = sqlite::read_timeline(connection, row.number(0), all);
        return incident;
    });
}

StoreResult<std::map<std::string, Incident, std::less<>>> SqliteStore::latest_by_fingerprints(
    std::span<const std::string> fingerprints, const RequestContext& context) {
    // Each is one search of a small index. Prepared once and run per fingerprint: without a network between, that is
    // quicker than one statement over a list of them.
    static const std::string open = select_incident("row.fingerprint = ? AND row.state < 4");
    static const std::string ended =
        select_incident("row.fingerprint = ? AND row.state >= 4 ORDER BY row.created_at DESC, row.key DESC LIMIT 1");
    return impl_->read(context, [&](Connection& connection) {
        const Connection::Snapshot snapshot{connection};
        std::map<std::string, Incident, std::less<>> found;
        auto find_open = connection.prepare(open);
        auto find_ended = connection.prepare(ended);
        for (const auto& fingerprint : fingerprints) {
            if (found.contains(fingerprint)) continue;
            auto* row = &find_open.again().bind(fingerprint);
            if (!row->step()) {
                row = &find_ended.again().bind(fingerprint);
                if (!row->step()) continue;
            }
            Incident incident = sqlite::read_incident(*row);
            incident.timeline = sqlite::read_timeline(connection, row->number(0), latest_events);
            found.emplace(fingerprint, std::move(incident));
        }
        return found;
    });
}

StoreResult<std::vector<std::string>> SqliteStore::note_sightings(std::span<const Sighting> sightings,
                                                                  const RequestContext& context) {
    if (sightings.empty()) return {};
    return impl_->write(context, [&](Connection& connection) {
        std::vector<std::string> missed;
        for (const auto& sighting : sightings)
            if (!sqlite::note_sighting(connection, sighting)) missed.push_back(sighting.incident_id);
        return missed;
    });
}

StoreResult<std::vector<std::string>> SqliteStore::expiring(WallTime before, std::size_t limit,
                                                            const RequestContext& context) {
    return impl_->read(context, [&](Connection& connection) {
        return ids(connection,
                   "SELECT row.id FROM sightings AS seen INDEXED BY sightings_by_expiry"
                   " CROSS JOIN incidents AS row ON row.key = seen.incident"
                   " WHERE seen.expires_at <= ? ORDER BY seen.expires_at LIMIT ?",
                   before, limit);
    });
}

StoreResult<std::vector<std::string>> SqliteStore::resolved_before(WallTime before, std::size_t limit,
                                                                   const RequestContext& context) {
    return impl_->read(context, [&](Connection& connection) {
        return ids(connection,
                   "SELECT id FROM incidents INDEXED BY incidents_resolved"
                   " WHERE state = 4 AND resolved_at <= ? ORDER BY resolved_at LIMIT ?",
                   before, limit);
    });
}

StoreResult<PruneCounts> SqliteStore::prune(const PruneQuery& query, const RequestContext& context) {
    return impl_->write(context, [&](Connection& connection) {
        PruneCounts counts;
        counts.notifications = sqlite::prune_notifications(connection, query.notifications_before, query.limit);
        counts.incidents =
            sqlite::prune_incidents(connection, query.incidents_before, query.limit, counts.notifications);
        give_back(connection);
        return counts;
    });
}

StoreResult<Page<Incident>> SqliteStore::list(const IncidentQuery& query, const RequestContext& context) {
    const auto start = rules::start_of(query);
    if (!start) return std::unexpected(start.error());
    std::optional<std::string> unreadable;
    auto page = impl_->read(
        context, [&](Connection& connection) { return sqlite::list_incidents(connection, query, *start, unreadable); });
    if (unreadable) impl_->note_damage(*std::move(unreadable));
    return page;
}

StoreResult<std::map<IncidentState, std::uint64_t>> SqliteStore::incident_counts(const RequestContext& context) {
    return impl_->read(context, [](Connection& connection) {
        auto rows = connection.prepare("SELECT state, incidents FROM incident_counts WHERE state BETWEEN 0 AND 5");
        std::map<IncidentState, std::uint64_t> counts;
        while (rows.step())
            if (rows.number(1) > 0)
                counts[static_cast<IncidentState>(rows.number(0))] = static_cast<std::uint64_t>(rows.number(1));
        return counts;
    });
}

}  // namespace fusebox::storage
