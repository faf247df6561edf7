// Incidents and notifications as rows.
#pragma once

#include <string>
#include <string_view>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// Every column but the timeline, in the order in which `read_incident` reads; the timeline follows where it is
/// selected.
inline constexpr std::string_view incident_columns =
    "id, title, state, severity, labels, annotations, source, fingerprint, created_at, updated_at, alert_starts_at, "
    "resolved_at, alert_count, version, notified";
enum class Timeline : std::uint8_t { left_out, selected };
/// Throws `Failure`: `corrupt` where a column holds a value that no store writes.
[[nodiscard]] incidents::Incident read_incident(const Statement& row, Timeline timeline);

/// Every column, in the order in which `read_notification` reads.
inline constexpr std::string_view notification_columns =
    "sequence, id, incident_id, destination, kind, severity, payload, created_at, fallback_for, state, attempts, "
    "deferrals, next_attempt_at, delivered_at, first_failed_at, lease_token, lease_until, last_error, attempt_log";
[[nodiscard]] incidents::Notification read_notification(const Statement& row);

/// An incident with its JSON columns made, ready to be written. Throws `Failure`: `invalid` for text that is not UTF-8.
class IncidentRow {
public:
    explicit IncidentRow(const incidents::Incident& incident);
    /// Stores the incident with `incident.version + 1`. Throws `Failure`: `conflict`.
    void write(Connection& connection) const;

private:
    const incidents::Incident& incident_;
    std::string labels_;
    std::string annotations_;
    std::string timeline_;
    std::string notified_;
};

/// False when a row of this id exists already. Throws `Failure`: `invalid` when the incident does not exist.
bool insert_notification(Connection& connection, const incidents::NotificationDraft& draft);
/// Writes the columns that delivery changes.
void update_notification(Connection& connection, const incidents::Notification& row);

}  // namespace fusebox::storage::sqlite
