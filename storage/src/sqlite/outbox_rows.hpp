// Notifications as rows of the outbox.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "sqlite/connection.hpp"
#include "sqlite/new_rows.hpp"

namespace fusebox::storage::sqlite {

/// Every column of a notification, in the order in which `read_notification` reads, of `notification_tables`.
inline constexpr std::string_view notification_columns =
    "row.sequence, row.id, row.incident_id, row.destination, row.kind, row.severity, body.payload, row.created_at, "
    "row.fallback_for, row.state, row.attempts, row.deferrals, row.next_attempt_at, row.delivered_at, "
    "row.first_failed_at, row.lease_token, row.lease_until, row.last_error, row.attempt_log";
inline constexpr std::string_view notification_tables =
    "outbox AS row LEFT JOIN outbox_payloads AS body ON body.sequence = row.sequence";
/// Throws `Failure`: `corrupt` where a column holds a value that no store writes.
[[nodiscard]] incidents::Notification read_notification(const Statement& row);

/// False when a row of this id exists already. Throws `Failure`: `invalid` when the incident does not exist.
bool insert_notification(Connection& connection, const incidents::NotificationDraft& draft, NewRows& added);
/// The same where the key of the incident is known.
bool insert_notification(Connection& connection, const incidents::NotificationDraft& draft, std::int64_t incident,
                         NewRows& added);
/// Writes the columns that delivery changes.
void update_notification(Connection& connection, const incidents::Notification& row);

/// Makes a dead letter of a row that cannot be read. From then on the row can be read: what is wrong stands in its last
/// error, the attempts are gone, and the payload stays where there is one.
void put_aside(Connection& connection, std::int64_t sequence, std::string_view why, incidents::WallTime now);

/// The rows that `Outbox::lease` takes, oldest first.
[[nodiscard]] std::vector<std::int64_t> find_due(Connection& connection, std::string_view destination,
                                                 incidents::WallTime now, std::size_t limit);
[[nodiscard]] std::optional<incidents::WallTime> find_next_due(Connection& connection, std::string_view destination);

/// Rows by their sequence, newest first, and where the list goes on: before `next`.
struct Newest {
    std::vector<std::int64_t> sequences;
    std::optional<std::int64_t> next;
};
/// A page of `query` before `start`. Where no index leads to what the query asks for, it looks at a bounded number of
/// rows and then ends short.
[[nodiscard]] Newest find_newest(Connection& connection, const incidents::NotificationQuery& query,
                                 const std::optional<std::uint64_t>& start);

/// Removes up to `limit` rows that have been delivered or dead since before `before`. Gives how many.
std::uint64_t prune_notifications(Connection& connection, incidents::WallTime before, std::size_t limit);

}  // namespace fusebox::storage::sqlite
