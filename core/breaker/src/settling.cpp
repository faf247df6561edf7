// How a call that was not a plain success is counted, and whom its outcome concerns.
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace fusebox {

void CircuitBreaker::settle(const detail::Admission& admission, Outcome outcome, TimePoint ended,
                            const Settlement& settlement) noexcept {
    impl_->settle(admission, outcome, ended, settlement);
}

void CircuitBreaker::abandon(const detail::Admission& admission) noexcept {
    impl_->settle(admission, Outcome::abandoned, end_of(admission, no_deadline), {});
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

}  // namespace fusebox
