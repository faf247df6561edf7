// Recording and judging while all calls are admitted: closed and metrics_only (R10–R17).
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <utility>

#include <fusebox/text/utf8.hpp>

namespace fusebox {

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

}  // namespace fusebox
