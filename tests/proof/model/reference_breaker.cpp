#include "proof/model/reference_breaker.hpp"

#include <algorithm>
#include <cmath>

namespace fusebox::test::model {
namespace {

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

// §1: a timeout is a failure unless it is configured not to be; then it is as neutral as `ignored` and `abandoned`.
bool is_failure(Outcome outcome, const CircuitBreakerConfig& config) {
    return outcome == Outcome::failure || (outcome == Outcome::timeout && config.count_timeout_as_failure);
}
bool is_neutral(Outcome outcome, const CircuitBreakerConfig& config) {
    return outcome != Outcome::success && !is_failure(outcome, config);
}

template <class Outcomes>
WindowCounts count(const Outcomes& outcomes) {
    WindowCounts counts;
    for (const auto& outcome : outcomes) {
        ++counts.total;
        if (outcome.failure) ++counts.failures;
        if (outcome.slow) ++counts.slow;
    }
    return counts;
}

double rate(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

ReferenceBreaker::ReferenceBreaker(const CircuitBreakerConfig& config, TimePoint now)
    : config_(config), born_(now), state_(config.enabled ? State::closed : State::disabled), changed_(now) {}

// ---- admission (§4) ----

std::expected<ReferenceBreaker::CallId, Rejection> ReferenceBreaker::admit(TimePoint now) {
    expire_leases(now);                     // R24
    if (count_hung_calls(now)) judge(now);  // R17

    if (state_ == State::open && now >= retry_at_) {  // R3
        move_to(State::half_open,
                {TransitionReason::open_timeout_elapsed, seconds(*retry_at_ - changed_), seconds(now - changed_)}, now);
    }

    std::optional<Rejection> rejection;
    if (state_ == State::open) {  // R2
        rejection = {Rejection::Kind::circuit_open, state_, *retry_at_ - now, generation()};
    } else if (state_ == State::forced_open) {
        rejection = {Rejection::Kind::circuit_open, state_, Duration::zero(), generation()};
    } else if (state_ == State::half_open && probes_in_flight() >= config_.half_open_max_concurrent) {  // R4
        rejection = {Rejection::Kind::too_many_probes, state_, Duration::zero(), generation()};
    }
    if (rejection) {
        ++totals_.requests;
        ++totals_.rejected;
        ++(rejection->kind == Rejection::Kind::circuit_open ? totals_.rejected_open : totals_.rejected_probes);
        return std::unexpected{*rejection};
    }

    calls_.push_back(
        {.generation = generation(),
         .state = state_,
         .started = now,
         .watched = config_.hung_call_threshold.has_value(),
         // A probe that hangs is a failed probe, too (R17).
         .lease_end = now + std::min(config_.probe_lease, config_.hung_call_threshold.value_or(config_.probe_lease))});
    return calls_.size() - 1;
}

// ---- settling (§5) ----

void ReferenceBreaker::settle(CallId id, const Ending& ending, TimePoint now) {
    auto& call = calls_[id];
    if (call.settled) return;                                 // R9
    if (call.generation == generation()) expire_leases(now);  // R24: before this outcome
    call.settled = true;

    const auto duration = ending.duration.value_or(now - call.started);
    const bool slow = config_.slow_call_duration_threshold && duration >= *config_.slow_call_duration_threshold;
    const bool lease_ran_out = call.state == State::half_open && call.written_off;
    const bool stale = call.generation != generation() || lease_ran_out;
    count_for_life(call, ending.outcome, duration, slow, stale);

    if (stale) return;                                           // R8
    if (state_ == State::disabled) return;                       // §2
    if (state_ != State::half_open && call.written_off) return;  // R17: it was counted when it was seen to hang
    if (ending.retry_after) note_hint(*ending.retry_after, now);

    const bool neutral = is_neutral(ending.outcome, config_);  // R10, R14, R22
    const bool failure = is_failure(ending.outcome, config_);
    if (failure || (slow && !neutral)) remember(now, duration, ending.outcome, slow);
    if (state_ == State::half_open) {
        if (!neutral) judge_probe(failure, slow, TransitionReason::probe_failed, now);
    } else {
        if (!neutral) record(failure, slow, now);
        const bool any_hung = count_hung_calls(now);  // R17
        if (!neutral || any_hung) judge(now);
    }
}

// The lifetime totals hear of every settled call (R8).
void ReferenceBreaker::count_for_life(const Call& call, Outcome outcome, Duration duration, bool slow, bool stale) {
    ++totals_.requests;
    ++totals_.admitted;
    switch (outcome) {
        case Outcome::success:
            ++totals_.successes;
            break;
        case Outcome::failure:
            ++totals_.failures;
            ++totals_.failed;
            break;
        case Outcome::timeout:
            ++totals_.timeouts;
            if (config_.count_timeout_as_failure) ++totals_.failed;
            break;
        case Outcome::ignored:
            ++totals_.ignored;
            break;
        case Outcome::abandoned:
            ++totals_.abandoned;
            break;
    }
    if (slow) ++totals_.slow;
    if (stale) ++totals_.stale;
    if (call.state == State::half_open) ++totals_.probes;
    if (outcome == Outcome::ignored || outcome == Outcome::abandoned) return;
    std::size_t bucket = 0;
    while (bucket < duration_bucket_bounds.size() && seconds(duration) > duration_bucket_bounds[bucket]) ++bucket;
    ++durations_.buckets[bucket];
    durations_.sum += duration;
}

void ReferenceBreaker::record(bool failure, bool slow, TimePoint now) {
    if (failure) {
        failure_run_ = failure_run(now) + 1;
        latest_failure_ = now;
    } else {
        failure_run_ = 0;  // R11
    }
    outcomes_.push_back({now, now, failure, slow});
}

bool ReferenceBreaker::count_hung_calls(TimePoint now) {
    if (!config_.hung_call_threshold || (state_ != State::closed && state_ != State::metrics_only)) return false;
    bool any = false;
    for (auto& call : calls_) {
        if (!call.watched || !in_flight(call) || now - call.started < *config_.hung_call_threshold) continue;
        call.written_off = true;
        remember(now, now - call.started, Outcome::failure, true, "still in flight");
        record(true, true, now);
        ++hung_calls_;
        any = true;
    }
    return any;
}

// R29. What the dependency asked for holds until the circuit closes; of several the latest.
void ReferenceBreaker::note_hint(Duration hint, TimePoint now) {
    const auto until = now + std::min(hint, config_.backoff.max_open_timeout);
    hint_until_ = std::max(hint_until_.value_or(until), until);
}

// ---- judging (R12) ----

std::optional<ReferenceBreaker::Rule> ReferenceBreaker::broken_rule(TimePoint now) const {
    const auto run = failure_run(now);
    if (config_.consecutive_failure_threshold != 0 && run >= config_.consecutive_failure_threshold) {
        return Rule{TransitionReason::consecutive_failures, static_cast<double>(config_.consecutive_failure_threshold),
                    static_cast<double>(run)};
    }
    const auto counts = window(now);
    std::uint64_t minimum = config_.minimum_requests;
    if (const auto* last = std::get_if<CountWindow>(&config_.window))
        minimum = std::min<std::uint64_t>(minimum, last->size);
    if (counts.total < minimum) return std::nullopt;
    const auto failure_rate = rate(counts.failures, counts.total);
    if (config_.failure_rate_threshold > 0.0 && failure_rate >= config_.failure_rate_threshold) {
        return Rule{TransitionReason::failure_rate, config_.failure_rate_threshold, failure_rate};
    }
    const auto slow_rate = rate(counts.slow, counts.total);
    const bool slow_rule = config_.slow_call_duration_threshold || config_.hung_call_threshold;  // R17
    if (slow_rule && slow_rate >= config_.slow_call_rate_threshold) {
        return Rule{TransitionReason::slow_call_rate, config_.slow_call_rate_threshold, slow_rate};
    }
    return std::nullopt;
}

void ReferenceBreaker::judge(TimePoint now) {
    const auto rule = broken_rule(now);
    if (!rule) return;
    if (state_ == State::closed) {
        open(*rule, now);
        return;
    }
    // metrics_only: says what closed would have done, starts anew, and is quiet while the circuit would have been open.
    if (shadow_retry_at_ && now < *shadow_retry_at_) return;
    const auto open_for = open_time(0, now);  // closed has no failed recoveries behind it
    auto shadow = report(State::metrics_only, State::open, *rule, now, open_for);
    shadow.sequence = generation();
    shadow.attempt = 0;
    would_have_tripped_.push_back(shadow);
    shadow_retry_at_ = now + open_for;
    outcomes_.clear();
    failure_run_ = 0;
    remembered_.clear();
}

std::uint32_t ReferenceBreaker::failure_run(TimePoint now) const {
    const auto* time = std::get_if<TimeWindow>(&config_.window);
    const bool forgotten = time != nullptr && latest_failure_ && now - *latest_failure_ > time->duration;  // R11
    return forgotten ? 0 : failure_run_;
}

// Slices are counted from the breaker's construction; their length is rounded up (TimeWindow).
std::int64_t ReferenceBreaker::slice_of(TimePoint time) const {
    const auto& shape = std::get<TimeWindow>(config_.window);
    const auto length = (shape.duration + Duration{shape.slices - 1}) / shape.slices;
    return (time - born_) / length;
}

WindowCounts ReferenceBreaker::window(TimePoint now) const {
    std::vector<Recorded> held;
    if (const auto* last = std::get_if<CountWindow>(&config_.window)) {  // R13: exactly the last N
        const auto some = std::min<std::size_t>(last->size, outcomes_.size());
        held.assign(outcomes_.end() - static_cast<std::ptrdiff_t>(some), outcomes_.end());
    } else {  // R13: the running slice, and as many before it as the window has
        const auto slices = std::get<TimeWindow>(config_.window).slices;
        for (const auto& outcome : outcomes_) {
            if (slice_of(now) - slice_of(outcome.counts_from) <= slices) held.push_back(outcome);
        }
    }
    return count(held);
}

std::optional<WindowBounds> ReferenceBreaker::window_bounds(TimePoint now) const {
    const auto* shape = std::get_if<TimeWindow>(&config_.window);
    if (shape == nullptr || moved_) return std::nullopt;
    const auto slice = (shape->duration + Duration{shape->slices - 1}) / shape->slices;
    // A slice that is rounded up to whole nanoseconds stretches the window by as many.
    const auto rounding = slice * shape->slices - shape->duration;
    std::vector<Recorded> young_enough;
    std::vector<Recorded> not_too_old;
    for (const auto& outcome : outcomes_) {
        const auto age = now - outcome.at;
        if (age <= shape->duration) young_enough.push_back(outcome);
        if (age < shape->duration + slice + rounding) not_too_old.push_back(outcome);
    }
    return WindowBounds{count(young_enough), count(not_too_old)};
}

// ---- half-open (§6) ----

bool ReferenceBreaker::in_flight(const Call& call) const {
    return !call.settled && !call.written_off && call.generation == generation();
}

std::size_t ReferenceBreaker::probes_in_flight() const {
    if (state_ != State::half_open) return 0;
    return static_cast<std::size_t>(
        std::count_if(calls_.begin(), calls_.end(), [this](const Call& call) { return in_flight(call); }));
}

void ReferenceBreaker::expire_leases(TimePoint now) {
    for (;;) {  // the one that ended first comes first
        Call* first = nullptr;
        for (auto& call : calls_) {
            if (state_ != State::half_open || !in_flight(call) || now < call.lease_end) continue;
            if (first == nullptr || call.lease_end < first->lease_end) first = &call;
        }
        if (first == nullptr) return;
        first->written_off = true;
        remember(now, now - first->started, Outcome::failure, false, "its lease ran out");
        judge_probe(true, false, TransitionReason::probe_lease_expired, now);
    }
}

void ReferenceBreaker::judge_probe(bool failure, bool slow, TransitionReason why_bad, TimePoint now) {
    ++probes_.total;
    if (failure) ++probes_.failures;
    if (slow) ++probes_.slow;
    const bool good = !failure && !slow;
    if (good) ++good_probes_;
    good_in_a_row_ = good ? good_in_a_row_ + 1 : 0;

    if (config_.half_open_rate) {  // R21
        const auto& mode = *config_.half_open_rate;
        if (probes_.total < mode.minimum_probes) return;
        const auto observed = rate(good_probes_, probes_.total);
        const Rule rule{TransitionReason::probe_success_rate, mode.success_rate, observed};
        if (observed >= mode.success_rate) {
            move_to(State::closed, rule, now);
        } else {
            open(rule, now);
        }
    } else if (!good) {  // R20
        open({why_bad}, now);
    } else if (good_in_a_row_ >= config_.success_threshold) {
        move_to(State::closed,
                {TransitionReason::success_threshold_met, static_cast<double>(config_.success_threshold),
                 static_cast<double>(good_in_a_row_)},
                now);
    }
}

// ---- transitions ----

// R26–R29. Jitter is left out: it would not be reproducible.
Duration ReferenceBreaker::open_time(std::uint32_t attempt, TimePoint now) const {
    const auto& backoff = config_.backoff;
    const auto base = static_cast<long double>(config_.open_timeout.count());
    const auto cap = static_cast<long double>(backoff.max_open_timeout.count());
    auto time = base;
    if (backoff.kind == Backoff::Kind::linear) {
        time = std::min(cap,
                        base + static_cast<long double>(attempt) * static_cast<long double>(backoff.increment.count()));
    } else if (backoff.kind == Backoff::Kind::exponential) {
        time = std::min(cap, base * std::pow(static_cast<long double>(backoff.multiplier), attempt));
    }
    if (hint_until_) time = std::max(time, std::min(cap, static_cast<long double>((*hint_until_ - now).count())));
    return Duration{static_cast<Duration::rep>(time)};
}

// R40
TransitionReport ReferenceBreaker::report(State from, State to, const Rule& rule, TimePoint now,
                                          Duration open_for) const {
    TransitionReport report;
    report.sequence = generation() + 1;
    report.from = from;
    report.to = to;
    report.reason = rule.reason;
    report.threshold = rule.threshold;
    report.observed = rule.observed;
    report.window = from == State::half_open ? probes_ : window(now);
    report.consecutive_failures = failure_run(now);
    report.open_for = open_for;
    report.attempt = attempt_;
    report.config_version = config_version_;
    report.at = now;
    for (auto one = remembered_.rbegin(); one != remembered_.rend() && report.last_outcomes.size() < 8; ++one) {
        report.last_outcomes.push_back(one->outcome);
        report.last_outcomes.back().age = now - one->at;
    }
    return report;
}

void ReferenceBreaker::remember(TimePoint now, Duration duration, Outcome outcome, bool slow, const char* message) {
    remembered_.push_back({now, {.duration = duration, .outcome = outcome, .slow = slow, .message = message}});
}

void ReferenceBreaker::move_to(State to, const Rule& rule, TimePoint now, std::optional<Duration> open_for) {
    if (to == State::closed) {  // R23, R26
        attempt_ = 0;
        hint_until_.reset();
    }
    const auto made = report(state_, to, rule, now, open_for.value_or(Duration::zero()));
    transitions_.push_back(made);
    reports_.push_back(made);
    const bool is_trip = to == State::open || to == State::forced_open;
    // That it was restored does not say why it opened.
    if (is_trip && (rule.reason != TransitionReason::restored || !last_trip_)) last_trip_ = made;
    generation_ = made.sequence;
    state_ = to;
    changed_ = now;
    retry_at_.reset();
    if (open_for) retry_at_ = now + *open_for;
    probes_ = {};
    good_probes_ = 0;
    good_in_a_row_ = 0;
    shadow_retry_at_.reset();
    if (to != State::open && to != State::half_open && to != State::forced_open) {  // R16
        outcomes_.clear();
        moved_ = false;
        failure_run_ = 0;
        remembered_.clear();
    }
}

void ReferenceBreaker::open(const Rule& rule, TimePoint now) {
    if (state_ == State::half_open) ++attempt_;  // R26
    ++trip_count_;
    move_to(State::open, rule, now, open_time(attempt_, now));
}

// ---- control (R50, R51) ----

void ReferenceBreaker::reset(TimePoint now) {
    move_to(config_.enabled ? State::closed : State::disabled, {TransitionReason::operator_request}, now);
}
void ReferenceBreaker::force_open(TimePoint now) {
    move_to(State::forced_open, {TransitionReason::operator_request}, now);
}
void ReferenceBreaker::trip(TimePoint now) { open({TransitionReason::operator_request}, now); }
void ReferenceBreaker::disable(TimePoint now) { move_to(State::disabled, {TransitionReason::operator_request}, now); }
void ReferenceBreaker::metrics_only(TimePoint now) {
    move_to(State::metrics_only, {TransitionReason::operator_request}, now);
}

void ReferenceBreaker::reconfigure(const CircuitBreakerConfig& config, TimePoint now) {
    const bool was_enabled = config_.enabled;
    failure_run_ = failure_run(now);  // what is forgotten stays forgotten
    if (config.window.index() != config_.window.index()) {
        outcomes_.clear();
    } else if (const auto* last = std::get_if<CountWindow>(&config_.window)) {
        // What was forgotten stays forgotten in a larger window.
        const auto some = std::min<std::size_t>(last->size, outcomes_.size());
        outcomes_.erase(outcomes_.begin(), outcomes_.end() - static_cast<std::ptrdiff_t>(some));
    } else if (config.window != config_.window) {
        const auto& shape = std::get<TimeWindow>(config_.window);
        const auto length = (shape.duration + Duration{shape.slices - 1}) / shape.slices;
        std::erase_if(outcomes_, [&](const Recorded& outcome) {
            return slice_of(now) - slice_of(outcome.counts_from) > shape.slices;
        });
        // Of a slice only the sums are known: its outcomes are as young as the youngest may be.
        for (auto& outcome : outcomes_) {
            const auto youngest = born_ + (slice_of(outcome.counts_from) + 1) * length - Duration{1};
            outcome.counts_from = std::min(youngest, now);
        }
        moved_ = true;
    }
    config_ = config;
    ++config_version_;

    if (was_enabled && !config.enabled &&
        (state_ == State::closed || state_ == State::open || state_ == State::half_open)) {
        move_to(State::disabled, {TransitionReason::configuration}, now);
    } else if (!was_enabled && config.enabled && state_ == State::disabled) {
        move_to(State::closed, {TransitionReason::configuration}, now);
    }
}

// ---- saving and restoring (R52) ----

BreakerSnapshot ReferenceBreaker::snapshot(TimePoint now) const {
    BreakerSnapshot saved;
    saved.state = state_;
    if (retry_at_) saved.time_left = std::max(Duration::zero(), Duration{*retry_at_ - now});
    saved.attempt = attempt_;
    saved.trip_count = trip_count_;
    saved.generation = generation_;
    for (auto report = reports_.rbegin(); report != reports_.rend() && saved.reports.size() < 16; ++report) {
        saved.reports.push_back(*report);
        saved.reports.back().at = {};
    }
    saved.last_trip = last_trip_;
    if (saved.last_trip) saved.last_trip->at = {};
    return saved;
}

void ReferenceBreaker::restore(const BreakerSnapshot& snapshot, TimePoint now) {
    reports_.assign(snapshot.reports.rbegin(), snapshot.reports.rend());
    last_trip_ = snapshot.last_trip;
    generation_ = std::max(generation_, snapshot.generation);
    trip_count_ = std::max(trip_count_, snapshot.trip_count);
    attempt_ = snapshot.attempt;
    const auto longest = std::max(config_.backoff.max_open_timeout, config_.open_timeout);
    if (!config_.enabled) {
        if (state_ != State::disabled) move_to(State::disabled, {TransitionReason::restored}, now);
    } else if (snapshot.state == State::open) {
        move_to(State::open, {TransitionReason::restored}, now, std::min(snapshot.time_left, longest));
    } else if (snapshot.state == State::half_open) {
        move_to(State::open, {TransitionReason::restored}, now, Duration::zero());
    } else if (snapshot.state != state_) {
        move_to(snapshot.state, {TransitionReason::restored}, now);
    }
    if (state_ == State::closed) attempt_ = 0;
}

// ---- reading ----

std::optional<TimePoint> ReferenceBreaker::next_attempt() const { return retry_at_; }

std::optional<TimePoint> ReferenceBreaker::next_lease_end() const {
    if (state_ != State::half_open) return std::nullopt;
    std::optional<TimePoint> next;
    for (const auto& call : calls_) {
        if (in_flight(call) && (!next || call.lease_end < *next)) next = call.lease_end;
    }
    return next;
}

CircuitBreakerMetrics ReferenceBreaker::metrics(TimePoint now) const {
    CircuitBreakerMetrics metrics;
    metrics.state = state_;
    metrics.generation = generation();
    metrics.totals = totals_;
    metrics.window = window(now);
    metrics.consecutive_failures = failure_run(now);
    metrics.consecutive_successes = good_in_a_row_;
    metrics.failure_rate = rate(metrics.window.failures, metrics.window.total);
    metrics.success_rate = metrics.window.total == 0 ? 1.0 : 1.0 - metrics.failure_rate;
    metrics.slow_call_rate = rate(metrics.window.slow, metrics.window.total);
    metrics.durations = durations_;
    if (durations_.count() != 0) {
        metrics.average_duration = durations_.sum / static_cast<Duration::rep>(durations_.count());
    }
    metrics.probes_in_flight = static_cast<std::uint32_t>(probes_in_flight());
    metrics.last_change = changed_;
    metrics.next_attempt = retry_at_;
    if (retry_at_) metrics.retry_after = std::max(Duration::zero(), Duration{*retry_at_ - now});
    metrics.trip_count = trip_count_;
    metrics.attempt = attempt_;
    metrics.config_version = config_version_;

    auto since = born_;
    auto state = config_.enabled ? State::closed : State::disabled;
    if (!transitions_.empty()) state = transitions_.front().from;
    const auto add_time_in = [&](State in, TimePoint until) {
        if (in == State::open || in == State::forced_open) metrics.open_duration += until - since;
        since = until;
    };
    for (const auto& report : transitions_) {
        add_time_in(state, report.at);
        state = report.to;
        ++metrics.transitions[static_cast<std::size_t>(report.from)][static_cast<std::size_t>(report.to)];
    }
    add_time_in(state, now);
    return metrics;
}

}  // namespace fusebox::test::model
