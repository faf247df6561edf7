// Incidents as rows: what changes seldom, what repeats change, the timeline, the labels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sqlite/connection.hpp"
#include "sqlite/new_rows.hpp"

namespace fusebox::storage::sqlite {

/// Every column but the timeline, in the order in which `read_incident` reads, of `incident_tables`.
inline constexpr std::string_view incident_columns =
    "row.key, row.id, row.title, row.state, row.severity, row.labels, row.annotations, row.source, row.fingerprint, "
    "row.created_at, row.updated_at, row.alert_starts_at, row.resolved_at, row.version, row.notified, "
    "seen.alert_count, seen.last_seen, seen.firings";
inline constexpr std::string_view incident_tables =
    "incidents AS row LEFT JOIN sightings AS seen ON seen.incident = row.key";
/// Without its timeline. Throws `Failure`: `corrupt` where a column holds a value that no store writes.
[[nodiscard]] incidents::Incident read_incident(const Statement& row);

/// The latest events of an incident, oldest first; at most `limit`.
[[nodiscard]] std::vector<incidents::TimelineEvent> read_timeline(Connection& connection, std::int64_t incident,
                                                                  std::size_t limit);

/// A write with its text columns made, ready to be stored. Throws `Failure`: `invalid` for text that is not UTF-8.
class IncidentRow {
public:
    explicit IncidentRow(const incidents::IncidentWrite& write);
    /// Stores the incident with `incident.version + 1`, its new events and its notifications. Throws `Failure`:
    /// `conflict`.
    void write(Connection& connection, NewRows& added) const;

private:
    std::int64_t insert(Connection& connection, NewRows& added) const;
    std::int64_t update(Connection& connection) const;
    void write_labels(Connection& connection, std::int64_t incident) const;
    void write_sighting(Connection& connection, std::int64_t incident) const;
    Statement& bind_columns(Statement& statement) const;

    const incidents::IncidentWrite& write_;
    std::string labels_;
    std::string annotations_;
    std::string notified_;
    std::string firings_;
};

/// Stores what repeats said. False: the incident is gone or at another version, and nothing was stored.
bool note_sighting(Connection& connection, const incidents::Sighting& sighting);

/// Removes up to `limit` incidents that have ended and have not changed after `before`, with all that hangs on them.
/// Gives how many incidents, and adds the notifications that went with them to `notifications`.
std::uint64_t prune_incidents(Connection& connection, incidents::WallTime before, std::size_t limit,
                              std::uint64_t& notifications);

}  // namespace fusebox::storage::sqlite
