// The rules that say what becomes of a notification after one try; without threads and without a store.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <random>

#include <fusebox/incidents/ports.hpp>
#include <fusebox/notifications/dispatcher.hpp>

namespace fusebox::notifications {

using SendResult = std::expected<void, incidents::DeliveryError>;

/// What is decided after one try: the result to record, and what follows for the destination.
struct Decision {
    incidents::DeliveryResult result;
    std::optional<Duration> close_gate{};  ///< set: nothing is sent to the destination for this time, which it named
    bool disable{};                        ///< the destination answered 410 (Gone): nothing more is sent to it
};

/// Pure functions but for their jitter. Not thread-safe.
class DeliveryRules {
public:
    DeliveryRules(const RetryPolicy& retry, bool knows_breaker, std::uint64_t seed)
        : retry_(retry), knows_breaker_(knows_breaker), random_(seed) {}

    /// After a send. `notification` is as it was leased: its `attempts` do not yet count this send.
    [[nodiscard]] Decision decide(const incidents::Notification& notification, const SendResult& sent,
                                  incidents::WallTime now, std::chrono::milliseconds took);
    /// For a row that was leased but not sent, because the dispatcher stops: the row is due again at once.
    [[nodiscard]] static Decision release(incidents::WallTime now);
    /// For a row that was leased but not sent, because the destination named a time after the lease.
    [[nodiscard]] Decision put_off(incidents::WallTime now, Duration closed_for);
    /// For a row that was leased but not sent, because the destination answered 410 (Gone).
    [[nodiscard]] static Decision refuse_disabled(incidents::WallTime now);

    /// Uniform in [0, most].
    [[nodiscard]] Duration jitter(Duration most);
    /// Uniform in [0, 1].
    [[nodiscard]] double jitter_share() { return std::uniform_real_distribution<double>{}(random_); }

private:
    /// `pause` and a little more, so that rows that wait for the same moment are not all sent at once.
    [[nodiscard]] Duration spread(Duration pause);
    [[nodiscard]] Duration backoff_ceiling(std::uint32_t attempts_before) const;

    RetryPolicy retry_;
    bool knows_breaker_;  // the lane reads from the breaker when it admits again, so a refusal need not close the gate
    std::mt19937_64 random_;
};

/// True for P0 and P1, but false for a notification that is itself the fallback of another one: two destinations that
/// are each other's fallback must not feed each other.
[[nodiscard]] bool deserves_fallback(const incidents::NotificationDraft& draft) noexcept;
/// The notification for the fallback destination. Its id is derived from the original's, so that storing the
/// notification twice does nothing.
[[nodiscard]] incidents::NotificationDraft fallback_draft(const incidents::NotificationDraft& original,
                                                          const std::string& destination, incidents::WallTime now);

}  // namespace fusebox::notifications
