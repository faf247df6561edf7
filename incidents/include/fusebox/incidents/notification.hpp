// One message to one destination about one change: a row of the outbox.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/incidents/incident.hpp>
#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

enum class NotificationState : std::uint8_t { pending, leased, delivered, dead };
[[nodiscard]] std::string_view to_string(NotificationState state) noexcept;
[[nodiscard]] std::optional<NotificationState> notification_state_from_string(std::string_view text) noexcept;

/// "incident.triggered", "incident.acknowledged", "incident.unacknowledged", "incident.resolved", "incident.reopened",
/// "incident.updated". Whether anybody hears of one change is `Change::notify`; none, repeated, noted and state_changed
/// notify nobody.
[[nodiscard]] std::optional<std::string_view> notification_kind(ChangeKind change) noexcept;

/// What the sender's failure asks for next.
enum class NextMove : std::uint8_t {
    retry,          ///< passing fault: again, with backoff
    retry_after,    ///< the destination named a time (429 …): not before; neutral for the breaker
    retry_briefly,  ///< 401, 403, 404: a configuration alarm at once; again, with backoff, for some minutes, since a
                    ///< proxy or a deployment in between may say so for a while; then a dead letter
    give_up,        ///< no repeat can succeed (410, payload refused): dead letter
    reconfigure,    ///< credentials, address, certificate: dead letter and a configuration alarm
    defer,          ///< not tried at all (breaker open, rate gate closed, cancelled): later, no attempt burnt
};
[[nodiscard]] std::string_view to_string(NextMove move) noexcept;

struct DeliveryError {
    NextMove next_move{NextMove::retry};
    /// For the breaker: true for connect, DNS, reset, timeout, 5xx; false is neutral (docs/outcomes.md).
    bool counts_as_failure{};
    /// A stable word: connect, dns, timeout, tls, http_5xx, http_4xx, rate_limited, circuit_open …
    std::string error_class;
    std::string message;          ///< one sentence, no secrets
    std::optional<int> status{};  ///< HTTP or SMTP code
    std::optional<std::chrono::milliseconds> retry_after{};
    bool disable_destination{};  ///< 410: nothing more is to be sent to this destination
};

/// One try to deliver.
struct DeliveryAttempt {
    WallTime at{};
    std::chrono::milliseconds took{};
    bool delivered{};
    std::string error_class;  ///< empty when delivered
    std::string message;
    std::optional<int> status{};
};

/// What is to be sent, before it is stored.
struct NotificationDraft {
    std::string id;  ///< "msg_…": the idempotency key, the same for every retry and replay
    std::string incident_id;
    std::string destination;
    std::string kind;  ///< "incident.triggered" …
    Severity severity{};
    std::string payload;  ///< to_json(Incident) as of the change, its timeline the latest 20 events, `notified` empty
    WallTime created_at{};
    std::string fallback_for;  ///< id of the notification this one stands in for; empty otherwise
};

struct Notification {
    NotificationDraft draft;
    std::uint64_t sequence{};  ///< order of storing; a later row of the same incident and destination waits for it
    NotificationState state{NotificationState::pending};
    std::uint32_t attempts{};   ///< tries that reached out
    std::uint32_t deferrals{};  ///< times that the delivery was put off without a try
    WallTime next_attempt_at{};
    std::optional<WallTime> delivered_at{};
    std::optional<WallTime> first_failed_at{};  ///< of the current run of failures
    std::string lease_token;                    ///< names the holder of the lease while leased
    std::optional<WallTime> lease_until{};
    std::optional<DeliveryError> last_error{};
    std::vector<DeliveryAttempt> attempt_log;  ///< the last 20, oldest first
};

}  // namespace fusebox::incidents
