// Settling: a call that was not a plain success is counted for life, and acts in the generation that admitted it (R8,
// R9).
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <new>

#include "duration_bucket.hpp"

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
        const SettledCall call{outcome, duration, measured, slow, &settlement};
        count_for_life(admission, call);
        settle_in_generation(admission, call, now);
    }
    deliver_queued_events();
    if (wants(EventMask::calls)) [[unlikely]]
        deliver_executed(state_of(admission.word), outcome, slow, duration);
}

// Whatever the generation (R8, R16).
void CircuitBreaker::Impl::count_for_life(const detail::Admission& admission, const SettledCall& call) noexcept {
    const auto count_duration = [&] {
        if (!call.measured) return;
        if (!durations_) durations_.reset(new (std::nothrow) DurationHistogram);
        if (!durations_) return;
        ++durations_->buckets[detail::bucket_of(call.duration)];
        durations_->sum += call.duration;
    };
    switch (call.outcome) {
        case Outcome::success:
            if (call.measured && detail::bucket_of(call.duration) != 0) {
                ++totals_.successes;
                count_duration();
            } else {
                // Together with the quick successes, so that most breakers need no histogram of their own.
                window_.count_success(call.measured, call.duration);
            }
            break;
        case Outcome::failure:
            ++totals_.failures;
            ++totals_.failed;
            count_duration();
            break;
        case Outcome::timeout:
            ++totals_.timeouts;
            if (!is_neutral(call.outcome)) ++totals_.failed;
            count_duration();
            break;
        case Outcome::ignored:
            ++totals_.ignored;
            break;
        case Outcome::abandoned:
            ++totals_.abandoned;
            break;
    }
    if (call.slow) ++totals_.slow;
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

void CircuitBreaker::Impl::settle_in_generation(const detail::Admission& admission, const SettledCall& call,
                                                TimePoint now) noexcept {
    auto counted_as_hung = false;
    auto another_hangs = false;
    if (admission.ticket != 0 && !is_probe(admission)) {
        const auto watched = watched_calls().end({admission.slot, admission.ticket}, now);
        counted_as_hung = watched.counted_as_hung;
        another_hangs = watched.another_hangs;
    } else if (breaker_.watching_.load(std::memory_order_relaxed)) {  // relaxed: stored under the mutex
        another_hangs = watched_calls().any_hung(now);
    }
    if (generation() != generation_of(admission.word)) {
        ++totals_.stale;  // R8
    } else if (is_probe(admission)) {
        settle_probe(admission, call, now);
    } else if (state_of(admission.word) == State::disabled) {
        window_.make_room();
    } else if (counted_as_hung) {
        return;                                                                               // R17
    } else if (!is_neutral(call.outcome) || call.settlement->retry_after || another_hangs) {  // R10
        record(call, now);
    }
}

// R40. Left out are successes that are not slow, because plain successes do not come here either, and neutral outcomes
// without a message, because they have nothing to say.
void CircuitBreaker::Impl::log_outcome(const SettledCall& call, TimePoint now) noexcept {
    const auto& settlement = *call.settlement;
    if (call.outcome == Outcome::success && !call.slow) return;
    if (is_neutral(call.outcome) && settlement.message.empty()) return;
    outcome_log_.add([&](detail::KeptOutcome& kept) {
        kept.at = now;
        kept.duration = call.duration;
        kept.outcome = call.outcome;
        kept.slow = call.slow;
        kept.message.assign(settlement.message);
        kept.trace_id.assign(settlement.trace_id);
    });
}

// R29
void CircuitBreaker::Impl::note_retry_hint(const Settlement& settlement, TimePoint now) noexcept {
    if (!settlement.retry_after) return;
    const auto hint = std::clamp(*settlement.retry_after, Duration::zero(), config_->backoff.max_open_timeout);
    retry_hint_until_ = std::max(retry_hint_until_, now + hint);
}

}  // namespace fusebox
