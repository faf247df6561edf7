// The inside of a circuit breaker: its data, who may touch which part of it, and why the lock-free parts are right.
//
// What most calls need takes no lock (quick_path.cpp). Everything else is short and under `mutex_`: settling.cpp,
// judging.cpp, half_open.cpp, transitions.cpp, saving.cpp, metrics.cpp. Of foreign code only the clock is called under
// the mutex: no listener, no classifier, no store.
//
// I1  The word. `CircuitBreaker::word_` is `generation << 3 | state`. After the constructor only transition() and
//     continue_generations_after() store it, under the mutex, with a higher generation each time. The store (release)
//     comes after everything that a reader of the new word needs: the open time (I2), the copies of the probes
//     (recovery.hpp), the stripes. Every load of the word is an acquire. So a thread that has read a word sees what was
//     written before that word was stored.
// I2  The open time. `CircuitBreaker::retry_at_` and `open_for_` are stored (release) only by a transition to open,
//     just before its word. A caller loads the word, then the times that it needs, then the word again, each with
//     acquire. Where both words are the same, the times are those of that word's generation, or of the next generation,
//     whose word is about to be stored and is open as well. A time of any later generation was stored after another
//     word; so a caller that loads such a time finds another word by its second load, and starts again.
// I3  Generations. An outcome acts only in the generation that admitted its call (R8). Under the mutex the generation
//     of the admission is compared with the breaker's. Without the mutex OutcomeWindow::try_success() compares the word
//     that admitted the call with the breaker's word, in a way that no transition can come in between (W5 in
//     outcome_window.hpp). For that, a thread that stores the word suspends the window before and clears or seals the
//     window after: a plain success in between settles under the mutex.
// I4  The run. `run_` is `low half of the generation << 32 | failures in a row`. Under the mutex it is lengthened and
//     set. Without the mutex only end_run() changes `run_`: a success swaps the run of its own generation for an empty
//     one (R11). So a swap under the mutex competes only with a success that ends the run, and is tried again after it.
//     has_run() and end_run() are relaxed, because no other data is published with `run_`: a success that comes after
//     the settlement of a failure loads the run with that failure, or a later run.
// I5  Who is judged. Failures and slow calls are judged under the mutex (R12). A plain success lowers both rates, so it
//     can trip the breaker only by bringing the window to minimum_requests. While a window with failures or slow calls
//     in it is too small, `successes_until_judged_` counts down how many successes are missing; the success that brings
//     the countdown to zero judges the window. The countdown is 1 where the next success has to be judged in any case:
//     the thresholds are new, the window has moved on, or the quiet time of metrics_only may have ended. Otherwise it
//     is `no_countdown`, and no success judges. No success that is missing is overlooked: judge() stores the countdown,
//     then counts the window; a success enters the window, then loads the countdown; all four are seq_cst. So a success
//     that is not in the count sees the countdown and takes itself off. A success that is in the count may take itself
//     off, too: then the window is judged too early, is found too small, and a new countdown starts. A success may also
//     take itself off just after `no_countdown` was stored. That does no harm: `no_countdown` is so large that it stays
//     above every countdown.
// I6  Settings. `quick_success_below_`, and in CircuitBreaker `watching_`, `measuring_` and `operation_timeout_`, are
//     copies of the configuration, stored under the mutex. No other value goes with them, so relaxed is enough: a call
//     that runs while the configuration changes may be handled by the old value or by the new one.
// I7  Made once. `hub_` is null until the first listener subscribes and `watched_` until the first hung_call_threshold
//     is set. Each is stored once, under the mutex (release), after its object is complete. Every load outside the
//     mutex is an acquire, and the object lives as long as the breaker.
// I8  Events. Control events are queued under the mutex, hence in the order of the transitions, and delivered after the
//     mutex is released (event_hub.hpp).
// I9  Time. `latest_` never goes back: under the mutex every decision is made at `latest_`, whatever a caller read from
//     the clock before it had the mutex (R30).
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/detail/jitter.hpp>
#include <fusebox/core/detail/sync.hpp>

#include "event_hub.hpp"
#include "outcome_log.hpp"
#include "outcome_window.hpp"
#include "recovery.hpp"
#include "report_ring.hpp"
#include "stripe.hpp"
#include "transition_cause.hpp"
#include "watched_calls.hpp"

namespace fusebox {

/// Thread contract: as CircuitBreaker.
class CircuitBreaker::Impl {
public:
    // NOLINTNEXTLINE(cppcoreguidelines-special-member-functions): CircuitBreaker is not movable
    Impl(CircuitBreaker& breaker, std::string name, SharedConfig config, BreakerOptions options);
    ~Impl() { delete watched_.load(std::memory_order_relaxed); }  // relaxed: no other thread is left

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    std::expected<Permit, Rejection> acquire() noexcept;
    [[nodiscard]] bool wants(EventMask kind) const noexcept {
        const auto* hub = hub_.load(std::memory_order_acquire);  // I7
        return hub != nullptr && hub->wants(kind);
    }
    void count_rejection() noexcept {
        stripes_.own().rejected_open.fetch_add(1, std::memory_order_relaxed);  // relaxed: a counter, orders nothing
    }
    /// Settles a plain success without a ticket whose word is still the breaker's: by far the most frequent end of a
    /// call. False: nothing was done, and settle() has to do it.
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
    [[nodiscard]] Outcome classify_exception(const std::exception_ptr& error) const noexcept;
    void record_fallback(bool failed) noexcept;

private:
    using Classifier = std::function<Outcome(const std::exception_ptr&)>;
    using Cause = detail::TransitionCause;

    /// How a call ended.
    struct SettledCall {
        Outcome outcome{};
        Duration duration{};  // zero where it was not measured
        bool measured{};
        bool slow{};
        const Settlement* settlement{};
    };
    /// What is counted for life, except rejections and quick successes, which the stripes count. Only ever added to.
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

    /// What is kept of transitions. No decision depends on it.
    struct History {
        detail::ReportRing reports;
        std::array<std::array<std::uint64_t, 6>, 6> transitions{};
    };

    // ---- without the mutex ----
    [[nodiscard]] std::uint64_t load_word() const noexcept {
        return breaker_.word_.load(std::memory_order_acquire);  // I1
    }
    [[nodiscard]] State state() const noexcept { return state_of(load_word()); }
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_of(load_word()); }
    [[nodiscard]] static bool is_probe(const detail::Admission& admission) noexcept {
        return state_of(admission.word) == State::half_open;
    }
    [[nodiscard]] static bool is_open(State state) noexcept {
        return state == State::open || state == State::forced_open;
    }
    [[nodiscard]] static double ratio(std::uint64_t part, std::uint64_t whole) noexcept {
        return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
    }

    std::optional<Permit> admit_watched(std::uint64_t word) noexcept;
    Rejection reject(Rejection::Kind kind, std::uint64_t word, Duration retry_after) noexcept;
    bool finish_success(std::uint64_t word, TimePoint started, TimePoint now,
                        detail::OutcomeWindow::Try result) noexcept;
    [[nodiscard]] static detail::OutcomeWindow::Success plain_success(std::uint64_t word, TimePoint started,
                                                                      TimePoint now) noexcept {
        if (started == unmeasured) return {.admitted_by = word, .ended = now};
        return {
            .admitted_by = word, .ended = now, .measured = true, .duration = std::max(Duration::zero(), now - started)};
    }
    [[nodiscard]] bool has_run(std::uint64_t generation) const noexcept {
        return is_run_of(generation, run_.load(std::memory_order_relaxed));  // relaxed: I4
    }
    void end_run(std::uint64_t generation) noexcept;
    void deliver_executed(State admitted_in, Outcome outcome, bool slow, Duration duration) noexcept;
    void deliver_queued_events() noexcept;

    // ---- each takes the mutex, and delivers the events after releasing it ----
    void widen() noexcept;
    std::optional<std::expected<Permit, Rejection>> admit_probe(TimePoint now) noexcept;
    /// Counts calls that hang (R17), and judges the window if there were any, or if `success_recorded`: a plain success
    /// of that generation entered the window and is to be judged.
    void lock_and_judge(std::uint64_t generation, TimePoint now, bool success_recorded) noexcept;

    // ---- under the mutex: all that follow ----
    /// The time at which the caller decides: `now`, or the time of the last decision where that is later (I9).
    TimePoint advance(TimePoint now) noexcept {
        latest_ = std::max(latest_, now);
        return latest_;
    }
    template <class Make>
    void enqueue(const Make& make) noexcept {
        if (hub_owner_) hub_owner_->enqueue(make);
    }

    // settling
    void count_for_life(const detail::Admission& admission, const SettledCall& call) noexcept;
    [[nodiscard]] bool is_neutral(Outcome outcome) const noexcept;
    void settle_in_generation(const detail::Admission& admission, const SettledCall& call, TimePoint now) noexcept;
    void log_outcome(const SettledCall& call, TimePoint now) noexcept;
    void note_retry_hint(const Settlement& settlement, TimePoint now) noexcept;

    // judging
    void record(const SettledCall& call, TimePoint now) noexcept;
    [[nodiscard]] std::uint32_t record_hung_calls(TimePoint now) noexcept;
    void judge(std::uint32_t run_at_failure, std::string_view message, TimePoint now) noexcept;
    [[nodiscard]] bool start_countdown(std::uint64_t minimum, WindowCounts& counts, TimePoint now) noexcept;
    std::uint32_t lengthen_run(TimePoint now) noexcept;
    [[nodiscard]] std::uint32_t run_at(TimePoint now) const noexcept;
    void set_run(std::uint32_t run) noexcept { run_.store(run_word(generation(), run)); }
    void judge_next_success() noexcept { successes_until_judged_.store(1); }
    void stop_countdown() noexcept;

    // half-open
    void settle_probe(const detail::Admission& admission, const SettledCall& call, TimePoint now) noexcept;
    void expire_leases(TimePoint now) noexcept;

    // transitions
    void trip(const Cause& cause, TimePoint now) noexcept;
    void transition(State to, const Cause& cause, TimePoint now) noexcept;
    [[nodiscard]] detail::KeptReport make_report(State from, State to, const Cause& cause, std::uint32_t run,
                                                 TimePoint now) const noexcept;
    [[nodiscard]] Duration draw_open_time(std::uint32_t attempt, TimePoint now) noexcept;
    [[nodiscard]] std::uint32_t run_to_report(const Cause& cause, TimePoint now) const noexcept;
    [[nodiscard]] WindowCounts counts_to_report(TimePoint now) const noexcept;
    void clear_window(TimePoint now) noexcept;
    void continue_generations_after(std::uint64_t generation, TimePoint now) noexcept;

    // settings
    void publish_config() noexcept;
    void set_hung_call_threshold(std::optional<Duration> threshold);
    // Only after a threshold was set. relaxed: stored under the mutex, which the caller holds.
    [[nodiscard]] detail::WatchedCalls& watched_calls() noexcept { return *watched_.load(std::memory_order_relaxed); }

    // `run_`: I4.
    static constexpr std::uint64_t run_word(std::uint64_t generation, std::uint32_t run) noexcept {
        return std::uint64_t{static_cast<std::uint32_t>(generation)} << 32U | run;
    }
    /// True for a run of that generation that is not empty.
    static constexpr bool is_run_of(std::uint64_t generation, std::uint64_t run) noexcept {
        return run > run_word(generation, 0) && run <= run_word(generation, ~0U);
    }

    // `successes_until_judged_`: I5. More than `longest_countdown`: no success has to be judged.
    static constexpr std::int64_t longest_countdown = std::int64_t{1} << 40U;
    static constexpr std::int64_t no_countdown = std::int64_t{1} << 62U;

    // What plain successes write and read. Not aligned to a cache line: a million breakers would pay for the alignment
    // with holes, and where threads compete they write to stripes of their own.
    detail::Stripes stripes_;
    detail::Atomic<std::uint64_t> run_{};                                // I4
    detail::Atomic<std::int64_t> successes_until_judged_{no_countdown};  // I5
    detail::Atomic<detail::EventHub*> hub_{nullptr};                     // I7
    // A success that took less is not slow, and its duration belongs to the first bucket of the histogram. I6
    detail::Atomic<Duration::rep> quick_success_below_{};

    CircuitBreaker& breaker_;
    const Clock& clock_;
    detail::Atomic<detail::WatchedCalls*> watched_{nullptr};      // I7
    const std::unique_ptr<const Classifier> classify_exception_;  // null: every exception is a failure
    detail::Recovery recovery_;
    const std::string name_;

    // Guards everything below, except in OutcomeWindow::try_success (W2 in outcome_window.hpp); recovery_, except in
    // Recovery::surely_full (P1 in recovery.hpp); and every store of CircuitBreaker's atomics, of hub_ and of watched_.
    // WatchedCalls and EventHub have mutexes of their own, which are taken after this one.
    detail::Mutex mutex_;
    SharedConfig config_;
    std::uint64_t config_version_{1};
    std::shared_ptr<detail::EventHub> hub_owner_;  // what hub_ points to
    Totals totals_;
    // Of the calls that `totals_` counts. Made for the first one; without memory for it only the histogram lacks them.
    std::unique_ptr<DurationHistogram> durations_;
    TimePoint latest_;  // I9
    detail::OutcomeWindow window_;
    TimePoint last_failure_at_{};
    std::uint32_t attempt_{};       // failed recoveries since the circuit was last closed (R26)
    TimePoint quiet_until_{};       // metrics_only: would-have-tripped is not reported again before
    TimePoint retry_hint_until_{};  // the latest moment that a dependency asked to wait for (R29)
    detail::JitterSource jitter_;
    std::uint64_t trip_count_{};
    TimePoint last_change_;
    WallTime last_change_wall_;
    Duration time_open_{};  // without the time since last_change_
    detail::OutcomeLog outcome_log_;
    const std::size_t report_capacity_;
    std::unique_ptr<History> history_;  // made for the first transition
};

}  // namespace fusebox
