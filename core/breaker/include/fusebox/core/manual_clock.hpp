// A clock that moves only when told to, so that no test has to sleep.
#pragma once

#include <atomic>
#include <chrono>

#include <fusebox/core/clock.hpp>

namespace fusebox {

/// A `Clock` for tests: time stands still until `advance` is called. Safe to read and advance from any thread.
///
///     fusebox::ManualClock clock;
///     clock.advance(std::chrono::seconds{30});   // thirty seconds pass at once
///
/// The wall clock follows `advance`; `step_wall` moves it alone, as an operator or NTP would (R30).
class ManualClock final : public Clock {
public:
    /// Starts one hour after the monotonic epoch, so that a test can look back, and at 2026-01-01T00:00:00Z on the
    /// wall.
    ManualClock() = default;

    [[nodiscard]] TimePoint now() const noexcept override {
        return TimePoint{Duration{monotonic_.load(std::memory_order_acquire)}};
    }
    [[nodiscard]] WallTime wall_now() const noexcept override {
        return WallTime{std::chrono::microseconds{wall_.load(std::memory_order_acquire)}};
    }

    /// Lets `by` pass on both clocks. `by` must not be negative, for a monotonic clock cannot go back: that fails an
    /// assertion and, without assertions, does nothing.
    void advance(Duration by) noexcept;
    /// Moves only the wall clock, forwards or backwards.
    void step_wall(std::chrono::microseconds by) noexcept;

private:
    // acquire/release pair: what a thread wrote before it advanced the clock is seen by who reads the new time.
    std::atomic<Duration::rep> monotonic_{Duration{std::chrono::hours{1}}.count()};
    std::atomic<std::chrono::microseconds::rep> wall_{1'767'225'600'000'000};
};

}  // namespace fusebox
