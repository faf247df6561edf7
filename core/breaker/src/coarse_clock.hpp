// The steady clock as it was at the kernel's last tick.
#pragma once

#include <ctime>

#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// At most `Clock::coarse_lag` late, at half the cost of a read of the processor's counter.
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
