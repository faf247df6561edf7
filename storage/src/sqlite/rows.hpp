// Incidents and notifications as rows.
#pragma once

#include <string>
#include <string_view>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// Everything but the timeline; `read_incident` reads them in this order, the timeline last where it is selected.
inline constexpr std::string_view incident_columns =
    "id, title, state, severity, labels, annotations, source, fingerprint, created_at, updated_at, alert_starts_at, "
    "resolved_at, alert_count, version, notified";
enum class Timeline : std::uint8_t { left_out, selected };
/// Throws `Failure`: `corrupt` for what no store has written.
[[nodiscard]] incidents::Incident read_incident(const Statement& row, Timeline timeline);

/// `read_notification` reads them in this order.
inline constexpr std::string_view notification_columns =
    "sequence, id, incident_id, destination, kind, severity, payload, created_at, fallback_for, state, attempts, "
    "deferrals, next_attempt_at, delivered_at, first_failed_at, lease_token, lease_until, last_error, attempt_log";
[[nodiscard]] incidents::Notification read_notification(const Statement& row);

/// An incident with its JSON columns made, ready to be written. Throws `Failure`: `invalid` for text that is not UTF-8.
class IncidentRow {
public:
    explicit IncidentRow(const incidents::Incident& incident);
    /// Stores it with `incident.version + 1`. Throws `Failure`: `conflict`.
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
/// Writes what changes in the life of a row.
void update_notification(Connection& connection, const incidents::Notification& row);

}  // namespace fusebox::storage::sqlite
