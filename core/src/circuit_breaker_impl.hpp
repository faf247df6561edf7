// The inside of a circuit breaker: what is decided without a lock, and what under one.
#pragma once

#include <atomic>
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

/// Lock-free: every rejection but those that lose a race for a probe slot, admission in closed, and a plain success
/// (see OutcomeWindow) that took no more than a millisecond. Everything else is short, under one mutex, and calls nobody
/// back: failures, longer calls, probes, the first success of a slice, transitions, control. Events are queued under the
/// mutex and delivered after it.
class CircuitBreaker::Impl {
public:
    Impl(CircuitBreaker& breaker, std::string name, SharedConfig config, BreakerOptions options);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    std::expected<Permit, Rejection> acquire() noexcept;
    /// For breakers that follow the steady clock: the open time that is left by a clock that is quick to read and may be late;
    /// zero where it is so short, or `word` so old, that one has to look closely, or somebody listens to rejections.
    [[nodiscard]] Duration surely_left(std::uint64_t word) const noexcept {
        // acquire: as in acquire(), and for the same second look.
        const TimePoint retry_at{Duration{breaker_.retry_at_.load(std::memory_order_acquire)}};
        // The clock may stand before the moment at which the circuit opened.
        const auto left = std::min(retry_at - detail::coarse_steady_clock(),
                                   Duration{breaker_.open_for_.load(std::memory_order_acquire)});
        return left > detail::coarse_lag && load_word() == word && !wants(EventMask::calls) ? left : Duration::zero();
    }
    void count_rejection() noexcept {
        stripes_.own().rejected_open.fetch_add(1, std::memory_order_relaxed);  // relaxed: a counter, orders nothing
    }
    /// A success of which nothing more is known; by far the most frequent end of a call.
    void succeed(const Permit& permit, TimePoint now, std::string_view trace_id) noexcept;
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

    Subscription subscribe(BreakerListener listener, EventMask mask);
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
        DurationHistogram durations{};
        std::uint64_t successes{};
        std::uint64_t failures{};
        std::uint64_t timeouts{};
        std::uint64_t ignored{};
        std::uint64_t abandoned{};
        std::uint64_t stale{};
        std::uint64_t slow{};
        std::uint64_t probes{};
        std::uint64_t fallbacks{};
    };

    // ---- without the mutex ----
    [[nodiscard]] std::uint64_t load_word() const noexcept {
        return breaker_.word_.load(std::memory_order_acquire);  // pairs with the release in transition()
    }
    [[nodiscard]] State state() const noexcept { return state_of(load_word()); }
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_of(load_word()); }
    std::optional<Permit> admit_watched(std::uint64_t word) noexcept;
    Rejection reject(Rejection::Kind kind, std::uint64_t word, Duration retry_after) noexcept;
    void follow_success(const Permit& permit, TimePoint now, Duration duration, bool contended) noexcept;
    [[nodiscard]] bool has_run(std::uint64_t generation) const noexcept {
        return is_run_of(generation, run_.load(std::memory_order_relaxed));  // relaxed: see clear_run
    }
    void clear_run(std::uint64_t generation) noexcept;
    void tell(const Permit& permit, Outcome outcome, bool slow, Duration duration) noexcept;
    [[nodiscard]] bool wants(EventMask kind) const noexcept {
        const auto* hub = hub_.load(std::memory_order_acquire);  // pairs with the release in subscribe()
        return hub != nullptr && hub->wants(kind);
    }
    void drain() noexcept;

    // ---- each takes the mutex, and delivers events after releasing it ----
    void widen() noexcept;
    std::optional<std::expected<Permit, Rejection>> acquire_locked(TimePoint now) noexcept;
    /// `recorded`: a success of that generation waits to be judged; otherwise only calls that hang are.
    void judge_locked(std::uint64_t generation, TimePoint now, bool recorded) noexcept;

    // ---- under the mutex ----
    TimePoint advance(TimePoint now) noexcept;
    template <class Make>
    void enqueue(const Make& make) noexcept;
    void count(const Permit& permit, const Verdict& verdict) noexcept;
    [[nodiscard]] bool is_neutral(Outcome outcome) const noexcept;
    void settle_generation(const Permit& permit, const Verdict& verdict, TimePoint now) noexcept;
    void record(const Verdict& verdict, TimePoint now) noexcept;
    void settle_probe(const Permit& permit, const Verdict& verdict, TimePoint now) noexcept;
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
    void disarm() noexcept;
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

    static constexpr bool is_run_of(std::uint64_t generation, std::uint64_t run) noexcept {
        return run > run_word(generation, 0) && run <= run_word(generation, ~0U);
    }

    // judge_in_: see judge(). Anything above `armed` means that no success has to be judged.
    static constexpr std::int64_t armed = std::int64_t{1} << 40U;
    static constexpr std::int64_t disarmed = std::int64_t{1} << 62U;
    static constexpr auto never = std::numeric_limits<Duration::rep>::max();

    CircuitBreaker& breaker_;
    const Clock& clock_;
    detail::Atomic<detail::EventHub*> hub_{nullptr};  // made for the first listener, and then there for good
    const std::function<Outcome(const std::exception_ptr&)> classify_exception_;

    // Read by calls; written by transitions and reconfigurations.
    detail::Atomic<Duration::rep>
        quick_below_{};  // a success that took less is neither slow nor beyond the first bucket
    detail::Atomic<std::uint32_t> most_probes_{};
    // Copies of what probes_ says, so that a rejection needs no lock. The deadline may be too early, never too late.
    detail::Atomic<std::uint32_t> probes_in_flight_{};
    detail::Atomic<TimePoint::rep> earliest_lease_{};

    // Written by failures, read by every success.
    detail::Atomic<std::uint64_t> run_{};
    detail::Atomic<std::int64_t> judge_in_{disarmed};

    detail::Stripes stripes_;
    detail::WatchedCalls watched_;

    const std::string name_;

    detail::Mutex mutex_;  // guards everything below, every write of CircuitBreaker::word_, and the window's slow side
    SharedConfig config_;
    std::uint64_t config_version_{1};
    std::shared_ptr<detail::EventHub> hub_owner_;
    Totals totals_;
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
