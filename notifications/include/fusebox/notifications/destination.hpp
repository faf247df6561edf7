// One destination of notifications: who sends, how fast, how often again, and who stands in.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/incidents/ports.hpp>
#include <fusebox/notifications/rate_gate.hpp>

namespace fusebox::notifications {

/// When a delivery that failed is tried again.
struct RetryPolicy {
    Duration base{std::chrono::seconds{1}};    ///< the first pause is up to this; > 0
    double factor{2.0};                        ///< growth with each further attempt; 1 … 10
    Duration cap{std::chrono::minutes{5}};     ///< no pause is longer; ≥ base
    std::uint32_t max_attempts{0};             ///< after so many a failure makes a dead letter; 0 = no bound
    Duration max_age{std::chrono::hours{24}};  ///< failing for this long makes a dead letter; > 0
    bool operator==(const RetryPolicy&) const = default;
};

/// What the dispatcher must know about one destination. `Dispatcher` refuses bad values.
struct DestinationSettings {
    std::string name{};  ///< unique among the destinations; not empty
    /// The bare sender: the dispatcher puts `breaker` in front of the sender. Made for a destination of this `name`.
    std::shared_ptr<incidents::NotificationSender> sender{};
    /// The destination's own breaker; null = none. While the breaker is open no row is leased, so that an outage burns
    /// no attempts and writes nothing; while the breaker is half-open one delivery goes at a time.
    std::shared_ptr<CircuitBreaker> breaker{};
    std::size_t max_in_flight{4};  ///< sends at once, a thread each; 1 … 64
    RateLimit rate_limit{};        ///< how many sends may begin in a time
    /// Name of another destination that gets a P0 or P1 notification as well when this destination's breaker is open,
    /// when the notification has waited for `fallback_after`, whatever it waits for, or when it becomes a dead letter;
    /// empty = none. The notification for the fallback destination has no fallback itself.
    std::string fallback{};
    Duration fallback_after{std::chrono::minutes{2}};  ///< ≥ 0
    RetryPolicy retry{};
    Duration send_timeout{std::chrono::seconds{15}};  ///< deadline of one send; > 0
    bool operator==(const DestinationSettings&) const = default;
};

}  // namespace fusebox::notifications
