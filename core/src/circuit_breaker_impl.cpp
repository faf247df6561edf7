#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <random>
#include <stdexcept>
#include <utility>

#include "snapshot_check.hpp"
#include "text.hpp"

namespace fusebox {
namespace {

CircuitBreakerConfig validated(const CircuitBreakerConfig& config) {
    if (auto errors = validate(config); !errors.empty()) throw InvalidConfig{std::move(errors)};
    return config;
}

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

// Counters are added to with relaxed order where nothing is read after them; a part is added to after its whole, with
// release, and read before its whole, with acquire (see metrics), so that it is never seen above it (R41).
void add(detail::Counter& counter, std::memory_order order) noexcept { counter.fetch_add(1, order); }

std::uint64_t sum(const detail::Buckets& buckets, DurationHistogram& histogram) noexcept {
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        const auto count = buckets[i].load(std::memory_order_acquire);  // pairs as described at add()
        histogram.buckets[i] += count;
        total += count;
    }
    return total;
}

}  // namespace

CircuitBreaker::Impl::Impl(CircuitBreaker& breaker, const CircuitBreakerConfig& config, BreakerOptions options)
    : breaker_(breaker),
      clock_(*options.clock),
      classify_exception_(std::move(options.classify_exception)),
      config_(validated(config)),
      latest_(clock_.now()),
      window_(stripes_, config.window, latest_),
      jitter_(options.seed ? *options.seed : random_seed()),
      last_change_(latest_),
      last_change_wall_(clock_.wall_now()),
      reports_(validated_capacity(options.report_capacity)) {
    probes_.reserve(config.half_open_max_concurrent);
    watched_.set_threshold(config.hung_call_threshold);
    publish_config();
    breaker_.word_.store(static_cast<std::uint64_t>(config.enabled ? State::closed : State::disabled));
}

std::uint64_t CircuitBreaker::Impl::load_word() const noexcept {
    return breaker_.word_.load(std::memory_order_acquire);  // pairs with the release in transition()
}

// ---- admission ----------------------------------------------------------------------------------------------------

std::expected<Permit, Rejection> CircuitBreaker::Impl::acquire() noexcept {
    for (;;) {
        const auto word = load_word();
        auto now = TimePoint{};
        switch (state_of(word)) {
            case State::forced_open:
                return std::unexpected{reject(Rejection::Kind::circuit_open, word, {})};
            case State::open: {
                // acquire: pairs with the release in transition(). With the second look at the word, the retry time is
                // known to be that of this generation.
                const TimePoint retry_at{Duration{retry_at_.load(std::memory_order_acquire)}};
                now = clock_.now();
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
    // relaxed: see try_acquire.
    if (state_of(word) == State::disabled || !breaker_.watching_.load(std::memory_order_relaxed)) {
        return Permit{breaker_, generation, state_of(word), now};
    }
    if (const auto place = watched_.begin(generation, now)) {
        return Permit{breaker_, generation, state_of(word), now, place->ticket, place->slot};
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
        const TimePoint retry_at{Duration{retry_at_.load()}};
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
        if (state_of(word) == State::half_open && probes_.in_flight() < config_.half_open_max_concurrent) {  // R4, R25
            // A probe that hangs is given up as early as any other call that hangs (R17).
            const auto lease = std::min(config_.probe_lease, config_.hung_call_threshold.value_or(config_.probe_lease));
            const auto ticket = ++last_ticket_;
            const auto slot = probes_.take({.ticket = ticket, .started = now, .deadline = now + lease});
            publish_probes();
            permit = Permit{breaker_, generation_of(word), State::half_open, now, ticket, slot};
        }
        if (state_of(word) == State::open) retry_after = TimePoint{Duration{retry_at_.load()}} - now;
    }
    hub_->drain(breaker_);
    if (permit) return *std::move(permit);
    if (admits_all(state_of(word))) return std::nullopt;
    const auto kind =
        state_of(word) == State::half_open ? Rejection::Kind::too_many_probes : Rejection::Kind::circuit_open;
    return std::unexpected{reject(kind, word, retry_after)};
}

Rejection CircuitBreaker::Impl::reject(Rejection::Kind kind, std::uint64_t word, Duration retry_after) noexcept {
    auto& stripe = stripes_.own();
    add(kind == Rejection::Kind::circuit_open ? stripe.rejected_open : stripe.rejected_probes,
        std::memory_order_relaxed);
    const Rejection rejection{kind, state_of(word), retry_after, generation_of(word)};
    if (hub_->wants(EventMask::calls)) [[unlikely]]
        hub_->deliver(breaker_, RequestRejectedEvent{rejection});
    return rejection;
}

// ---- settling -----------------------------------------------------------------------------------------------------

void CircuitBreaker::Impl::settle(const Permit& permit, Outcome outcome, TimePoint now,
                                  const Settlement& settlement) noexcept {
    const auto duration =
        std::max(Duration::zero(), settlement.duration ? *settlement.duration : now - permit.started_);
    const auto slow =
        duration.count() >= slow_threshold_.load(std::memory_order_relaxed);  // relaxed: stands for itself
    auto& stripe = stripes_.own();
    count_settled(stripe, permit, outcome, slow, duration);
    settle_generation(stripe, permit, {outcome, slow, duration, &settlement}, now);
    if (hub_->wants(EventMask::calls)) [[unlikely]] {
        hub_->deliver(breaker_, RequestExecutedEvent{permit.state_, outcome, slow, duration});
    }
}

// For life, whatever the generation (R8, R16).
void CircuitBreaker::Impl::count_settled(detail::Stripe& stripe, const Permit& permit, Outcome outcome, bool slow,
                                         Duration duration) noexcept {
    const auto in_histogram = [&](detail::Buckets& buckets) {
        stripe.duration_sum.fetch_add(duration.count(), std::memory_order_relaxed);  // relaxed: see add()
        add(buckets[detail::bucket_of(duration)], std::memory_order_relaxed);
    };
    switch (outcome) {
        case Outcome::success:
            in_histogram(stripe.successes);
            break;
        case Outcome::failure:
            in_histogram(totals_.failures);
            break;
        case Outcome::timeout:
            in_histogram(totals_.timeouts);
            break;
        case Outcome::ignored:
            add(totals_.ignored, std::memory_order_relaxed);
            break;
        case Outcome::abandoned:
            add(totals_.abandoned, std::memory_order_relaxed);
            break;
    }
    // release: parts, see add().
    if (slow) [[unlikely]]
        add(totals_.slow, std::memory_order_release);
    if (permit.is_probe()) [[unlikely]]
        add(totals_.probes, std::memory_order_release);
}

void CircuitBreaker::Impl::count_stale() noexcept {
    add(totals_.stale, std::memory_order_release);
}  // a part: see add()

bool CircuitBreaker::Impl::is_neutral(Outcome outcome) const noexcept {
    switch (outcome) {
        case Outcome::success:
        case Outcome::failure:
            return false;
        case Outcome::timeout:
            return !count_timeouts_.load(std::memory_order_relaxed);  // relaxed: stands for itself
        case Outcome::ignored:
        case Outcome::abandoned:
            return true;
    }
    return true;
}

void CircuitBreaker::Impl::settle_generation(detail::Stripe& stripe, const Permit& permit, const Verdict& verdict,
                                             TimePoint now) noexcept {
    const auto hinted = verdict.settlement->retry_after.has_value();
    auto plain = verdict.outcome == Outcome::success && !verdict.slow && !hinted && !permit.is_probe();
    auto neutral = is_neutral(verdict.outcome) && !hinted && !permit.is_probe();
    auto counted = false;
    auto overdue = false;
    if (permit.ticket_ != 0 && !permit.is_probe()) [[unlikely]] {
        const auto watched = watched_.end({permit.slot_, permit.ticket_}, now);
        counted = watched.counted;
        overdue = watched.overdue;
    } else if (breaker_.watching_.load(std::memory_order_relaxed)) [[unlikely]] {  // relaxed: see try_acquire
        overdue = watched_.any_overdue(now);
    }
    if (overdue) plain = neutral = false;  // another call hangs: judge it (R17)
    if (generation() != permit.generation_) [[unlikely]]
        return count_stale();                                            // R8
    if (counted || neutral || permit.state_ == State::disabled) return;  // R17, R10
    if (!plain || !window_.try_success(stripe, permit.generation_, now)) return settle_locked(permit, verdict, now);

    clear_run(permit.generation_);
    // seq_cst, after the seq_cst swap in try_success: see judge().
    if (judge_in_.load() <= armed && judge_in_.fetch_sub(1) <= 1) [[unlikely]]
        judge_locked(permit.generation_, now, true);
}

// R11. The tag keeps a late success from clearing the run of a later generation.
void CircuitBreaker::Impl::clear_run(std::uint64_t generation) noexcept {
    // relaxed: the word says everything itself, and a failure that was settled before is seen by coherence.
    auto run = run_.load(std::memory_order_relaxed);
    while (run > run_word(generation, 0) && run <= run_word(generation, ~0U)) {
        if (run_.compare_exchange_weak(run, run_word(generation, 0), std::memory_order_relaxed)) return;
    }
}

void CircuitBreaker::Impl::settle_locked(const Permit& permit, const Verdict& verdict, TimePoint now) noexcept {
    auto stale = false;
    {
        const std::scoped_lock lock{mutex_};
        now = advance(now);
        if (generation() != permit.generation_) {
            stale = true;
        } else if (permit.is_probe()) {
            settle_probe(permit, verdict, now, stale);
        } else {
            record(verdict, now);
        }
    }
    if (stale) count_stale();
    hub_->drain(breaker_);
}

void CircuitBreaker::Impl::judge_locked(std::uint64_t generation, TimePoint now, bool recorded) noexcept {
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
    hub_->drain(breaker_);
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
    judge(now, detail::cut(verdict.settlement->message, detail::KeptOutcome::message_bytes));
}

// R40. Of plain successes only some come here, and of neutral outcomes, so those with nothing to say are left out.
void CircuitBreaker::Impl::remember(const Verdict& verdict, TimePoint now) noexcept {
    const auto& settlement = *verdict.settlement;
    if (verdict.outcome == Outcome::success && !verdict.slow) return;
    if (is_neutral(verdict.outcome) && settlement.message.empty()) return;
    last_outcomes_.add({.at = now,
                        .duration = verdict.duration,
                        .outcome = verdict.outcome,
                        .slow = verdict.slow,
                        .message = detail::ShortText<detail::KeptOutcome::message_bytes>{settlement.message},
                        .trace_id = detail::ShortText<detail::KeptOutcome::trace_id_bytes>{settlement.trace_id}});
}

void CircuitBreaker::Impl::note_hint(const Settlement& settlement, TimePoint now) noexcept {
    if (!settlement.retry_after) return;
    const auto hint = std::clamp(*settlement.retry_after, Duration::zero(), config_.backoff.max_open_timeout);
    hint_until_ = std::max(hint_until_, now + hint);
}

// The failures in a row at `now`. A time window forgets the run with its latest failure (R11); a count window knows no
// time, there only a success ends the run.
std::uint32_t CircuitBreaker::Impl::run_at(TimePoint now) const noexcept {
    const auto* time = std::get_if<TimeWindow>(&config_.window);
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
    const auto hung = watched_.take_overdue(generation(), now, [&](Duration in_flight) {
        last_outcomes_.add({.at = now,
                            .duration = in_flight,
                            .outcome = Outcome::failure,
                            .slow = true,
                            .message = detail::ShortText<detail::KeptOutcome::message_bytes>{"still in flight"}});
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

    if (config_.consecutive_failure_threshold != 0 && run >= config_.consecutive_failure_threshold) {
        return trip({.reason = TransitionReason::consecutive_failures,
                     .threshold = static_cast<double>(config_.consecutive_failure_threshold),
                     .observed = static_cast<double>(run),
                     .window = window_.counts(now),
                     .note = message},
                    now);
    }

    const auto slow_rule = config_.slow_call_duration_threshold || config_.hung_call_threshold;
    if ((config_.failure_rate_threshold == 0 && !slow_rule) || !window_.any_bad()) {
        judge_in_.store(disarmed);
        return;
    }
    const auto minimum = window_.minimum(config_.minimum_requests);
    for (;;) {
        judge_in_.store(armed);
        const auto counts = window_.counts(now);
        if (counts.total < minimum) {
            const auto surplus = armed - static_cast<std::int64_t>(minimum - counts.total);
            if (judge_in_.fetch_sub(surplus) - surplus > 0) return;
            continue;
        }
        judge_in_.store(disarmed);
        const auto failure_rate = ratio(counts.failures, counts.total);
        if (config_.failure_rate_threshold != 0 && failure_rate >= config_.failure_rate_threshold) {
            return trip({.reason = TransitionReason::failure_rate,
                         .threshold = config_.failure_rate_threshold,
                         .observed = failure_rate,
                         .window = counts,
                         .note = message},
                        now);
        }
        const auto slow_rate = ratio(counts.slow, counts.total);
        if (slow_rule && slow_rate >= config_.slow_call_rate_threshold) {
            trip({.reason = TransitionReason::slow_call_rate,
                  .threshold = config_.slow_call_rate_threshold,
                  .observed = slow_rate,
                  .window = counts,
                  .note = message},
                 now);
        }
        return;
    }
}

void CircuitBreaker::Impl::trip(const Cause& cause, TimePoint now) noexcept {
    if (state() != State::metrics_only) return transition(State::open, cause, now);
    // What closed would have done: open as after no failed recovery, be silent for the open time, begin again.
    const auto open_for = draw_open_time(0, now);
    hub_->enqueue([&] {
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
    window_.clear(generation(), now);
    set_run(0);
    judge_in_.store(disarmed);
}

// ---- half-open ----------------------------------------------------------------------------------------------------

void CircuitBreaker::Impl::settle_probe(const Permit& permit, const Verdict& verdict, TimePoint now,
                                        bool& stale) noexcept {
    expire_leases(now);
    if (generation() != permit.generation_ || !probes_.release(permit.slot_, permit.ticket_)) {
        stale = true;  // R24: its lease ran out, or another one's did and that reopened the circuit
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
                 .note = detail::cut(verdict.settlement->message, detail::KeptOutcome::message_bytes)});
}

void CircuitBreaker::Impl::expire_leases(TimePoint now) noexcept {
    // relaxed: written under the mutex that is held here.
    if (now.time_since_epoch().count() < earliest_lease_.load(std::memory_order_relaxed)) return;
    const auto expiring = generation();
    while (generation() == expiring) {
        const auto probe = probes_.take_expired(now);
        publish_probes();
        if (!probe) return;
        last_outcomes_.add({.at = now,
                            .duration = now - probe->started,
                            .outcome = Outcome::failure,
                            .message = detail::ShortText<detail::KeptOutcome::message_bytes>{"its lease ran out"}});
        count_probe(false, true, false, now,
                    {.reason = TransitionReason::probe_lease_expired,
                     .threshold = seconds(probe->deadline - probe->started),
                     .observed = seconds(now - probe->started)});
    }
}

// R20, R21
void CircuitBreaker::Impl::count_probe(bool good, bool failure, bool slow, TimePoint now,
                                       const Cause& if_bad) noexcept {
    ++probe_counts_.total;
    probe_counts_.failures += failure ? 1 : 0;
    probe_counts_.slow += slow ? 1 : 0;
    good_probes_ += good ? 1 : 0;
    good_in_a_row_ = good ? good_in_a_row_ + 1 : 0;

    if (const auto& rule = config_.half_open_rate) {
        if (probe_counts_.total < rule->minimum_probes) return;
        const auto success_rate = ratio(good_probes_, probe_counts_.total);
        transition(success_rate >= rule->success_rate ? State::closed : State::open,
                   {.reason = TransitionReason::probe_success_rate,
                    .threshold = rule->success_rate,
                    .observed = success_rate,
                    .window = probe_counts_,
                    .note = if_bad.note},
                   now);
    } else if (!good) {
        auto cause = if_bad;
        cause.window = probe_counts_;
        transition(State::open, cause, now);
    } else if (good_in_a_row_ >= config_.success_threshold) {
        transition(State::closed,
                   {.reason = TransitionReason::success_threshold_met,
                    .threshold = static_cast<double>(config_.success_threshold),
                    .observed = static_cast<double>(good_in_a_row_),
                    .window = probe_counts_},
                   now);
    }
}

void CircuitBreaker::Impl::publish_probes() noexcept {
    // release: pair with the loads in acquire().
    earliest_lease_.store(probes_.earliest_deadline().time_since_epoch().count(), std::memory_order_release);
    probes_in_flight_.store(probes_.in_flight(), std::memory_order_release);
}

// ---- transitions --------------------------------------------------------------------------------------------------

Duration CircuitBreaker::Impl::draw_open_time(std::uint32_t attempt, TimePoint now) noexcept {
    return detail::open_time(config_, attempt, std::max(Duration::zero(), hint_until_ - now), jitter_);
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
        probes_.clear();
        publish_probes();
        probe_counts_ = {};
        good_probes_ = good_in_a_row_ = 0;
    }
    // release: pairs with the second look at the word in acquire().
    if (to == State::open) retry_at_.store((now + open_for).time_since_epoch().count(), std::memory_order_release);

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
    ++transitions_[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];

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
    hub_->enqueue([&] { return StateTransitionEvent{report.whole()}; });
    reports_.add(report);
}

void CircuitBreaker::Impl::control(State to, std::string_view actor, std::string_view note) {
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        // A reset must not switch on what the configuration switched off.
        transition(to == State::closed && !config_.enabled ? State::disabled : to,
                   {.reason = TransitionReason::operator_request,
                    .window = state() == State::half_open ? probe_counts_ : window_.counts(now),
                    .actor = actor,
                    .note = note},
                   now);
    }
    hub_->drain(breaker_);
}

void CircuitBreaker::Impl::reconfigure(const CircuitBreakerConfig& config, std::string_view actor,
                                       std::string_view note) {
    const auto checked = validated(config);
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        // What may throw comes first: then nothing has changed.
        probes_.reserve(config.half_open_max_concurrent);
        watched_.set_threshold(config.hung_call_threshold);
        if (config.window != config_.window) {
            window_.roll(now);
            window_.reshape(config.window, now);
        }
        if (run_at(now) == 0) set_run(0);  // what is forgotten stays forgotten, however long the new window (R11)
        const auto was_enabled = config_.enabled;
        config_ = checked;
        ++config_version_;
        publish_config();
        hub_->enqueue([&] {
            return ConfigChangedEvent{config_version_, std::string{detail::cut(actor, detail::KeptReport::actor_bytes)},
                                      std::string{detail::cut(note, detail::KeptReport::note_bytes)}};
        });

        const auto current = state();
        const Cause cause{.reason = TransitionReason::configuration,
                          .window = current == State::half_open ? probe_counts_ : window_.counts(now),
                          .actor = actor,
                          .note = note};
        if (config.enabled && !was_enabled && current == State::disabled) {
            transition(State::closed, cause, now);
        } else if (!config.enabled && was_enabled &&
                   (current == State::closed || current == State::open || current == State::half_open)) {
            transition(State::disabled, cause, now);
        } else {
            judge_next();  // by the new thresholds
        }
    }
    hub_->drain(breaker_);
}

// ---- saving and restoring (R52) ----------------------------------------------------------------------------------

BreakerSnapshot CircuitBreaker::Impl::snapshot() {
    BreakerSnapshot snapshot;
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        snapshot.state = state();
        if (snapshot.state == State::open) {
            snapshot.time_left = std::max(Duration::zero(), TimePoint{Duration{retry_at_.load()}} - now);
        }
        snapshot.attempt = attempt_;
        snapshot.trip_count = trip_count_;
        snapshot.generation = generation();
        snapshot.reports = reports_.all();
        snapshot.last_trip = reports_.last_trip();
    }
    snapshot.taken_at = clock_.wall_now();
    for (auto& report : snapshot.reports) report.at = {};
    if (snapshot.last_trip) snapshot.last_trip->at = {};
    return snapshot;
}

void CircuitBreaker::Impl::restore(const BreakerSnapshot& snapshot) {
    // What may throw comes first: then nothing has changed.
    detail::check_snapshot(snapshot);
    detail::ReportRing reports{reports_.capacity(), snapshot.reports, snapshot.last_trip};
    std::string note;
    if (snapshot.last_trip && is_failure_state(snapshot.state)) note = describe(*snapshot.last_trip);
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        std::swap(reports_, reports);
        count_on_from(snapshot.generation, now);
        trip_count_ = std::max(trip_count_, snapshot.trip_count);
        attempt_ = snapshot.attempt;

        auto to = config_.enabled ? snapshot.state : State::disabled;
        Duration time_left{};
        if (to == State::open) time_left = std::min(snapshot.time_left, detail::longest_open_time(config_));
        if (to == State::half_open) to = State::open;  // with no time left, so that the next admission is a probe
        if (to == State::closed) attempt_ = 0;         // R23
        if (to != state() || to == State::open) {
            transition(to,
                       {.reason = TransitionReason::restored,
                        .window = state() == State::half_open ? probe_counts_ : window_.counts(now),
                        .note = note,
                        .time_left = time_left},
                       now);
        }
        hub_->enqueue([&] { return StateRestoredEvent{snapshot.state, to, time_left, snapshot.taken_at}; });
    }
    hub_->drain(breaker_);
}

// The numbers up to `generation` were given by a process before this one. Not a transition: state and window stay.
void CircuitBreaker::Impl::count_on_from(std::uint64_t generation, TimePoint now) noexcept {
    const auto word = load_word();
    if (generation <= generation_of(word)) return;
    const auto run = run_at(now);
    // release: pairs as in transition(), and in its order.
    breaker_.word_.store(generation << 3U | static_cast<std::uint64_t>(state_of(word)), std::memory_order_release);
    window_.seal(generation);
    set_run(run);
}

// What calls read without the mutex.
void CircuitBreaker::Impl::publish_config() noexcept {
    // relaxed: each value stands for itself, and a call in flight may be judged by the old one or the new one.
    constexpr auto order = std::memory_order_relaxed;
    slow_threshold_.store(config_.slow_call_duration_threshold ? config_.slow_call_duration_threshold->count() : never,
                          order);
    count_timeouts_.store(config_.count_timeout_as_failure, order);
    most_probes_.store(config_.half_open_max_concurrent, std::memory_order_release);  // pairs with acquire()
    breaker_.operation_timeout_.store(config_.operation_timeout ? config_.operation_timeout->count() : 0, order);
    breaker_.watching_.store(config_.hung_call_threshold.has_value(), order);
}

// ---- the rest -----------------------------------------------------------------------------------------------------

Outcome CircuitBreaker::Impl::judge_exception(const std::exception_ptr& error) const noexcept {
    if (!classify_exception_) return Outcome::failure;
    try {
        return classify_exception_(error);
    } catch (...) {
        return Outcome::failure;  // a classifier that fails says nothing about the error
    }
}

void CircuitBreaker::Impl::record_fallback(bool failed) noexcept {
    add(totals_.fallbacks, std::memory_order_relaxed);
    hub_->enqueue([failed] { return FallbackExecutedEvent{failed}; });
    hub_->drain(breaker_);
}

CircuitBreakerConfig CircuitBreaker::Impl::config() {
    const std::scoped_lock lock{mutex_};
    return config_;
}

std::optional<TransitionReport> CircuitBreaker::Impl::last_trip() {
    const std::scoped_lock lock{mutex_};
    return reports_.last_trip();
}

std::vector<TransitionReport> CircuitBreaker::Impl::reports() {
    const std::scoped_lock lock{mutex_};
    return reports_.all();
}

// R41. What the mutex guards is exact. What calls count meanwhile without it is read so that it agrees: first the window,
// then the parts, then what they are parts of (see add), and every whole is summed from what was read. Each counter only
// grows, so no sum goes back.
CircuitBreakerMetrics CircuitBreaker::Impl::metrics() {
    CircuitBreakerMetrics metrics;
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        const auto word = load_word();
        metrics.state = state_of(word);
        metrics.generation = generation_of(word);
        metrics.window = window_.counts(now);
        metrics.consecutive_failures = run_at(now);
        metrics.consecutive_successes = good_in_a_row_;
        metrics.probes_in_flight = probes_.in_flight();
        metrics.last_change = last_change_;
        metrics.last_change_wall = last_change_wall_;
        if (metrics.state == State::open) {
            metrics.next_attempt = TimePoint{Duration{retry_at_.load()}};
            metrics.retry_after = std::max(Duration::zero(), *metrics.next_attempt - now);
        }
        metrics.open_duration = time_open_ + (is_open(metrics.state) ? now - last_change_ : Duration::zero());
        metrics.trip_count = trip_count_;
        metrics.attempt = attempt_;
        metrics.config_version = config_version_;
        metrics.transitions = transitions_;
    }
    const auto& window = metrics.window;
    metrics.failure_rate = ratio(window.failures, window.total);
    metrics.success_rate = window.total == 0 ? 1.0 : ratio(window.total - window.failures, window.total);
    metrics.slow_call_rate = ratio(window.slow, window.total);

    auto& totals = metrics.totals;
    constexpr auto order = std::memory_order_acquire;  // pairs as described at add()
    totals.stale = totals_.stale.load(order);
    totals.slow = totals_.slow.load(order);
    totals.probes = totals_.probes.load(order);
    totals.fallbacks = totals_.fallbacks.load(order);
    totals.ignored = totals_.ignored.load(order);
    totals.abandoned = totals_.abandoned.load(order);
    totals.failures = sum(totals_.failures, metrics.durations);
    totals.timeouts = sum(totals_.timeouts, metrics.durations);
    for (const auto& stripe : stripes_.all()) {
        totals.successes += sum(stripe.successes, metrics.durations);
        totals.rejected_open += stripe.rejected_open.load(order);
        totals.rejected_probes += stripe.rejected_probes.load(order);
        metrics.durations.sum += Duration{stripe.duration_sum.load(order)};
    }
    totals.admitted = totals.successes + totals.failures + totals.timeouts + totals.ignored + totals.abandoned;
    totals.rejected = totals.rejected_open + totals.rejected_probes;
    totals.requests = totals.admitted + totals.rejected;
    totals.listener_errors = hub_->errors();
    if (const auto count = metrics.durations.count(); count != 0) {
        metrics.average_duration = metrics.durations.sum / static_cast<Duration::rep>(count);
    }
    return metrics;
}

}  // namespace fusebox
