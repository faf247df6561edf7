// What every store does alike, whatever it keeps its rows in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <fusebox/incidents/ports.hpp>

namespace fusebox::storage::rules {

[[nodiscard]] incidents::StoreError error(incidents::StoreError::Kind kind, std::string message);
[[nodiscard]] incidents::StoreError version_conflict(const incidents::Incident& incident);
[[nodiscard]] incidents::StoreError second_open_incident(const incidents::Incident& incident);
[[nodiscard]] incidents::StoreError no_such_incident(std::string_view id);
[[nodiscard]] incidents::StoreError no_such_notification(std::string_view id);
[[nodiscard]] incidents::StoreError duplicate_notification(std::string_view id);
[[nodiscard]] incidents::StoreError about_no_incident(const incidents::NotificationDraft& draft);

/// Why a write can never be stored.
[[nodiscard]] std::optional<incidents::StoreError> check(const incidents::IncidentWrite& write);
[[nodiscard]] std::optional<incidents::StoreError> check(const incidents::NotificationDraft& draft);

/// A page of incidents that hold so much ends, and goes on at its cursor: one incident may hold more than 1 MiB, and a
/// limit counts up to 500.
inline constexpr std::size_t max_page_bytes = 4U << 20U;
/// The texts of an incident, without its timeline.
[[nodiscard]] std::size_t text_bytes(const incidents::Incident& incident);

/// The last incident of a page; the next page begins after this incident.
struct IncidentPosition {
    incidents::WallTime created_at{};
    std::uint64_t order{};  ///< in which the store took its incidents; > 0
};
[[nodiscard]] std::string cursor_after(const IncidentPosition& position);
/// After the notification of this sequence.
[[nodiscard]] std::string cursor_after(std::uint64_t sequence);
/// Where a query begins: nothing = at the newest. `invalid` for a bad cursor or limit, or too many labels.
[[nodiscard]] incidents::StoreResult<std::optional<IncidentPosition>> start_of(const incidents::IncidentQuery& query);
[[nodiscard]] incidents::StoreResult<std::optional<std::uint64_t>> start_of(const incidents::NotificationQuery& query);

/// In lower case, ASCII letters only, as SQLite's lower().
[[nodiscard]] std::string fold_case(std::string_view text);

/// The row that a draft becomes; due at once.
[[nodiscard]] incidents::Notification new_row(const incidents::NotificationDraft& draft);
/// When the row can be leased: its next attempt, or the end of its lease.
[[nodiscard]] incidents::WallTime due_at(const incidents::Notification& row);
/// Whether a row in this state is still to be delivered, and so keeps later rows of its incident and destination
/// waiting.
[[nodiscard]] constexpr bool is_waiting(incidents::NotificationState state) noexcept {
    return state == incidents::NotificationState::pending || state == incidents::NotificationState::leased;
}
/// When the row was delivered or became dead; none while it waits.
[[nodiscard]] std::optional<incidents::WallTime> ended_at(const incidents::Notification& row);
/// `conflict` when `lease_token` is not the current lease; else the row as it is afterwards.
[[nodiscard]] incidents::StoreResult<void> settle(incidents::Notification& row, std::string_view lease_token,
                                                  const incidents::DeliveryResult& result);
/// `invalid` for a row that is not dead.
[[nodiscard]] incidents::StoreResult<void> replay(incidents::Notification& row, incidents::WallTime now);

}  // namespace fusebox::storage::rules
