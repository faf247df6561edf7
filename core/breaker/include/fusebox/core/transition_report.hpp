// Why a breaker changed its state: the rule that fired and what it saw (R40).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/state.hpp>

namespace fusebox {

/// The rule behind a transition.
enum class TransitionReason : std::uint8_t {
    consecutive_failures,   ///< R12: failures in a row reached the threshold
    failure_rate,           ///< R12: share of failures in the window reached the threshold
    slow_call_rate,         ///< R12: share of slow calls in the window reached the threshold
    open_timeout_elapsed,   ///< R3: the first admission at or after the retry time
    probe_failed,           ///< R20: a probe failed, timed out or was slow
    probe_lease_expired,    ///< R24: a probe did not settle in time
    probe_success_rate,     ///< R21: the probes' success rate was judged, either way
    success_threshold_met,  ///< R20: enough probes in a row succeeded
    operator_request,       ///< R50: reset, force_open, trip, disable, metrics_only
    configuration,          ///< R51: `enabled` was turned on or off
    restored,               ///< R52: the state was loaded from a store
};
/// The enumerator's name: `consecutive_failures`.
[[nodiscard]] std::string_view to_string(TransitionReason reason) noexcept;

/// The window at the moment of the judgement; of a transition out of half-open: its probes.
struct WindowCounts {
    std::uint64_t total{};     ///< successes + failures
    std::uint64_t failures{};  ///< failures and counted timeouts
    std::uint64_t slow{};      ///< slow calls, successes and failures
    bool operator==(const WindowCounts&) const = default;
};

/// How one call ended, as reports remember it.
struct OutcomeRecord {
    Duration age{};       ///< at the time of the report; ≥ 0
    Duration duration{};  ///< of a call that was given up: how long it had been in flight; 0 where nobody measured it
    Outcome outcome{};
    bool slow{};
    std::string message{};   ///< `Settlement::message`, at most 96 bytes, or why it was given up; may be empty
    std::string trace_id{};  ///< `Settlement::trace_id`, at most 32 bytes; may be empty
    bool operator==(const OutcomeRecord&) const = default;
};

/// One transition, complete enough to answer "why did it open?". A value.
struct TransitionReport {
    std::uint64_t sequence{};  ///< 1, 2, 3 … per breaker; equals the generation that the transition began
    State from{};
    State to{};
    TransitionReason reason{};
    double threshold{};  ///< what the rule compares with (count, rate or seconds)
    double observed{};   ///< what it saw
    WindowCounts window{};
    std::uint32_t consecutive_failures{};
    Duration open_for{};      ///< to == open: time until the first probe may be admitted
    std::uint32_t attempt{};  ///< R26: failed recoveries since the circuit was last closed
    std::uint64_t config_version{};
    /// The last outcomes that took the lock, newest first, at most 8: failures, timeouts, slow calls, calls that were
    /// given up (they hung, or a probe's lease ran out), and neutral ones that came with a message and were probes or
    /// had a hint. Plain successes are only counted. Closing forgets them, after the report of the closing.
    std::vector<OutcomeRecord> last_outcomes{};
    TimePoint at{};        ///< the epoch in a report that was restored: the clock it was read from is gone
    WallTime wall_time{};  ///< for display only
    std::string actor;     ///< who asked, for operator_request
    std::string note;      ///< why, in the operator's words; or the last failure's short message; or why the
                           ///< restored circuit had opened

    bool operator==(const TransitionReport&) const = default;
};
/// One sentence: "closed → open: 5 consecutive failures (threshold 5)"; "…, all timeouts (threshold 5)" where
/// `last_outcomes` has the whole run and shows it.
[[nodiscard]] std::string describe(const TransitionReport& report);

}  // namespace fusebox
