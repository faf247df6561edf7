// Transitions, by rule and by hand (R15, R16, R26, R50, R51).
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include <fusebox/text/utf8.hpp>

namespace fusebox {

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

// Of the probes in half-open, else of the window.
WindowCounts CircuitBreaker::Impl::counts_to_report(TimePoint now) const noexcept {
    if (state() != State::half_open) return window_.counts(now);
    return recovery_ ? recovery_->counts : WindowCounts{};
}

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

}  // namespace fusebox
