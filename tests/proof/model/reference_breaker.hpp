// The breaker contract once more, as slow and as plain as it can be said, for the real breaker to agree with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include <fusebox/core/breaker_snapshot.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/circuit_breaker_metrics.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/core/events.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/state.hpp>
#include <fusebox/core/transition_report.hpp>

namespace fusebox::test::model {

/// What the window may hold by R13, whatever the slices: no fewer than those that are young enough, no more than those
/// that are at most a slice too old.
struct WindowBounds {
    WindowCounts least;
    WindowCounts most;
};

/// One breaker, for one thread, that keeps every call and every outcome it ever saw and counts them anew for each
/// question. Time is an argument of each step; nothing happens between two steps.
///
/// Written from docs/breaker-contract.md and the public headers, not from the sources in core/breaker/src.
class ReferenceBreaker {
public:
    /// Number of a call: 0, 1, 2 … in the order of their admission.
    using CallId = std::size_t;

    /// How a call ended.
    struct Ending {
        Outcome outcome{};
        std::optional<Duration> duration{};
        std::optional<Duration> retry_after{};
    };

    ReferenceBreaker(const CircuitBreakerConfig& config, TimePoint now);

    [[nodiscard]] std::expected<CallId, Rejection> admit(TimePoint now);
    void settle(CallId id, const Ending& ending, TimePoint now);

    void reset(TimePoint now);
    void force_open(TimePoint now);
    void trip(TimePoint now);
    void disable(TimePoint now);
    void metrics_only(TimePoint now);
    void reconfigure(const CircuitBreakerConfig& config, TimePoint now);
    [[nodiscard]] BreakerSnapshot snapshot(TimePoint now) const;
    void restore(const BreakerSnapshot& snapshot, TimePoint now);

    [[nodiscard]] const CircuitBreakerConfig& config() const { return config_; }
    [[nodiscard]] State state() const { return state_; }
    [[nodiscard]] std::uint64_t generation() const { return generation_; }
    [[nodiscard]] CircuitBreakerMetrics metrics(TimePoint now) const;
    /// Empty for a count window, and where a reconfiguration has moved outcomes to other slices.
    [[nodiscard]] std::optional<WindowBounds> window_bounds(TimePoint now) const;
    /// All transitions it made, oldest first.
    [[nodiscard]] const std::vector<TransitionReport>& transitions() const { return transitions_; }
    /// Those that were restored, and the ones after them, oldest first.
    [[nodiscard]] const std::vector<TransitionReport>& reports() const { return reports_; }
    [[nodiscard]] const std::optional<TransitionReport>& last_trip() const { return last_trip_; }
    [[nodiscard]] const std::vector<TransitionReport>& would_have_tripped() const { return would_have_tripped_; }

    /// So many calls were counted before they settled (R17).
    [[nodiscard]] std::uint64_t hung_calls() const { return hung_calls_; }

    [[nodiscard]] std::optional<TimePoint> next_attempt() const;
    /// When the lease of the oldest probe in flight ends.
    [[nodiscard]] std::optional<TimePoint> next_lease_end() const;

private:
    struct Call {
        std::uint64_t generation{};
        State state{};
        TimePoint started;
        bool watched{};       // R17: hung_call_threshold was set when it was admitted
        TimePoint lease_end;  // of a probe
        bool settled{};
        bool written_off{};  // its lease ran out (R24), or it was counted as hung (R17)
    };
    struct Recorded {
        TimePoint at;           // when it was recorded
        TimePoint counts_from;  // the same, or later where it was moved to another division of time (R51)
        bool failure{};
        bool slow{};
    };
    struct Remembered {
        TimePoint at;
        OutcomeRecord outcome;  // its age apart
    };
    struct Rule {
        TransitionReason reason{};
        double threshold{};
        double observed{};
    };

    // Transitions.
    [[nodiscard]] TransitionReport report(State from, State to, const Rule& rule, TimePoint now,
                                          Duration open_for) const;
    void move_to(State to, const Rule& rule, TimePoint now, std::optional<Duration> open_for = {});
    void open(const Rule& rule, TimePoint now);
    [[nodiscard]] Duration open_time(std::uint32_t attempt, TimePoint now) const;

    // R40: everything that was not a plain success.
    void remember(TimePoint now, Duration duration, Outcome outcome, bool slow, const char* message = "");

    // Half-open.
    [[nodiscard]] bool in_flight(const Call& call) const;
    [[nodiscard]] std::size_t probes_in_flight() const;
    void expire_leases(TimePoint now);
    void judge_probe(bool failure, bool slow, TransitionReason why_bad, TimePoint now);

    // Settling.
    void count_for_life(const Call& call, Outcome outcome, Duration duration, bool slow, bool stale);

    // Closed and metrics_only.
    bool count_hung_calls(TimePoint now);
    void note_hint(Duration hint, TimePoint now);
    void record(bool failure, bool slow, TimePoint now);
    [[nodiscard]] std::optional<Rule> broken_rule(TimePoint now) const;
    void judge(TimePoint now);
    [[nodiscard]] WindowCounts window(TimePoint now) const;
    [[nodiscard]] std::int64_t slice_of(TimePoint time) const;
    [[nodiscard]] std::uint32_t failure_run(TimePoint now) const;

    CircuitBreakerConfig config_;
    std::uint64_t config_version_{1};
    const TimePoint born_;

    State state_{};
    std::uint64_t generation_{};
    TimePoint changed_;
    std::optional<TimePoint> retry_at_;  // R26; of open
    std::uint32_t attempt_{};            // R26
    std::uint64_t trip_count_{};
    std::optional<TimePoint> hint_until_;  // R29

    std::vector<Call> calls_;  // all there ever were

    std::vector<Recorded> outcomes_;  // since the window was last cleared
    bool moved_{};                    // some of them to other slices
    std::uint64_t hung_calls_{};
    std::uint32_t failure_run_{};
    std::optional<TimePoint> latest_failure_;

    WindowCounts probes_;                       // settled or written off in this half-open
    std::uint64_t good_probes_{};               // of them
    std::uint32_t good_in_a_row_{};             // of them
    std::optional<TimePoint> shadow_retry_at_;  // metrics_only: until then the circuit would have been open

    LifetimeTotals totals_;
    DurationHistogram durations_;
    std::vector<Remembered> remembered_;
    std::vector<TransitionReport> transitions_;
    std::vector<TransitionReport> reports_;
    std::optional<TransitionReport> last_trip_;
    std::vector<TransitionReport> would_have_tripped_;
};

}  // namespace fusebox::test::model
