#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include <fusebox/text/utf8.hpp>
#include "snapshot_check.hpp"

namespace fusebox {
namespace {

std::size_t validated_capacity(std::size_t capacity) {
    if (capacity < 1 || capacity > 1024) {
        throw std::invalid_argument{"report_capacity is " + std::to_string(capacity) + ", must be in 1 … 1024"};
    }
    return capacity;
}

std::uint64_t random_seed() {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32U | device();
}

double ratio(std::uint64_t part, std::uint64_t whole) noexcept {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

double seconds(Duration duration) noexcept { return std::chrono::duration<double>{duration}.count(); }

bool is_open(State state) noexcept { return state == State::open || state == State::forced_open; }

}  // namespace

CircuitBreaker::Impl::Impl(CircuitBreaker& breaker, std::string name, SharedConfig config, BreakerOptions options)
    : breaker_(breaker),
      clock_(*options.clock),
      classify_exception_(options.classify_exception
                              ? std::make_unique<const Classifier>(std::move(options.classify_exception))
                              : nullptr),
      name_(std::move(name)),
      config_(std::move(config)),
      latest_(clock_.now()),
      window_(stripes_, config_->window, config_->measure_duration, config_->enabled, latest_),
      jitter_(options.seed ? *options.seed : random_seed()),
      last_change_(latest_),
      last_change_wall_(clock_.wall_now()),
      report_capacity_(validated_capacity(options.report_capacity)) {
    set_hung_call_threshold(config_->hung_call_threshold);
    publish_config();
    breaker_.word_.store(static_cast<std::uint64_t>(config_->enabled ? State::closed : State::disabled));
}

// ---- events --------------------------------------------------------------------------------------------------------

Subscription CircuitBreaker::Impl::subscribe(BreakerListener listener, EventMask mask) {
    std::shared_ptr<detail::EventHub> hub;
    {
        const std::scoped_lock lock{mutex_};
        if (!hub_owner_) {
            hub_owner_ = std::make_shared<detail::EventHub>();
            hub_.store(hub_owner_.get(), std::memory_order_release);  // pairs with the acquires below
        }
        hub = hub_owner_;
    }
    return hub->subscribe(std::move(listener), mask);
}

template <class Make>
void CircuitBreaker::Impl::enqueue(const Make& make) noexcept {
    if (hub_owner_) hub_owner_->enqueue(make);
}

void CircuitBreaker::Impl::drain() noexcept {
    if (auto* hub = hub_.load(std::memory_order_acquire)) hub->drain(breaker_);
}

// ---- admission ----------------------------------------------------------------------------------------------------

inline Rejection CircuitBreaker::Impl::reject(Rejection::Kind kind, std::uint64_t word, Duration retry_after) noexcept {
    auto& stripe = stripes_.own();
    // relaxed: a counter, orders nothing
    (kind == Rejection::Kind::circuit_open ? stripe.rejected_open : stripe.rejected_probes)
        .fetch_add(1, std::memory_order_relaxed);
    const Rejection rejection{kind, state_of(word), retry_after, generation_of(word)};
    if (wants(EventMask::calls)) [[unlikely]]
        hub_.load(std::memory_order_acquire)->deliver(breaker_, RequestRejectedEvent{rejection});
    return rejection;
}

std::expected<Permit, Rejection> CircuitBreaker::Impl::acquire() noexcept {
    for (;;) {
        const auto word = load_word();
        auto now = TimePoint{};
        switch (state_of(word)) {
            case State::forced_open:
                return std::unexpected{reject(Rejection::Kind::circuit_open, word, {})};
            case State::open: {
                // acquire: pairs with the release in transition(). With the second look at the word, the retry time is that of
                // this generation, or of the next one where it is open as well and just being made.
                const TimePoint retry_at{Duration{breaker_.retry_at_.load(std::memory_order_acquire)}};
                now = breaker_.now();
                if (now >= retry_at) break;
                if (load_word() != word) continue;
                return std::unexpected{reject(Rejection::Kind::circuit_open, word, retry_at - now)};  // R2
            }
            case State::half_open: {
                now = clock_.now();
                // acquire: pairs with the releases in publish_probes().
                const auto full =
                    probes_in_flight_.load(std::memory_order_acquire) >= most_probes_.load(std::memory_order_acquire);
                if (!full || now.time_since_epoch().count() >= earliest_lease_.load(std::memory_order_acquire)) break;
                if (load_word() != word) continue;
                return std::unexpected{reject(Rejection::Kind::too_many_probes, word, {})};  // R4
            }
            case State::closed:
            case State::disabled:
            case State::metrics_only: {
                if (auto permit = admit_watched(word)) return *std::move(permit);  // R1
                continue;
            }
        }
        if (auto answer = acquire_locked(now)) return *std::move(answer);
    }
}

// R17. Empty: hung calls were judged first, and the state may have changed.
std::optional<Permit> CircuitBreaker::Impl::admit_watched(std::uint64_t word) noexcept {
    const auto generation = generation_of(word);
    const auto now = clock_.now();
    // relaxed: see admits_at_once. acquire: pairs with the release in set_hung_call_threshold().
    auto* watched = watched_.load(std::memory_order_acquire);
    if (state_of(word) == State::disabled || watched == nullptr ||
        !breaker_.watching_.load(std::memory_order_relaxed)) {
        // relaxed: as in admits_at_once.
        return Permit{breaker_, {word, breaker_.measuring_.load(std::memory_order_relaxed) ? now : unmeasured}};
    }
    if (const auto place = watched->begin(generation, now)) {
        return Permit{breaker_, {word, now, place->ticket, place->slot}};
    }
    judge_locked(generation, now, false);
    return std::nullopt;
}

// Empty: the state admits all by now, decide again.
std::optional<std::expected<Permit, Rejection>> CircuitBreaker::Impl::acquire_locked(TimePoint now) noexcept {
    std::optional<Permit> permit;
    std::uint64_t word = 0;
    Duration retry_after{};
    {
        const std::scoped_lock lock{mutex_};
        now = advance(now);
        const TimePoint retry_at{Duration{breaker_.retry_at_.load()}};
        if (state() == State::open && now >= retry_at) {  // R3
            transition(State::half_open,
                       {.reason = TransitionReason::open_timeout_elapsed,
                        .threshold = seconds(retry_at - last_change_),
                        .observed = seconds(now - last_change_),
                        .window = window_.counts(now)},
                       now);
        }
        if (state() == State::half_open) expire_leases(now);
        word = load_word();
        auto* recovery = state_of(word) == State::half_open ? ready_recovery() : nullptr;
        if (recovery != nullptr && recovery->probes.in_flight() < config_->half_open_max_concurrent) {  // R4, R25
            // A probe that hangs is given up as early as any other call that hangs (R17).
            const auto lease =
                std::min(config_->probe_lease, config_->hung_call_threshold.value_or(config_->probe_lease));
            const auto ticket = ++recovery->last_ticket;
            const auto slot = recovery->probes.take({.ticket = ticket, .started = now, .deadline = now + lease});
            publish_probes();
            permit = Permit{breaker_, {word, config_->measure_duration ? now : unmeasured, ticket, slot}};
        }
        if (state_of(word) == State::open) retry_after = TimePoint{Duration{breaker_.retry_at_.load()}} - now;
    }
    drain();
    if (permit) return *std::move(permit);
    if (admits_all(state_of(word))) return std::nullopt;
    const auto kind =
        state_of(word) == State::half_open ? Rejection::Kind::too_many_probes : Rejection::Kind::circuit_open;
    return std::unexpected{reject(kind, word, retry_after)};
}

// Here and not beside the other members, so that the compiler sees through them.

// By a clock that is quick to read and may be late. Zero also where somebody listens to rejections.
Duration CircuitBreaker::reject_quickly(std::uint64_t word) noexcept {
    if (state_of(word) != State::open || !by_steady_clock_) [[unlikely]]
        return Duration::zero();
    // acquire: as in acquire(), and for the same second look.
    const TimePoint retry_at{Duration{retry_at_.load(std::memory_order_acquire)}};
    // The clock may stand before the moment at which the circuit opened.
    const auto left =
        std::min(retry_at - detail::coarse_steady_clock(), Duration{open_for_.load(std::memory_order_acquire)});
    if (left <= detail::coarse_lag || word_.load(std::memory_order_acquire) != word || impl_->wants(EventMask::calls))
        [[unlikely]] {
        return Duration::zero();
    }
    impl_->count_rejection();
    return left;
}

std::expected<Permit, Rejection> CircuitBreaker::acquire() noexcept { return impl_->acquire(); }

bool CircuitBreaker::succeed_quickly(std::uint64_t word, TimePoint started, TimePoint ended) noexcept {
    // relaxed: stands for itself. acquire: pairs with the release in Impl::transition.
    if (watching_.load(std::memory_order_relaxed) || word_.load(std::memory_order_acquire) != word) [[unlikely]]
        return false;
    return impl_->succeed(word, started, ended);
}

void CircuitBreaker::settle(const detail::Admission& admission, Outcome outcome, TimePoint ended,
                            const Settlement& settlement) noexcept {
    impl_->settle(admission, outcome, ended, settlement);
}

void CircuitBreaker::abandon(const detail::Admission& admission) noexcept {
    impl_->settle(admission, Outcome::abandoned, end_of(admission, no_deadline), {});
}

void Permit::success() noexcept {
    if (auto* breaker = std::exchange(breaker_, nullptr)) {
        breaker->settle(admission_, Outcome::success, breaker->end_of(admission_, CircuitBreaker::no_deadline),
                        std::string_view{});
    }
}

void Permit::settle(Outcome outcome, const Settlement& settlement) noexcept {
    auto* breaker = std::exchange(breaker_, nullptr);
    if (breaker == nullptr) return;
    const auto ended = breaker->end_of(admission_, CircuitBreaker::no_deadline);
    if (!settlement.duration && !settlement.retry_after && settlement.message.empty()) {
        breaker->settle(admission_, outcome, ended, settlement.trace_id);
    } else {
        breaker->settle(admission_, outcome, ended, settlement);
    }
}

// ---- settling -----------------------------------------------------------------------------------------------------

// What comes next is all that most calls need. Everything else is kept out of it: a call of a function costs more here than
// what it does.
inline bool CircuitBreaker::Impl::succeed(std::uint64_t word, TimePoint started, TimePoint now) noexcept {
    const auto measured = started != unmeasured;
    const auto duration = measured ? now - started : Duration::zero();
    // relaxed: stands for itself
    if (duration.count() >= quick_below_.load(std::memory_order_relaxed)) [[unlikely]]
        return false;
    const auto generation = generation_of(word);
    auto& stripe = stripes_.own();
    const auto result = window_.try_success(stripe, generation, measured, now);
    if (result == detail::OutcomeWindow::Try::refused) [[unlikely]]
        return false;
    if (measured) stripe.add_duration(std::max(Duration::zero(), duration));
    // seq_cst, after the seq_cst swap in try_success: see judge().
    if (judge_in_.load() <= armed || has_run(generation) || wants(EventMask::calls) ||
        (result == detail::OutcomeWindow::Try::contended && !stripes_.is_wide())) [[unlikely]] {
        follow_success(word, now, duration, result == detail::OutcomeWindow::Try::contended);
    }
    return true;
}

// What a success that is recorded may entail.
void CircuitBreaker::Impl::follow_success(std::uint64_t word, TimePoint now, Duration duration,
                                          bool contended) noexcept {
    const auto generation = generation_of(word);
    clear_run(generation);
    if (judge_in_.load() <= armed && judge_in_.fetch_sub(1) <= 1) judge_locked(generation, now, true);
    if (contended && !stripes_.is_wide()) widen();
    if (wants(EventMask::calls)) tell(state_of(word), Outcome::success, false, std::max(Duration::zero(), duration));
}

void CircuitBreaker::Impl::settle(const detail::Admission& admission, Outcome outcome, TimePoint now,
                                  const Settlement& settlement) noexcept {
    const auto measured = settlement.duration || admission.started != unmeasured;
    auto duration = Duration::zero();
    if (settlement.duration) {
        duration = std::max(duration, *settlement.duration);
    } else if (measured) {
        duration = std::max(duration, Duration{now - admission.started});
    }
    if (now == unmeasured) now = breaker_.now();
    auto slow = false;
    {
        const std::scoped_lock lock{mutex_};
        now = advance(now);
        const auto& threshold = config_->slow_call_duration_threshold;
        slow = measured && threshold && duration >= *threshold;
        const Verdict verdict{outcome, duration, measured, slow, &settlement};
        count(admission, verdict);
        settle_generation(admission, verdict, now);
    }
    drain();
    if (wants(EventMask::calls)) [[unlikely]]
        tell(state_of(admission.word), outcome, slow, duration);
}

void CircuitBreaker::Impl::tell(State admitted_in, Outcome outcome, bool slow, Duration duration) noexcept {
    hub_.load(std::memory_order_acquire)->deliver(breaker_, RequestExecutedEvent{admitted_in, outcome, slow, duration});
}

// R11. The tag keeps a late success from clearing the run of a later generation.
void CircuitBreaker::Impl::clear_run(std::uint64_t generation) noexcept {
    // relaxed: the word says everything itself, and a failure that was settled before is seen by coherence.
    auto run = run_.load(std::memory_order_relaxed);
    while (is_run_of(generation, run)) {
        if (run_.compare_exchange_weak(run, run_word(generation, 0), std::memory_order_relaxed)) return;
    }
}

// For life, whatever the generation (R8, R16).
void CircuitBreaker::Impl::count(const detail::Admission& admission, const Verdict& verdict) noexcept {
    const auto measured = [&] {
        if (!verdict.measured) return;
        if (!durations_) durations_.reset(new (std::nothrow) DurationHistogram);
        if (!durations_) return;
        ++durations_->buckets[detail::bucket_of(verdict.duration)];
        durations_->sum += verdict.duration;
    };
    switch (verdict.outcome) {
        case Outcome::success:
            if (verdict.measured && detail::bucket_of(verdict.duration) != 0) {
                ++totals_.successes;
                measured();
            } else {
                // With the quick ones: most breakers are never asked for another bucket.
                window_.count_success(verdict.measured);
                stripes_.own().add_duration(verdict.duration);
            }
            break;
        case Outcome::failure:
            ++totals_.failures;
            ++totals_.failed;
            measured();
            break;
        case Outcome::timeout:
            ++totals_.timeouts;
            if (!is_neutral(verdict.outcome)) ++totals_.failed;
            measured();
            break;
        case Outcome::ignored:
            ++totals_.ignored;
            break;
        case Outcome::abandoned:
            ++totals_.abandoned;
            break;
    }
    if (verdict.slow) ++totals_.slow;
    if (is_probe(admission)) ++totals_.probes;
}

bool CircuitBreaker::Impl::is_neutral(Outcome outcome) const noexcept {
    switch (outcome) {
        case Outcome::success:
        case Outcome::failure:
            return false;
        case Outcome::timeout:
            return !config_->count_timeout_as_failure;
        case Outcome::ignored:
        case Outcome::abandoned:
            return true;
    }
    return true;
}

void CircuitBreaker::Impl::settle_generation(const detail::Admission& admission, const Verdict& verdict,
                                             TimePoint now) noexcept {
    auto counted = false;
    auto overdue = false;
    if (admission.ticket != 0 && !is_probe(admission)) {
        const auto watched = watched_calls().end({admission.slot, admission.ticket}, now);
        counted = watched.counted;
        overdue = watched.overdue;
    } else if (breaker_.watching_.load(std::memory_order_relaxed)) {  // relaxed: written under the mutex
        overdue = watched_calls().any_overdue(now);
    }
    if (generation() != generation_of(admission.word)) {
        ++totals_.stale;  // R8
    } else if (is_probe(admission)) {
        settle_probe(admission, verdict, now);
    } else if (state_of(admission.word) == State::disabled) {
        window_.make_room();
    } else if (counted) {
        return;                                                                               // R17
    } else if (!is_neutral(verdict.outcome) || verdict.settlement->retry_after || overdue) {  // R10
        record(verdict, now);
    }
}

void CircuitBreaker::Impl::widen() noexcept {
    const std::scoped_lock lock{mutex_};
    window_.widen();
}

void CircuitBreaker::Impl::judge_locked(std::uint64_t generation, TimePoint now, bool recorded) noexcept {
    if (now == unmeasured) now = breaker_.now();
    {
        const std::scoped_lock lock{mutex_};
        now = advance(now);
        if (this->generation() == generation) {
            window_.roll(now);
            if (record_hung(now) || recorded) {
                judge(now, {});
            } else {
                judge_next();
            }
        }
    }
    drain();
}

TimePoint CircuitBreaker::Impl::advance(TimePoint now) noexcept {
    latest_ = std::max(latest_, now);
    return latest_;
}

// ---- closed and metrics_only --------------------------------------------------------------------------------------

void CircuitBreaker::Impl::record(const Verdict& verdict, TimePoint now) noexcept {
    note_hint(*verdict.settlement, now);
    remember(verdict, now);
    const auto neutral = is_neutral(verdict.outcome);
    window_.roll(now);
    if (!neutral) {  // R14
        const auto failure = verdict.outcome != Outcome::success;
        if (failure || verdict.slow) {
            window_.add_bad(failure, verdict.slow);
        } else {
            window_.add_success();
        }
        if (failure) {
            extend_run(now);
        } else {
            clear_run(generation());
        }
    }
    // A neutral outcome comes here with a hint, or because another call hangs; by itself it is nothing to judge (R10).
    if (!record_hung(now) && neutral) return judge_next();
    judge(now, text::cut(verdict.settlement->message, detail::KeptOutcome::message_bytes));
}

// R40. Of plain successes only some come here, and of neutral outcomes, so those with nothing to say are left out.
void CircuitBreaker::Impl::remember(const Verdict& verdict, TimePoint now) noexcept {
    const auto& settlement = *verdict.settlement;
    if (verdict.outcome == Outcome::success && !verdict.slow) return;
    if (is_neutral(verdict.outcome) && settlement.message.empty()) return;
    last_outcomes_.add([&](detail::KeptOutcome& kept) {
        kept.at = now;
        kept.duration = verdict.duration;
        kept.outcome = verdict.outcome;
        kept.slow = verdict.slow;
        kept.message.assign(settlement.message);
        kept.trace_id.assign(settlement.trace_id);
    });
}

void CircuitBreaker::Impl::note_hint(const Settlement& settlement, TimePoint now) noexcept {
    if (!settlement.retry_after) return;
    const auto hint = std::clamp(*settlement.retry_after, Duration::zero(), config_->backoff.max_open_timeout);
    hint_until_ = std::max(hint_until_, now + hint);
}

// The failures in a row at `now`. A time window forgets the run with its latest failure (R11); a count window knows no
// time, there only a success ends the run.
std::uint32_t CircuitBreaker::Impl::run_at(TimePoint now) const noexcept {
    const auto* time = std::get_if<TimeWindow>(&config_->window);
    if (time != nullptr && now - last_failure_at_ > time->duration) return 0;
    return static_cast<std::uint32_t>(run_.load());
}

void CircuitBreaker::Impl::extend_run(TimePoint now) noexcept {
    auto run = run_.load();
    std::uint32_t longer = 0;
    do {
        const auto failures = run_at(now) == 0 ? 0U : static_cast<std::uint32_t>(run);
        longer = failures == ~0U ? failures : failures + 1;
        // Against clear_run only: everybody else who writes holds the mutex.
    } while (!run_.compare_exchange_weak(run, run_word(generation(), longer)));
    last_failure_at_ = now;
    reached_ = longer;
}

// A success may have ended the run since.
std::uint32_t CircuitBreaker::Impl::judged_run(const Cause& cause, TimePoint now) const noexcept {
    return cause.reason == TransitionReason::consecutive_failures ? static_cast<std::uint32_t>(cause.observed)
                                                                  : run_at(now);
}

void CircuitBreaker::Impl::set_run(std::uint32_t run) noexcept { run_.store(run_word(generation(), run)); }

// The next outcome is judged even if it is a plain success: the window (it has moved on) or what it is judged by is another
// one than at the last judgement.
void CircuitBreaker::Impl::judge_next() noexcept { judge_in_.store(1); }

// R17. The window must stand at `now`. False: there was none, and nothing new to judge.
bool CircuitBreaker::Impl::record_hung(TimePoint now) noexcept {
    // relaxed: written under the mutex that is held here.
    if (!breaker_.watching_.load(std::memory_order_relaxed)) return false;
    const auto hung = watched_calls().take_overdue(generation(), now, [&](Duration in_flight) {
        last_outcomes_.add([&](detail::KeptOutcome& kept) {
            kept.at = now;
            kept.duration = in_flight;
            kept.outcome = Outcome::failure;
            kept.slow = true;
            kept.message.assign("still in flight");
            kept.trace_id.assign({});
        });
    });
    for (auto left = hung; left != 0; --left) {
        window_.add_bad(true, true);
        extend_run(now);
    }
    return hung != 0;
}

// R12, in its order.
//
// A plain success is not judged, unless it can trip: it lowers both rates, except that it can bring the window to
// minimum_requests. So while failures or slow calls are in a window that is too small to be judged, judge_in_ counts the
// successes that are missing. No crossing is missed: this thread first arms judge_in_, then counts the window; a success
// first enters the window, then looks at judge_in_; all four seq_cst. So a success that is not in `counts` sees
// judge_in_ armed and takes itself off. One that is in `counts` may do so too; then the window is judged a little early,
// finds so, and counts again.
void CircuitBreaker::Impl::judge(TimePoint now, std::string_view message) noexcept {
    // A success that ends the run after the failure made it as long as this, and before it is judged, comes too late.
    const auto run = std::max(run_at(now), std::exchange(reached_, 0));
    if (state() == State::metrics_only && now < quiet_until_) {
        // Nothing wakes us when the quiet time is over, so each success looks.
        judge_in_.store(window_.any_bad() ? 1 : disarmed);
        return;
    }

    if (config_->consecutive_failure_threshold != 0 && run >= config_->consecutive_failure_threshold) {
        return trip({.reason = TransitionReason::consecutive_failures,
                     .threshold = static_cast<double>(config_->consecutive_failure_threshold),
                     .observed = static_cast<double>(run),
                     .window = window_.counts(now),
                     .note = message},
                    now);
    }

    const auto slow_rule = config_->slow_call_duration_threshold || config_->hung_call_threshold;
    if ((config_->failure_rate_threshold == 0 && !slow_rule) || !window_.any_bad()) {
        disarm();
        return;
    }
    const auto minimum = window_.minimum(config_->minimum_requests);
    auto counts = window_.counts(now);
    while (counts.total < minimum) {
        judge_in_.store(armed);
        counts = window_.counts(now);
        if (counts.total >= minimum) break;
        const auto surplus = armed - static_cast<std::int64_t>(minimum - counts.total);
        if (judge_in_.fetch_sub(surplus) - surplus > 0) return;
        counts = window_.counts(now);
    }
    disarm();
    const auto failure_rate = ratio(counts.failures, counts.total);
    if (config_->failure_rate_threshold != 0 && failure_rate >= config_->failure_rate_threshold) {
        return trip({.reason = TransitionReason::failure_rate,
                     .threshold = config_->failure_rate_threshold,
                     .observed = failure_rate,
                     .window = counts,
                     .note = message},
                    now);
    }
    const auto slow_rate = ratio(counts.slow, counts.total);
    if (slow_rule && slow_rate >= config_->slow_call_rate_threshold) {
        trip({.reason = TransitionReason::slow_call_rate,
              .threshold = config_->slow_call_rate_threshold,
              .observed = slow_rate,
              .window = counts,
              .note = message},
             now);
    }
}

// A store with a fence costs as much as taking the mutex, and failures in a row find it disarmed already.
void CircuitBreaker::Impl::disarm() noexcept {
    if (judge_in_.load() <= armed) judge_in_.store(disarmed);
}

void CircuitBreaker::Impl::trip(const Cause& cause, TimePoint now) noexcept {
    if (state() != State::metrics_only) return transition(State::open, cause, now);
    // What closed would have done: open as after no failed recovery, be silent for the open time, begin again.
    const auto open_for = draw_open_time(0, now);
    enqueue([&] {
        const detail::KeptReport report{{.sequence = generation(),
                                         .from = State::metrics_only,
                                         .to = State::open,
                                         .reason = cause.reason,
                                         .threshold = cause.threshold,
                                         .observed = cause.observed,
                                         .window = cause.window,
                                         .consecutive_failures = judged_run(cause, now),
                                         .open_for = open_for,
                                         .config_version = config_version_,
                                         .at = now,
                                         .wall_time = clock_.wall_now(),
                                         .actor = {},
                                         .note = {}},
                                        {},
                                        detail::ShortText<detail::KeptReport::note_bytes>{cause.note},
                                        last_outcomes_.last()};
        return WouldHaveTrippedEvent{report.whole()};
    });
    quiet_until_ = now + open_for;
    clear_window(now);
    last_outcomes_.clear();
}

void CircuitBreaker::Impl::clear_window(TimePoint now) noexcept {
    window_.clear(generation(), state() != State::disabled, now);
    set_run(0);
    judge_in_.store(disarmed);
}

// ---- half-open ----------------------------------------------------------------------------------------------------

void CircuitBreaker::Impl::settle_probe(const detail::Admission& admission, const Verdict& verdict,
                                        TimePoint now) noexcept {
    expire_leases(now);
    if (generation() != generation_of(admission.word) || !recovery_->probes.release(admission.slot, admission.ticket)) {
        ++totals_.stale;  // R24: its lease ran out, or another one's did and that reopened the circuit
        return;
    }
    publish_probes();
    note_hint(*verdict.settlement, now);
    remember(verdict, now);
    if (is_neutral(verdict.outcome)) return;  // R22
    const auto failure = verdict.outcome != Outcome::success;
    count_probe(!failure && !verdict.slow, failure, verdict.slow, now,
                {.reason = TransitionReason::probe_failed,
                 .observed = 1,
                 .note = text::cut(verdict.settlement->message, detail::KeptOutcome::message_bytes)});
}

void CircuitBreaker::Impl::expire_leases(TimePoint now) noexcept {
    // relaxed: written under the mutex that is held here.
    if (!recovery_ || now.time_since_epoch().count() < earliest_lease_.load(std::memory_order_relaxed)) return;
    const auto expiring = generation();
    while (generation() == expiring) {
        const auto probe = recovery_->probes.take_expired(now);
        publish_probes();
        if (!probe) return;
        last_outcomes_.add([&](detail::KeptOutcome& kept) {
            kept.at = now;
            kept.duration = now - probe->started;
            kept.outcome = Outcome::failure;
            kept.message.assign("its lease ran out");
            kept.slow = false;
            kept.trace_id.assign({});
        });
        count_probe(false, true, false, now,
                    {.reason = TransitionReason::probe_lease_expired,
                     .threshold = seconds(probe->deadline - probe->started),
                     .observed = seconds(now - probe->started)});
    }
}

// R20, R21
void CircuitBreaker::Impl::count_probe(bool good, bool failure, bool slow, TimePoint now,
                                       const Cause& if_bad) noexcept {
    auto& recovery = *recovery_;
    ++recovery.counts.total;
    recovery.counts.failures += failure ? 1 : 0;
    recovery.counts.slow += slow ? 1 : 0;
    recovery.good += good ? 1 : 0;
    recovery.good_in_a_row = good ? recovery.good_in_a_row + 1 : 0;

    if (const auto& rule = config_->half_open_rate) {
        if (recovery.counts.total < rule->minimum_probes) return;
        const auto success_rate = ratio(recovery.good, recovery.counts.total);
        transition(success_rate >= rule->success_rate ? State::closed : State::open,
                   {.reason = TransitionReason::probe_success_rate,
                    .threshold = rule->success_rate,
                    .observed = success_rate,
                    .window = recovery.counts,
                    .note = if_bad.note},
                   now);
    } else if (!good) {
        auto cause = if_bad;
        cause.window = recovery.counts;
        transition(State::open, cause, now);
    } else if (recovery.good_in_a_row >= config_->success_threshold) {
        transition(State::closed,
                   {.reason = TransitionReason::success_threshold_met,
                    .threshold = static_cast<double>(config_->success_threshold),
                    .observed = static_cast<double>(recovery.good_in_a_row),
                    .window = recovery.counts},
                   now);
    }
}

// Null without memory for the probes: then there is room for none now, and the next one who asks tries again.
CircuitBreaker::Impl::Recovery* CircuitBreaker::Impl::ready_recovery() noexcept {
    try {
        if (!recovery_) recovery_ = std::make_unique<Recovery>();
        recovery_->probes.reserve(config_->half_open_max_concurrent);
        return recovery_.get();
    } catch (const std::bad_alloc&) {
        return nullptr;
    }
}

void CircuitBreaker::Impl::publish_probes() noexcept {
    // release: pair with the loads in acquire().
    const auto earliest = recovery_ ? recovery_->probes.earliest_deadline() : TimePoint::max();
    earliest_lease_.store(earliest.time_since_epoch().count(), std::memory_order_release);
    probes_in_flight_.store(recovery_ ? recovery_->probes.in_flight() : 0, std::memory_order_release);
}

// Of the probes in half-open, else of the window.
WindowCounts CircuitBreaker::Impl::counts_to_report(TimePoint now) const noexcept {
    if (state() != State::half_open) return window_.counts(now);
    return recovery_ ? recovery_->counts : WindowCounts{};
}

// ---- transitions --------------------------------------------------------------------------------------------------

Duration CircuitBreaker::Impl::draw_open_time(std::uint32_t attempt, TimePoint now) noexcept {
    return detail::open_time(*config_, attempt, std::max(Duration::zero(), hint_until_ - now), jitter_);
}

// R15: the one place that writes the word, under the mutex; each call begins a generation.
void CircuitBreaker::Impl::transition(State to, const Cause& cause, TimePoint now) noexcept {
    const auto from = state();
    const auto next = generation() + 1;
    const auto run = judged_run(cause, now);
    Duration open_for{};
    if (is_open(from)) time_open_ += now - last_change_;
    if (to == State::open) {
        if (cause.reason == TransitionReason::restored) {
            open_for = cause.time_left;  // R52: neither a trip nor a failed recovery
        } else {
            if (from == State::half_open && attempt_ != ~0U) ++attempt_;  // R26
            open_for = draw_open_time(attempt_, now);
            ++trip_count_;
        }
    } else if (to == State::closed) {  // R23
        attempt_ = 0;
        hint_until_ = {};
    }
    if (from == State::half_open || to == State::half_open) {
        if (recovery_) {
            recovery_->probes.clear();
            recovery_->counts = {};
            recovery_->good = recovery_->good_in_a_row = 0;
        }
        publish_probes();
    }
    // release: pairs with the second look at the word in acquire().
    if (to == State::open) {
        window_.widen();  // rejections, which may not wait for anything, find their cells ready
        breaker_.open_for_.store(open_for.count(), std::memory_order_release);
        breaker_.retry_at_.store((now + open_for).time_since_epoch().count(), std::memory_order_release);
    }

    // release: pairs with every load of the word: who sees the new state sees what was written for it above. The window
    // follows: until its cells carry the new generation, outcomes of the new generation wait for the mutex.
    breaker_.word_.store(next << 3U | static_cast<std::uint64_t>(to), std::memory_order_release);

    if (to == State::closed || to == State::disabled || to == State::metrics_only) {  // R16
        clear_window(now);
        quiet_until_ = now;
    } else {
        // Kept for those who look at why it opened, until the circuit closes.
        window_.seal(next);
        set_run(run);
        judge_in_.store(disarmed);
    }
    last_change_ = now;
    last_change_wall_ = clock_.wall_now();

    const detail::KeptReport report{{.sequence = next,
                                     .from = from,
                                     .to = to,
                                     .reason = cause.reason,
                                     .threshold = cause.threshold,
                                     .observed = cause.observed,
                                     .window = cause.window,
                                     .consecutive_failures = run,
                                     .open_for = open_for,
                                     .attempt = attempt_,
                                     .config_version = config_version_,
                                     .at = now,
                                     .wall_time = last_change_wall_,
                                     .actor = {},
                                     .note = {}},
                                    detail::ShortText<detail::KeptReport::actor_bytes>{cause.actor},
                                    detail::ShortText<detail::KeptReport::note_bytes>{cause.note},
                                    last_outcomes_.last()};
    if (admits_all(to)) last_outcomes_.clear();
    enqueue([&] { return StateTransitionEvent{report.whole()}; });
    if (!history_) history_.reset(new (std::nothrow) History{.reports = detail::ReportRing{report_capacity_}});
    if (!history_) return;  // without memory for it this transition is neither counted nor kept, but it is made
    ++history_->transitions[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
    history_->reports.add(report);
}

void CircuitBreaker::Impl::control(State to, std::string_view actor, std::string_view note) {
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        // A reset must not switch on what the configuration switched off.
        transition(to == State::closed && !config_->enabled ? State::disabled : to,
                   {.reason = TransitionReason::operator_request,
                    .window = counts_to_report(now),
                    .actor = actor,
                    .note = note},
                   now);
    }
    drain();
}

void CircuitBreaker::Impl::reconfigure(const CircuitBreakerConfig& config, std::string_view actor,
                                       std::string_view note) {
    SharedConfig next{config};
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        // What may throw comes first: then nothing has changed.
        set_hung_call_threshold(config.hung_call_threshold);
        if (config.window != config_->window) {
            window_.roll(now);
            window_.reshape(config.window, now);
        }
        if (config.measure_duration != config_->measure_duration) window_.set_measured(config.measure_duration);
        if (run_at(now) == 0) set_run(0);  // what is forgotten stays forgotten, however long the new window (R11)
        const auto was_enabled = config_->enabled;
        std::swap(config_, next);
        ++config_version_;
        publish_config();
        enqueue([&] {
            return ConfigChangedEvent{config_version_, std::string{text::cut(actor, detail::KeptReport::actor_bytes)},
                                      std::string{text::cut(note, detail::KeptReport::note_bytes)}};
        });

        const auto current = state();
        const Cause cause{
            .reason = TransitionReason::configuration, .window = counts_to_report(now), .actor = actor, .note = note};
        if (config.enabled && !was_enabled && current == State::disabled) {
            transition(State::closed, cause, now);
        } else if (!config.enabled && was_enabled &&
                   (current == State::closed || current == State::open || current == State::half_open)) {
            transition(State::disabled, cause, now);
        } else {
            judge_next();  // by the new thresholds
        }
    }
    drain();
}

// ---- saving and restoring (R52) ----------------------------------------------------------------------------------

BreakerSnapshot CircuitBreaker::Impl::snapshot() {
    BreakerSnapshot snapshot;
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        snapshot.state = state();
        if (snapshot.state == State::open) {
            snapshot.time_left = std::max(Duration::zero(), TimePoint{Duration{breaker_.retry_at_.load()}} - now);
        }
        snapshot.attempt = attempt_;
        snapshot.trip_count = trip_count_;
        snapshot.generation = generation();
        if (history_) {
            snapshot.reports = history_->reports.all();
            snapshot.last_trip = history_->reports.last_trip();
        }
    }
    snapshot.taken_at = clock_.wall_now();
    for (auto& report : snapshot.reports) report.at = {};
    if (snapshot.last_trip) snapshot.last_trip->at = {};
    return snapshot;
}

void CircuitBreaker::Impl::restore(const BreakerSnapshot& snapshot) {
    // What may throw comes first: then nothing has changed.
    detail::check_snapshot(snapshot);
    auto history = std::make_unique<History>(
        History{.reports = detail::ReportRing{report_capacity_, snapshot.reports, snapshot.last_trip}});
    std::string note;
    if (snapshot.last_trip && is_failure_state(snapshot.state)) note = describe(*snapshot.last_trip);
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        if (history_) history->transitions = history_->transitions;
        history_.swap(history);
        count_on_from(snapshot.generation, now);
        trip_count_ = std::max(trip_count_, snapshot.trip_count);
        attempt_ = snapshot.attempt;

        auto to = config_->enabled ? snapshot.state : State::disabled;
        Duration time_left{};
        if (to == State::open) time_left = std::min(snapshot.time_left, detail::longest_open_time(*config_));
        if (to == State::half_open) to = State::open;  // with no time left, so that the next admission is a probe
        if (to == State::closed) attempt_ = 0;         // R23
        if (to != state() || to == State::open) {
            transition(to,
                       {.reason = TransitionReason::restored,
                        .window = counts_to_report(now),
                        .note = note,
                        .time_left = time_left},
                       now);
        }
        enqueue([&] { return StateRestoredEvent{snapshot.state, to, time_left, snapshot.taken_at}; });
    }
    drain();
}

// The numbers up to `generation` were given by a process before this one. Not a transition: state and window stay.
void CircuitBreaker::Impl::count_on_from(std::uint64_t generation, TimePoint now) noexcept {
    const auto word = load_word();
    if (generation <= generation_of(word)) return;
    // Taken over in one step, so that a success that ends the run meanwhile is not undone.
    auto run = run_.load();
    const auto forgotten = run_at(now) == 0;
    while (!run_.compare_exchange_weak(run, run_word(generation, forgotten ? 0 : static_cast<std::uint32_t>(run)))) {
    }
    // release: pairs as in transition(), and in its order.
    breaker_.word_.store(generation << 3U | static_cast<std::uint64_t>(state_of(word)), std::memory_order_release);
    window_.seal(generation);
}

// May throw, and then changes nothing.
void CircuitBreaker::Impl::set_hung_call_threshold(std::optional<Duration> threshold) {
    if (watched_.load() == nullptr) {
        if (!threshold) return;
        watched_.store(new detail::WatchedCalls, std::memory_order_release);  // pairs with the load in admit_watched()
    }
    watched_calls().set_threshold(threshold);
}

// What calls read without the mutex.
void CircuitBreaker::Impl::publish_config() noexcept {
    // relaxed: each value stands for itself, and a call in flight may be judged by the old one or the new one.
    constexpr auto order = std::memory_order_relaxed;
    // A bound that belongs to the first bucket is in it.
    const auto first_bucket =
        std::chrono::round<Duration>(std::chrono::duration<double>{duration_bucket_bounds.front()}) + Duration{1};
    quick_below_.store(std::min(first_bucket, config_->slow_call_duration_threshold.value_or(first_bucket)).count(),
                       order);
    most_probes_.store(config_->half_open_max_concurrent, std::memory_order_release);  // pairs with acquire()
    breaker_.operation_timeout_.store(config_->operation_timeout ? config_->operation_timeout->count() : 0, order);
    breaker_.measuring_.store(config_->measure_duration, order);
    breaker_.watching_.store(config_->hung_call_threshold.has_value(), order);
}

// ---- the rest -----------------------------------------------------------------------------------------------------

Outcome CircuitBreaker::Impl::judge_exception(const std::exception_ptr& error) const noexcept {
    if (!classify_exception_) return Outcome::failure;
    try {
        return (*classify_exception_)(error);
    } catch (...) {
        return Outcome::failure;  // a classifier that fails says nothing about the error
    }
}

void CircuitBreaker::Impl::record_fallback(bool failed) noexcept {
    {
        const std::scoped_lock lock{mutex_};
        ++totals_.fallbacks;
        enqueue([failed] { return FallbackExecutedEvent{failed}; });
    }
    drain();
}

CircuitBreakerConfig CircuitBreaker::Impl::config() {
    const std::scoped_lock lock{mutex_};
    return *config_;
}

std::optional<TransitionReport> CircuitBreaker::Impl::last_trip() {
    const std::scoped_lock lock{mutex_};
    return history_ ? history_->reports.last_trip() : std::nullopt;
}

std::vector<TransitionReport> CircuitBreaker::Impl::reports() {
    const std::scoped_lock lock{mutex_};
    return history_ ? history_->reports.all() : std::vector<TransitionReport>{};
}

// R41. What the mutex guards is exact. Quick successes and rejections are counted meanwhile without it: the former are read
// after the window, which is made of the same cells, and every whole is summed from what was read. Each counter only grows.
CircuitBreakerMetrics CircuitBreaker::Impl::metrics() {
    CircuitBreakerMetrics metrics;
    {
        const std::scoped_lock lock{mutex_};
        const auto word = load_word();
        // Kept only for the open time that is told, which must not go back: who reads leaves the cache lines to those who call.
        const auto read_at = clock_.now();
        const auto now = is_open(state_of(word)) ? advance(read_at) : std::max(latest_, read_at);
        metrics.state = state_of(word);
        metrics.generation = generation_of(word);
        // Before the cells, so that every duration in the sum is one of a success that is counted below.
        stripes_.for_each([&](const detail::Stripe& stripe) { metrics.durations.sum += stripe.sum_of_durations(); });
        metrics.window = window_.counts(now);
        metrics.consecutive_failures = run_at(now);
        metrics.consecutive_successes = recovery_ ? recovery_->good_in_a_row : 0;
        metrics.probes_in_flight = probes_in_flight_.load();
        metrics.last_change = last_change_;
        metrics.last_change_wall = last_change_wall_;
        if (metrics.state == State::open) {
            metrics.next_attempt = TimePoint{Duration{breaker_.retry_at_.load()}};
            metrics.retry_after = std::max(Duration::zero(), *metrics.next_attempt - now);
        }
        metrics.open_duration = time_open_ + (is_open(metrics.state) ? now - last_change_ : Duration::zero());
        metrics.trip_count = trip_count_;
        metrics.attempt = attempt_;
        metrics.config_version = config_version_;
        if (history_) metrics.transitions = history_->transitions;
        const auto quick = window_.successes();
        if (durations_) {
            metrics.durations.buckets = durations_->buckets;
            metrics.durations.sum += durations_->sum;
        }
        metrics.durations.buckets[0] += quick.measured;
        metrics.totals = {.successes = totals_.successes + quick.measured + quick.unmeasured,
                          .failures = totals_.failures,
                          .timeouts = totals_.timeouts,
                          .failed = totals_.failed,
                          .ignored = totals_.ignored,
                          .abandoned = totals_.abandoned,
                          .stale = totals_.stale,
                          .slow = totals_.slow,
                          .fallbacks = totals_.fallbacks,
                          .probes = totals_.probes,
                          .listener_errors = hub_owner_ ? hub_owner_->errors() : 0};
        stripes_.for_each([&](const detail::Stripe& stripe) {
            constexpr auto order = std::memory_order_relaxed;  // the window's acquiring loads came first
            metrics.totals.rejected_open += stripe.rejected_open.load(order);
            metrics.totals.rejected_probes += stripe.rejected_probes.load(order);
        });
    }
    const auto& window = metrics.window;
    metrics.failure_rate = ratio(window.failures, window.total);
    metrics.success_rate = window.total == 0 ? 1.0 : ratio(window.total - window.failures, window.total);
    metrics.slow_call_rate = ratio(window.slow, window.total);

    auto& totals = metrics.totals;
    totals.admitted = totals.successes + totals.failures + totals.timeouts + totals.ignored + totals.abandoned;
    totals.rejected = totals.rejected_open + totals.rejected_probes;
    totals.requests = totals.admitted + totals.rejected;
    if (const auto count = metrics.durations.count(); count != 0) {
        metrics.average_duration = metrics.durations.sum / static_cast<Duration::rep>(count);
    }
    return metrics;
}

}  // namespace fusebox
