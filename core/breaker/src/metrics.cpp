// What can be read of a breaker (R41); none of it changes the state (R5).
#include "circuit_breaker_impl.hpp"

#include <algorithm>

namespace fusebox {

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

// R41. What the mutex guards is exact. Quick successes and rejections are counted without the mutex, also while this
// function runs. No part is above its whole all the same: every whole is summed from parts that were read here, and
// the quick successes are read after the window, which is made of the same cells. No counter goes back: each one
// only grows.
CircuitBreakerMetrics CircuitBreaker::Impl::metrics() {
    CircuitBreakerMetrics metrics;
    {
        const std::scoped_lock lock{mutex_};
        const auto word = load_word();
        // Only the open time must not go back, so only an open circuit keeps the time at which it was read. In other
        // states a reader writes nothing, and leaves the cache line to the callers.
        const auto read_at = clock_.now();
        const auto now = is_open(state_of(word)) ? advance(read_at) : std::max(latest_, read_at);
        metrics.state = state_of(word);
        metrics.generation = generation_of(word);
        metrics.window = window_.counts(now);
        metrics.consecutive_failures = run_at(now);
        metrics.consecutive_successes = recovery_.good_in_a_row();
        metrics.probes_in_flight = recovery_.in_flight();
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
        metrics.durations.sum += quick.durations;
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
