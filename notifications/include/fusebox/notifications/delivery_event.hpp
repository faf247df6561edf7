// What a dispatcher reports while it delivers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fusebox/incidents/ports.hpp>

namespace fusebox::notifications {

/// What happened to one notification or one destination; for logs, metrics and event streams.
struct DeliveryEvent {
    enum class Kind : std::uint8_t {
        delivered,
        retry,     ///< the send failed; the next one is at `next_attempt_at`
        deferred,  ///< nothing was sent; the next try is at `next_attempt_at`
        dead,      ///< the notification is a dead letter; `error->next_move` is reconfigure where an operator must act
                   ///< (of a retry: retry_briefly)
        fallback,  ///< the notification was stored for `fallback_destination` as well
        destination_disabled,  ///< the destination answered 410 (Gone): nothing is sent until it is configured anew
        store_failing,         ///< the outbox cannot be read or written; once per run of failures
        store_recovered,       ///< the outbox can be read and written again
    };
    Kind kind{};
    std::string destination{};
    std::string notification_id{};  ///< empty for store_failing and store_recovered
    std::string incident_id{};
    std::string notification_kind{};  ///< "incident.triggered" …
    incidents::Severity severity{};
    std::uint32_t attempt{};  ///< how many sends there were so far; a deferral adds none
    std::optional<incidents::DeliveryError> error{};
    std::optional<incidents::WallTime> next_attempt_at{};
    std::string fallback_destination{};  ///< of a fallback event
    std::string message{};               ///< of a store_failing event: the store's own words
};
/// The name of the kind as it stands in the enumeration: "delivered", "retry", …
[[nodiscard]] std::string_view to_string(DeliveryEvent::Kind kind) noexcept;

}  // namespace fusebox::notifications
