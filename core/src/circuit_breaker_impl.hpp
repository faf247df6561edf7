// The inside of a circuit breaker: what is decided without a lock, and what under one.
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string_view>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/detail/sync.hpp>

#include "event_hub.hpp"
#include "open_time.hpp"
#include "outcome_log.hpp"
#include "outcome_window.hpp"
#include "probe_table.hpp"
#include "report_ring.hpp"
#include "stripe.hpp"
#include "watched_calls.hpp"

namespace fusebox {

/// Lock-free: every rejection but those that lose a race for a probe slot, admission in closed, and a plain success
/// (see OutcomeWindow). Everything else is short, under one mutex, and calls nobody back: failures, slow calls, probes,
/// the first success of a slice, transitions, control. Events are queued under the mutex and delivered after it.
class CircuitBreaker::Impl {
public:
    Impl(CircuitBreaker& breaker, const CircuitBreakerConfig& config, BreakerOptions options);

    std::expected<Permit, Rejection> acquire() noexcept;
    void settle(const Permit& permit, Outcome outcome, TimePoint now, const Settlement& settlement) noexcept;

    [[nodiscard]] CircuitBreakerMetrics metrics();
    [[nodiscard]] CircuitBreakerConfig config();
    [[nodiscard]] std::optional<TransitionReport> last_trip();
    [[nodiscard]] std::vector<TransitionReport> reports();

    /// R50. closed: a reset.
    void control(State to, std::string_view actor, std::string_view note);
    void reconfigure(const CircuitBreakerConfig& config, std::string_view actor, std::string_view note);

    [[nodiscard]] BreakerSnapshot snapshot();
    void restore(const BreakerSnapshot& snapshot);

    Subscription subscribe(BreakerListener listener, EventMask mask) {
        return hub_->subscribe(std::move(listener), mask);
    }
    [[nodiscard]] Outcome judge_exception(const std::exception_ptr& error) const noexcept;
    void record_fallback(bool failed) noexcept;

private:
    /// Why a transition is made.
    struct Cause {
        TransitionReason reason{};
        double threshold{};
        double observed{};
        WindowCounts window{};
        std::string_view actor{};
        std::string_view note{};
        Duration time_left{};  // restored to open
    };
    /// What a settled call says to its generation.
    struct Verdict {
        Outcome outcome{};
        bool slow{};
        Duration duration{};
        const Settlement* settlement{};
    };

    // ---- without the mutex ----
    [[nodiscard]] std::uint64_t load_word() const noexcept;
    [[nodiscard]] State state() const noexcept { return state_of(load_word()); }
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_of(load_word()); }
    std::optional<Permit> admit_watched(std::uint64_t word) noexcept;
    Rejection reject(Rejection::Kind kind, std::uint64_t word, Duration retry_after) noexcept;
    void count_settled(detail::Stripe& stripe, const Permit& permit, Outcome outcome, bool slow,
                       Duration duration) noexcept;
    [[nodiscard]] bool is_neutral(Outcome outcome) const noexcept;
    void settle_generation(detail::Stripe& stripe, const Permit& permit, const Verdict& verdict,
                           TimePoint now) noexcept;
    void count_stale() noexcept;
    void clear_run(std::uint64_t generation) noexcept;

    // ---- each takes the mutex, and delivers events after releasing it ----
    std::optional<std::expected<Permit, Rejection>> acquire_locked(TimePoint now) noexcept;
    void settle_locked(const Permit& permit, const Verdict& verdict, TimePoint now) noexcept;
    /// `recorded`: a success of that generation waits to be judged; otherwise only calls that hang are.
    void judge_locked(std::uint64_t generation, TimePoint now, bool recorded) noexcept;

    // ---- under the mutex ----
    TimePoint advance(TimePoint now) noexcept;
    void record(const Verdict& verdict, TimePoint now) noexcept;
    void settle_probe(const Permit& permit, const Verdict& verdict, TimePoint now, bool& stale) noexcept;
    void count_probe(bool good, bool failure, bool slow, TimePoint now, const Cause& if_bad) noexcept;
    void expire_leases(TimePoint now) noexcept;
    void publish_probes() noexcept;
    void remember(const Verdict& verdict, TimePoint now) noexcept;
    void note_hint(const Settlement& settlement, TimePoint now) noexcept;
    void extend_run(TimePoint now) noexcept;
    [[nodiscard]] std::uint32_t run_at(TimePoint now) const noexcept;
    [[nodiscard]] std::uint32_t judged_run(const Cause& cause, TimePoint now) const noexcept;
    void set_run(std::uint32_t run) noexcept;
    void judge_next() noexcept;
    bool record_hung(TimePoint now) noexcept;
    void judge(TimePoint now, std::string_view message) noexcept;
    void trip(const Cause& cause, TimePoint now) noexcept;
    Duration draw_open_time(std::uint32_t attempt, TimePoint now) noexcept;
    void transition(State to, const Cause& cause, TimePoint now) noexcept;
    void count_on_from(std::uint64_t generation, TimePoint now) noexcept;
    void clear_window(TimePoint now) noexcept;
    void publish_config() noexcept;

    // run_: low half of the generation << 32 | failures in a row.
    static constexpr std::uint32_t tag(std::uint64_t generation) noexcept {
        return static_cast<std::uint32_t>(generation);
    }
    static constexpr std::uint64_t run_word(std::uint64_t generation, std::uint32_t run) noexcept {
        return static_cast<std::uint64_t>(tag(generation)) << 32U | run;
    }

    // judge_in_: see judge(). Anything above `armed` means that no success has to be judged.
    static constexpr std::int64_t armed = std::int64_t{1} << 40U;
    static constexpr std::int64_t disarmed = std::int64_t{1} << 62U;
    static constexpr auto never = std::numeric_limits<Duration::rep>::max();

    CircuitBreaker& breaker_;
    const Clock& clock_;
    const std::shared_ptr<detail::EventHub> hub_ = std::make_shared<detail::EventHub>();
    const std::function<Outcome(const std::exception_ptr&)> classify_exception_;

    // Read by calls; written by transitions and reconfigurations.
    detail::Atomic<TimePoint::rep> retry_at_{};
    detail::Atomic<Duration::rep> slow_threshold_{never};
    detail::Atomic<bool> count_timeouts_{};
    detail::Atomic<std::uint32_t> most_probes_{};
    // Copies of what probes_ says, so that a rejection needs no lock. The deadline may be too early, never too late.
    detail::Atomic<std::uint32_t> probes_in_flight_{};
    detail::Atomic<TimePoint::rep> earliest_lease_{};

    // Written by failures, read by every success.
    alignas(64) detail::Atomic<std::uint64_t> run_{};
    detail::Atomic<std::int64_t> judge_in_{disarmed};

    // What is counted for life and is rarer than a plain success or a rejection (those are in the stripes).
    struct alignas(64) Totals {
        detail::Buckets failures{};
        detail::Buckets timeouts{};
        detail::Counter ignored{};
        detail::Counter abandoned{};
        detail::Counter stale{};
        detail::Counter slow{};
        detail::Counter probes{};
        detail::Counter fallbacks{};
    };
    Totals totals_;
    detail::Stripes stripes_;
    detail::WatchedCalls watched_;

    detail::Mutex mutex_;  // guards everything below, every write of CircuitBreaker::word_, and the window's slow side
    CircuitBreakerConfig config_;
    std::uint64_t config_version_{1};
    TimePoint latest_;  // no decision is made at an earlier time than the one before
    detail::OutcomeWindow window_;
    TimePoint last_failure_at_{};
    std::uint32_t reached_{};  // how long the failure that is recorded made the run
    TimePoint quiet_until_{};  // metrics_only: no further report before
    detail::ProbeTable probes_;
    std::uint64_t last_ticket_{};
    WindowCounts probe_counts_{};    // of this half-open generation
    std::uint32_t good_in_a_row_{};  // likewise
    std::uint64_t good_probes_{};    // likewise
    std::uint32_t attempt_{};
    TimePoint hint_until_{};
    detail::JitterSource jitter_;
    std::uint64_t trip_count_{};
    TimePoint last_change_;
    WallTime last_change_wall_;
    Duration time_open_{};  // without the running stretch
    std::array<std::array<std::uint64_t, 6>, 6> transitions_{};
    detail::OutcomeLog last_outcomes_;
    detail::ReportRing reports_;
};

}  // namespace fusebox
