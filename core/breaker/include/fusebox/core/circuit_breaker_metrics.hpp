// One consistent look at a breaker (R41).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/state.hpp>
#include <fusebox/core/transition_report.hpp>

namespace fusebox {

/// Upper bounds of the duration histogram, in seconds (R42); a last, unbounded bucket follows.
inline constexpr std::array duration_bucket_bounds{0.001, 0.005, 0.01, 0.025, 0.05, 0.1,  0.25,
                                                   0.5,   1.0,   2.5,  5.0,   10.0, 30.0, 60.0};

/// How long settled calls took. A value. `buckets[i]` counts calls no longer than bound i and longer than bound i-1.
struct DurationHistogram {
    std::array<std::uint64_t, duration_bucket_bounds.size() + 1> buckets{};
    Duration sum{};
    /// All calls in the histogram.
    [[nodiscard]] std::uint64_t count() const noexcept {
        std::uint64_t total = 0;
        for (const auto bucket : buckets) total += bucket;
        return total;
    }
};

/// Counters since the breaker was made; none ever goes back, resets and transitions included (R16).
struct LifetimeTotals {
    std::uint64_t requests{};  ///< settled calls + rejections
    std::uint64_t admitted{};  ///< settled calls: successes + failures + timeouts + ignored + abandoned
    std::uint64_t successes{};
    std::uint64_t failures{};  ///< without timeouts
    std::uint64_t timeouts{};
    std::uint64_t failed{};  ///< failures, and timeouts that counted as failures when they ended
    std::uint64_t ignored{};
    std::uint64_t abandoned{};
    std::uint64_t stale{};     ///< of the settled calls, those admitted by an older generation (R8)
    std::uint64_t slow{};      ///< of the settled calls, those that were slow
    std::uint64_t rejected{};  ///< rejected_open + rejected_probes
    std::uint64_t rejected_open{};
    std::uint64_t rejected_probes{};
    std::uint64_t fallbacks{};
    std::uint64_t probes{};           ///< of the settled calls, those admitted in half-open
    std::uint64_t listener_errors{};  ///< listeners that threw, events that were dropped (R37)
};

/// A snapshot: a value that nobody changes any more. R41: exact when no call is in flight, and never
/// self-contradicting: no part above its whole, no counter going back.
struct CircuitBreakerMetrics {
    State state{};
    std::uint64_t generation{};
    LifetimeTotals totals{};
    /// Of the closed circuit (or metrics_only). While it is open, and until it closes, what was there can still be
    /// read.
    WindowCounts window{};
    std::uint32_t consecutive_failures{};   ///< likewise
    std::uint32_t consecutive_successes{};  ///< of probes, in half-open
    double failure_rate{};                  ///< of the window; 0 when it is empty
    double success_rate{1.0};               ///< of the window; 1 when it is empty
    double slow_call_rate{};                ///< of the window; 0 when it is empty
    DurationHistogram durations{};          ///< successes, failures and timeouts
    Duration average_duration{};            ///< durations.sum / durations.count()
    std::uint32_t probes_in_flight{};
    TimePoint last_change{};
    WallTime last_change_wall{};
    std::optional<TimePoint> next_attempt{};  ///< open: when the first probe may be admitted
    Duration retry_after{};                   ///< next_attempt − now, never negative; zero unless open
    Duration open_duration{};                 ///< time spent open or forced open since the breaker was made (R42)
    std::uint64_t trip_count{};               ///< transitions to open by rule or by `trip`
    std::uint32_t attempt{};                  ///< R26
    std::uint64_t config_version{};           ///< 1 at construction, +1 with every change (R51)
    /// transitions[from][to], by the numbers of `State`
    std::array<std::array<std::uint64_t, 6>, 6> transitions{};
};

}  // namespace fusebox
