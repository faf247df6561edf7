#include "open_time.hpp"

#include <algorithm>
#include <cmath>

namespace fusebox::detail {
namespace {

Duration capped(double nanoseconds, Duration cap) noexcept {
    // An overflow is capped too, because infinity is not below the cap.
    if (!(nanoseconds < static_cast<double>(cap.count()))) return cap;
    return Duration{static_cast<Duration::rep>(nanoseconds)};
}

// R27
Duration grown(const CircuitBreakerConfig& config, std::uint32_t attempt) noexcept {
    const auto& backoff = config.backoff;
    const auto base = static_cast<double>(config.open_timeout.count());
    switch (backoff.kind) {
        case Backoff::Kind::fixed:
            return config.open_timeout;
        case Backoff::Kind::linear:
            return capped(base + static_cast<double>(attempt) * static_cast<double>(backoff.increment.count()),
                          backoff.max_open_timeout);
        case Backoff::Kind::exponential:
            return capped(base * std::pow(backoff.multiplier, static_cast<double>(attempt)), backoff.max_open_timeout);
    }
    return config.open_timeout;
}

// Evenly distributed between `low` and `high`. The cap cuts `high` and not the result: otherwise all results beyond the
// cap would be the cap itself, and a fleet would probe in step.
Duration between(double low, double high, Duration cap, JitterSource& jitter) noexcept {
    high = std::min(high, static_cast<double>(cap.count()));
    low = std::min(low, high);
    return capped(low + (high - low) * jitter.next(), cap);
}

}  // namespace

Duration longest_open_time(const CircuitBreakerConfig& config) noexcept {
    return std::max(config.backoff.max_open_timeout, config.open_timeout);
}

Duration open_time(const CircuitBreakerConfig& config, std::uint32_t attempt, Duration hint,
                   JitterSource& jitter) noexcept {
    const auto ratio = config.backoff.jitter;
    const auto cap = longest_open_time(config);
    auto time = grown(config, attempt);
    if (ratio > 0) {
        const auto middle = static_cast<double>(time.count());
        time = between(middle * (1 - ratio), middle * (1 + ratio), cap, jitter);
    }
    hint = std::min(hint, config.backoff.max_open_timeout);
    if (hint > time) {
        time = hint;
        if (ratio > 0) {
            const auto low = static_cast<double>(hint.count());
            time = between(low, low * (1 + ratio), config.backoff.max_open_timeout, jitter);
        }
    }
    return std::max(time, Duration{1});
}

}  // namespace fusebox::detail
