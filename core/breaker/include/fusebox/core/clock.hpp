// The two clocks of a process: a monotonic one that decides, a wall clock that is only shown.
#pragma once

#include <chrono>
#include <optional>

#include <fusebox/core/detail/standard_library.hpp>
#include <fusebox/core/detail/tick_clock.hpp>

namespace fusebox {

/// All durations of fusebox. Signed, so that a difference of two time points never wraps.
using Duration = std::chrono::nanoseconds;
/// A point on the monotonic clock; its epoch means nothing.
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;
/// A point in calendar time, UTC; for display only.
using WallTime = std::chrono::sys_time<std::chrono::microseconds>;

/// Where every policy reads the time. Implementations must be safe to read from any thread.
///
/// `now` decides (R30); `wall_now` only labels what people read (R31). Use `SteadyClock` in programs and `ManualClock`
/// in tests.
class Clock {
public:
    Clock() = default;
    Clock(const Clock&) = delete;
    Clock& operator=(const Clock&) = delete;
    virtual ~Clock() = default;

    /// Monotonic: never goes back, whatever happens to the calendar.
    [[nodiscard]] virtual TimePoint now() const noexcept = 0;
    [[nodiscard]] virtual WallTime wall_now() const noexcept = 0;

    /// A reading of `now` that is up to `coarse_lag` old, from a clock that has one which costs less; default: none. By
    /// it a breaker rejects while its retry time is further away than that (R3).
    [[nodiscard]] virtual std::optional<TimePoint> coarse_now() const noexcept { return std::nullopt; }
    /// Ten of the longest ticks that kernels use (CONFIG_HZ=100), since a paused machine may miss some.
    static constexpr Duration coarse_lag = std::chrono::milliseconds{100};
};

/// The real clocks of the machine. Stateless; `steady_clock()` hands out the one instance everybody shares.
///
/// `now` is `std::chrono::steady_clock`'s time, read from the processor's counter where that can be trusted, at less
/// than half the cost. It is fitted to steady_clock once a second, and off by nanoseconds, unless that clock is being
/// steered: then by what is steered in a second. It does not go back on any thread. Between threads it is not fenced:
/// the processor may read its counter while it still waits for another thread's write, so compare two threads' times to
/// the microsecond only.
class SteadyClock final : public Clock {
public:
    [[nodiscard]] TimePoint now() const noexcept override { return read(); }
    /// The same, without the virtual call.
    [[nodiscard]] static TimePoint read() noexcept { return TimePoint{Duration{detail::steady_nanoseconds()}}; }
    [[nodiscard]] WallTime wall_now() const noexcept override {
        return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
    }
    /// The time of the kernel's last tick.
    [[nodiscard]] std::optional<TimePoint> coarse_now() const noexcept override;
};

/// The process-wide `SteadyClock`; lives until exit.
[[nodiscard]] const Clock& steady_clock() noexcept;

}  // namespace fusebox
