// The steady clock as it was at the system's last tick: quicker to read, and late.
#pragma once

#include <ctime>

#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// A bound for how late it is: ten of the longest ticks in use (CONFIG_HZ=100), since a paused machine may miss some.
inline constexpr Duration coarse_lag = std::chrono::milliseconds{100};

/// Half the cost of a look at the processor's counter.
[[nodiscard]] inline TimePoint coarse_steady_clock() noexcept {
#ifdef CLOCK_MONOTONIC_COARSE
    timespec time;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled in by the next line
    clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
    return TimePoint{std::chrono::seconds{time.tv_sec} + Duration{time.tv_nsec}};
#else
    return SteadyClock::read();
#endif
}

}  // namespace fusebox::detail
