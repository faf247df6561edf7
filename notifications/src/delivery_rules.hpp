// What becomes of a notification after one try: the rules, without threads and without a store.
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

/// What to record, and what follows for the destination.
struct Verdict {
    incidents::DeliveryResult result;
    std::optional<Duration> close_gate{};  ///< the destination named a time: nothing goes there before
    bool disable{};                        ///< the destination wants nothing more (410)
};

/// Pure but for its jitter. Not thread-safe.
class DeliveryRules {
public:
    DeliveryRules(const RetryPolicy& retry, bool knows_breaker, std::uint64_t seed)
        : retry_(retry), knows_breaker_(knows_breaker), random_(seed) {}

    /// `notification` is as it was leased: this try is not yet in its `attempts`.
    [[nodiscard]] Verdict judge(const incidents::Notification& notification, const SendResult& sent,
                                incidents::WallTime now, std::chrono::milliseconds took);
    /// Leased but not tried, because the dispatcher stops: due again at once.
    [[nodiscard]] static Verdict release(incidents::WallTime now);
    /// Leased but not tried, because the destination named a time in the meantime.
    [[nodiscard]] Verdict put_off(incidents::WallTime now, Duration closed_for);
    /// The destination was disabled by its own answer.
    [[nodiscard]] static Verdict refuse_disabled(incidents::WallTime now);

    /// Uniform in [0, most].
    [[nodiscard]] Duration jitter(Duration most);
    /// Uniform in [0, 1].
    [[nodiscard]] double jitter_share() { return std::uniform_real_distribution<double>{}(random_); }

private:
    /// A pause that was asked for, a little longer, so that what waits for the same moment does not go in step.
    [[nodiscard]] Duration spread(Duration pause);
    [[nodiscard]] Duration backoff_ceiling(std::uint32_t attempts_before) const;

    RetryPolicy retry_;
    bool knows_breaker_;  // the lane asks the breaker itself when it passes again
    std::mt19937_64 random_;
};

/// P0 and P1, unless it stands in for another notification already (so that two fallbacks cannot feed each other).
[[nodiscard]] bool deserves_fallback(const incidents::NotificationDraft& draft) noexcept;
/// The same for the same original, so that storing it twice does nothing.
[[nodiscard]] incidents::NotificationDraft fallback_draft(const incidents::NotificationDraft& original,
                                                          const std::string& destination, incidents::WallTime now);

}  // namespace fusebox::notifications
