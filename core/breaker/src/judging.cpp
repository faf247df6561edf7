// Recording and judging while all calls are admitted: closed and metrics_only (R10–R14, R17).
#include "circuit_breaker_impl.hpp"

#include <algorithm>

#include <fusebox/text/utf8.hpp>

namespace fusebox {

// ---- recording -----------------------------------------------------------------------------------------------------

void CircuitBreaker::Impl::record(const SettledCall& call, TimePoint now) noexcept {
    note_retry_hint(*call.settlement, now);
    log_outcome(call, now);
    const auto neutral = is_neutral(call.outcome);
    std::uint32_t run_at_failure = 0;
    window_.roll(now);
    if (!neutral) {  // R14
        const auto failure = call.outcome != Outcome::success;
        if (failure || call.slow) {
            window_.add_bad(failure, call.slow);
        } else {
            window_.add_success();
        }
        if (failure) {
            run_at_failure = lengthen_run(now);
        } else {
            end_run(generation());
        }
    }
    const auto run_at_hung = record_hung_calls(now);
    // A neutral outcome is recorded for its hint, or because another call hangs. By itself it is nothing to judge
    // (R10), but the window has moved on since it was judged.
    if (neutral && run_at_hung == 0) return judge_next_success();
    judge(std::max(run_at_failure, run_at_hung),
          text::cut(call.settlement->message, detail::KeptOutcome::message_bytes), now);
}

// R17: each call that hangs is a slow failure. The window must stand at `now`. Returns how long they made the run, and
// 0 where no call hangs.
std::uint32_t CircuitBreaker::Impl::record_hung_calls(TimePoint now) noexcept {
    if (!breaker_.watching_.load(std::memory_order_relaxed)) return 0;  // relaxed: stored under the mutex
    const auto hung = watched_calls().take_hung(generation(), now, [&](Duration in_flight) {
        outcome_log_.add([&](detail::KeptOutcome& kept) {
            kept.at = now;
            kept.duration = in_flight;
            kept.outcome = Outcome::failure;
            kept.slow = true;
            kept.message.assign("still in flight");
            kept.trace_id.assign({});
        });
    });
    std::uint32_t run = 0;
    for (auto left = hung; left != 0; --left) {
        window_.add_bad(true, true);
        run = lengthen_run(now);
    }
    return run;
}

void CircuitBreaker::Impl::lock_and_judge(std::uint64_t generation, TimePoint now, bool success_recorded) noexcept {
    if (now == unmeasured) now = breaker_.now();
    {
        const std::scoped_lock lock{mutex_};
        now = advance(now);
        if (this->generation() == generation) {
            window_.roll(now);
            const auto run_at_hung = record_hung_calls(now);
            if (success_recorded || run_at_hung != 0) {
                judge(run_at_hung, {}, now);
            } else {
                judge_next_success();  // the window may have moved on since it was judged
            }
        }
    }
    deliver_queued_events();
}

// ---- the run of failures -------------------------------------------------------------------------------------------

// A time window forgets the run together with its latest failure (R11). A count window knows no time: there only a
// success ends the run.
std::uint32_t CircuitBreaker::Impl::run_at(TimePoint now) const noexcept {
    const auto* time = std::get_if<TimeWindow>(&config_->window);
    if (time != nullptr && now - last_failure_at_ > time->duration) return 0;
    return static_cast<std::uint32_t>(run_.load());
}

// Returns how long the run is now.
std::uint32_t CircuitBreaker::Impl::lengthen_run(TimePoint now) noexcept {
    auto run = run_.load();
    std::uint32_t longer = 0;
    do {
        const auto failures = run_at(now) == 0 ? 0U : static_cast<std::uint32_t>(run);
        longer = failures == ~0U ? failures : failures + 1;
    } while (!run_.compare_exchange_weak(run, run_word(generation(), longer)));  // I4
    last_failure_at_ = now;
    return longer;
}

// ---- judging -------------------------------------------------------------------------------------------------------

// R12, in its order. `run_at_failure`: how long the failures that were just recorded made the run; 0: there were none.
// A success may have ended that run since, without the mutex. It comes too late: the failure was recorded before it.
void CircuitBreaker::Impl::judge(std::uint32_t run_at_failure, std::string_view message, TimePoint now) noexcept {
    if (state() == State::metrics_only && now < quiet_until_) {
        // Nothing happens at the end of the quiet time, so each success has to look whether it has come.
        successes_until_judged_.store(window_.any_bad() ? 1 : no_countdown);
        return;
    }

    const auto run = std::max(run_at(now), run_at_failure);
    if (config_->consecutive_failure_threshold != 0 && run >= config_->consecutive_failure_threshold) {
        return trip({.reason = TransitionReason::consecutive_failures,
                     .threshold = static_cast<double>(config_->consecutive_failure_threshold),
                     .observed = static_cast<double>(run),
                     .window = window_.counts(now),
                     .note = message},
                    now);
    }

    const auto failure_rule = config_->failure_rate_threshold != 0;
    const auto slow_rule = config_->slow_call_duration_threshold || config_->hung_call_threshold;
    if ((!failure_rule && !slow_rule) || !window_.any_bad()) return stop_countdown();
    const auto minimum = window_.minimum(config_->minimum_requests);
    auto counts = window_.counts(now);
    if (counts.total < minimum && start_countdown(minimum, counts, now)) return;
    stop_countdown();
    const auto failure_rate = ratio(counts.failures, counts.total);
    if (failure_rule && failure_rate >= config_->failure_rate_threshold) {
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

// Starts to count down the successes that the window lacks (I5). False: the window has them by now, and `counts` is
// what it holds.
bool CircuitBreaker::Impl::start_countdown(std::uint64_t minimum, WindowCounts& counts, TimePoint now) noexcept {
    while (counts.total < minimum) {
        // Successes that come while the window is counted take themselves off the longest countdown. The difference to
        // the right one is subtracted afterwards, so that none of them is lost.
        successes_until_judged_.store(longest_countdown);
        counts = window_.counts(now);
        if (counts.total >= minimum) break;
        const auto surplus = longest_countdown - static_cast<std::int64_t>(minimum - counts.total);
        if (successes_until_judged_.fetch_sub(surplus) - surplus > 0) return true;
        counts = window_.counts(now);
    }
    return false;
}

// Looks before it stores: a seq_cst store costs as much as taking the mutex, and while failures come in a row no
// countdown is running.
void CircuitBreaker::Impl::stop_countdown() noexcept {
    if (successes_until_judged_.load() <= longest_countdown) successes_until_judged_.store(no_countdown);
}

}  // namespace fusebox
