// The inside of a circuit breaker: what is decided without a lock, and what under one.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/detail/sync.hpp>

#include "coarse_clock.hpp"
#include "event_hub.hpp"
#include "open_time.hpp"
#include "outcome_log.hpp"
#include "outcome_window.hpp"
#include "probe_table.hpp"
#include "report_ring.hpp"
#include "stripe.hpp"
#include "watched_calls.hpp"

namespace fusebox {

/// Lock-free: every rejection but those that lose a race for a probe slot, admission where all are admitted, and a plain
/// success (see OutcomeWindow) that took no more than a millisecond. Everything else is short, under one mutex, and calls
/// nobody back: failures, longer calls, probes, watched calls, the first success of a slice or of a full cell, transitions,
/// control. Events are queued under the mutex and delivered after it.
class CircuitBreaker::Impl {
public:
    // NOLINTNEXTLINE(cppcoreguidelines-special-member-functions): CircuitBreaker is not movable
    Impl(CircuitBreaker& breaker, std::string name, SharedConfig config, BreakerOptions options);
    ~Impl() { delete watched_.load(std::memory_order_relaxed); }  // relaxed: nobody else is left

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    std::expected<Permit, Rejection> acquire() noexcept;
    [[nodiscard]] bool wants(EventMask kind) const noexcept {
        const auto* hub = hub_.load(std::memory_order_acquire);  // pairs with the release in subscribe()
        return hub != nullptr && hub->wants(kind);
    }
    void count_rejection() noexcept {
        stripes_.own().rejected_open.fetch_add(1, std::memory_order_relaxed);  // relaxed: a counter, orders nothing
    }
    /// A plain success without a ticket, admitted by the word that is still there; by far the most frequent end of a call.
    /// False: settle it, nothing was done.
    bool succeed(std::uint64_t word, TimePoint started, TimePoint now) noexcept;
    void settle(const detail::Admission& admission, Outcome outcome, TimePoint now,
                const Settlement& settlement) noexcept;

    [[nodiscard]] CircuitBreakerMetrics metrics();
    [[nodiscard]] CircuitBreakerConfig config();
    [[nodiscard]] std::optional<TransitionReport> last_trip();
    [[nodiscard]] std::vector<TransitionReport> reports();

    /// R50. closed: a reset.
    void control(State to, std::string_view actor, std::string_view note);
    void reconfigure(const CircuitBreakerConfig& config, std::string_view actor, std::string_view note);

    [[nodiscard]] BreakerSnapshot snapshot();
    void restore(const BreakerSnapshot& snapshot);

    Subscription subscribe(BreakerListener listener, EventMask mask);
    [[nodiscard]] Outcome judge_exception(const std::exception_ptr& error) const noexcept;
    void record_fallback(bool failed) noexcept;

private:
    using Classifier = std::function<Outcome(const std::exception_ptr&)>;

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
    /// How a call ended.
    struct Verdict {
        Outcome outcome{};
        Duration duration{};
        bool measured{};  // else the duration is zero
        bool slow{};
        const Settlement* settlement{};
    };
    /// What is counted for life, but for rejections and quick successes: those are in the stripes. Only ever added to.
    struct Totals {
        std::uint64_t successes{};
        std::uint64_t failures{};
        std::uint64_t timeouts{};
        std::uint64_t failed{};
        std::uint64_t ignored{};
        std::uint64_t abandoned{};
        std::uint64_t stale{};
        std::uint64_t slow{};
        std::uint64_t probes{};
        std::uint64_t fallbacks{};
    };

    /// The probes of this half-open generation. A breaker that never opened has none.
    struct Recovery {
        detail::ProbeTable probes;
        std::uint64_t last_ticket{};  // of any generation
        WindowCounts counts{};
        std::uint64_t good{};
        std::uint32_t good_in_a_row{};
    };

    /// What is kept of transitions. No decision depends on it.
    struct History {
        detail::ReportRing reports;
        std::array<std::array<std::uint64_t, 6>, 6> transitions{};
    };

    // ---- without the mutex ----
    [[nodiscard]] std::uint64_t load_word() const noexcept {
        return breaker_.word_.load(std::memory_order_acquire);  // pairs with the release in transition()
    }
    [[nodiscard]] State state() const noexcept { return state_of(load_word()); }
    [[nodiscard]] static bool is_probe(const detail::Admission& admission) noexcept {
        return state_of(admission.word) == State::half_open;
    }
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_of(load_word()); }
    std::optional<Permit> admit_watched(std::uint64_t word) noexcept;
    Rejection reject(Rejection::Kind kind, std::uint64_t word, Duration retry_after) noexcept;
    void follow_success(std::uint64_t word, TimePoint now, Duration duration, bool contended) noexcept;
    [[nodiscard]] bool has_run(std::uint64_t generation) const noexcept {
        return is_run_of(generation, run_.load(std::memory_order_relaxed));  // relaxed: see clear_run
    }
    void clear_run(std::uint64_t generation) noexcept;
    void tell(State admitted_in, Outcome outcome, bool slow, Duration duration) noexcept;
    void drain() noexcept;

    // ---- each takes the mutex, and delivers events after releasing it ----
    void widen() noexcept;
    std::optional<std::expected<Permit, Rejection>> acquire_locked(TimePoint now) noexcept;
    /// `recorded`: a success of that generation waits to be judged; otherwise only calls that hang are.
    void judge_locked(std::uint64_t generation, TimePoint now, bool recorded) noexcept;

    // ---- under the mutex ----
    TimePoint advance(TimePoint now) noexcept {
        latest_ = std::max(latest_, now);
        return latest_;
    }
    template <class Make>
    void enqueue(const Make& make) noexcept {
        if (hub_owner_) hub_owner_->enqueue(make);
    }
    void count(const detail::Admission& admission, const Verdict& verdict) noexcept;
    [[nodiscard]] bool is_neutral(Outcome outcome) const noexcept;
    void settle_generation(const detail::Admission& admission, const Verdict& verdict, TimePoint now) noexcept;
    void record(const Verdict& verdict, TimePoint now) noexcept;
    void settle_probe(const detail::Admission& admission, const Verdict& verdict, TimePoint now) noexcept;
    void count_probe(bool good, bool failure, bool slow, TimePoint now, const Cause& if_bad) noexcept;
    void expire_leases(TimePoint now) noexcept;
    Recovery* ready_recovery() noexcept;
    void publish_probes() noexcept;
    [[nodiscard]] WindowCounts counts_to_report(TimePoint now) const noexcept;
    void remember(const Verdict& verdict, TimePoint now) noexcept;
    void note_hint(const Settlement& settlement, TimePoint now) noexcept;
    void extend_run(TimePoint now) noexcept;
    [[nodiscard]] std::uint32_t run_at(TimePoint now) const noexcept;
    [[nodiscard]] std::uint32_t judged_run(const Cause& cause, TimePoint now) const noexcept;
    void set_run(std::uint32_t run) noexcept;
    void judge_next() noexcept;
    // Once a threshold was set. relaxed: made under the mutex.
    [[nodiscard]] detail::WatchedCalls& watched_calls() noexcept { return *watched_.load(std::memory_order_relaxed); }
    bool record_hung(TimePoint now) noexcept;
    void judge(TimePoint now, std::string_view message) noexcept;
    void disarm() noexcept;
    void trip(const Cause& cause, TimePoint now) noexcept;
    Duration draw_open_time(std::uint32_t attempt, TimePoint now) noexcept;
    void transition(State to, const Cause& cause, TimePoint now) noexcept;
    void count_on_from(std::uint64_t generation, TimePoint now) noexcept;
    void clear_window(TimePoint now) noexcept;
    void publish_config() noexcept;
    void set_hung_call_threshold(std::optional<Duration> threshold);

    [[nodiscard]] static double ratio(std::uint64_t part, std::uint64_t whole) noexcept {
        return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
    }
    [[nodiscard]] static double seconds(Duration duration) noexcept {
        return std::chrono::duration<double>{duration}.count();
    }
    [[nodiscard]] static bool is_open(State state) noexcept {
        return state == State::open || state == State::forced_open;
    }

    // run_: low half of the generation << 32 | failures in a row.
    static constexpr std::uint32_t tag(std::uint64_t generation) noexcept {
        return static_cast<std::uint32_t>(generation);
    }
    static constexpr std::uint64_t run_word(std::uint64_t generation, std::uint32_t run) noexcept {
        return static_cast<std::uint64_t>(tag(generation)) << 32U | run;
    }

    static constexpr bool is_run_of(std::uint64_t generation, std::uint64_t run) noexcept {
        return run > run_word(generation, 0) && run <= run_word(generation, ~0U);
    }

    // judge_in_: see judge(). Anything above `armed` means that no success has to be judged.
    static constexpr std::int64_t armed = std::int64_t{1} << 40U;
    static constexpr std::int64_t disarmed = std::int64_t{1} << 62U;

    // What plain successes write and read. Not aligned: a million breakers would pay for it with holes, and
    // where threads compete they write elsewhere (see Stripes).
    detail::Stripes stripes_;
    detail::Atomic<std::uint64_t> run_{};
    detail::Atomic<std::int64_t> judge_in_{disarmed};
    detail::Atomic<detail::EventHub*> hub_{nullptr};  // made for the first listener, and then there for good
    detail::Atomic<Duration::rep>
        quick_below_{};  // a success that took less is neither slow nor beyond the first bucket

    CircuitBreaker& breaker_;
    const Clock& clock_;
    detail::Atomic<detail::WatchedCalls*> watched_{nullptr};      // made for the first hung_call_threshold, likewise
    const std::unique_ptr<const Classifier> classify_exception_;  // null: every exception is a failure

    // Read by calls; written by transitions and reconfigurations.
    detail::Atomic<std::uint32_t> most_probes_{};
    // Copies of what Recovery::probes says, so that a rejection needs no lock. The deadline may be too early, never too late.
    detail::Atomic<std::uint32_t> probes_in_flight_{};
    detail::Atomic<TimePoint::rep> earliest_lease_{};

    const std::string name_;

    detail::Mutex mutex_;  // guards everything below, every write of CircuitBreaker::word_, and the window's slow side
    SharedConfig config_;
    std::uint64_t config_version_{1};
    std::shared_ptr<detail::EventHub> hub_owner_;
    Totals totals_;
    // Of the calls that `totals_` counts. Made for the first one; where there is no memory for it, only the histogram lacks them.
    std::unique_ptr<DurationHistogram> durations_;
    TimePoint latest_;  // no decision is made at an earlier time than the one before
    detail::OutcomeWindow window_;
    TimePoint last_failure_at_{};
    std::uint32_t reached_{};  // how long the failure that is recorded made the run
    std::uint32_t attempt_{};
    TimePoint quiet_until_{};             // metrics_only: no further report before
    std::unique_ptr<Recovery> recovery_;  // made for the first probe
    TimePoint hint_until_{};
    detail::JitterSource jitter_;
    std::uint64_t trip_count_{};
    TimePoint last_change_;
    WallTime last_change_wall_;
    Duration time_open_{};  // without the running stretch
    detail::OutcomeLog last_outcomes_;
    const std::size_t report_capacity_;
    std::unique_ptr<History> history_;  // made for the first transition
};

}  // namespace fusebox
