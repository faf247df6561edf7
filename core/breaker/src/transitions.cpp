// Transitions: by rule, by an operator and by a change of the configuration (R15, R16, R23, R26, R50, R51).
#include "circuit_breaker_impl.hpp"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include <fusebox/text/utf8.hpp>

#include "open_time.hpp"

namespace fusebox {

// ---- by rule -------------------------------------------------------------------------------------------------------

void CircuitBreaker::Impl::trip(const Cause& cause, TimePoint now) noexcept {
    if (state() != State::metrics_only) return transition(State::open, cause, now);
    // What closed would have done is reported and not done. Then nothing more is reported for as long as the circuit
    // would have been open, after no failed recovery, and the window begins anew.
    const auto open_for = draw_open_time(0, now);
    enqueue([&] {
        auto report = make_report(State::metrics_only, State::open, cause, run_to_report(cause, now), now);
        report.numbers.open_for = open_for;
        return WouldHaveTrippedEvent{report.whole()};
    });
    quiet_until_ = now + open_for;
    clear_window(now);
    outcome_log_.clear();
}

// R15: except for continue_generations_after() the one place that stores the word. Each call begins a generation.
void CircuitBreaker::Impl::transition(State to, const Cause& cause, TimePoint now) noexcept {
    const auto from = state();
    const auto next = generation() + 1;
    const auto run = run_to_report(cause, now);
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
        retry_hint_until_ = {};
    }
    if (from == State::half_open || to == State::half_open) recovery_.restart();
    if (to == State::open) {
        window_.widen();  // now, because a rejection must not wait for memory
        // release: pairs with the loads of rejections (I2).
        breaker_.open_for_.store(open_for.count(), std::memory_order_release);
        breaker_.retry_at_.store((now + open_for).time_since_epoch().count(), std::memory_order_release);
    }

    window_.suspend();  // until clear_window() or seal() below (I3)
    // release: pairs with every load of the word (I1).
    breaker_.word_.store(next << 3U | static_cast<std::uint64_t>(to), std::memory_order_release);

    if (admits_all(to)) {
        clear_window(now);  // R16
        quiet_until_ = now;
    } else {
        // The window and the run stay, for those who ask why the circuit opened, until it closes.
        window_.seal();
        set_run(run);
        successes_until_judged_.store(no_countdown);
    }

    auto report = make_report(from, to, cause, run, now);
    report.numbers.open_for = open_for;
    report.numbers.attempt = attempt_;
    last_change_ = now;
    last_change_wall_ = report.numbers.wall_time;
    if (admits_all(to)) outcome_log_.clear();
    enqueue([&] { return StateTransitionEvent{report.whole()}; });
    if (!history_) history_.reset(new (std::nothrow) History{.reports = detail::ReportRing{report_capacity_}});
    if (!history_) return;  // without memory the transition is made, but neither counted nor kept
    ++history_->transitions[static_cast<std::size_t>(from)][static_cast<std::size_t>(to)];
    history_->reports.add(report);
}

// R40. The caller adds the open time and the attempt.
detail::KeptReport CircuitBreaker::Impl::make_report(State from, State to, const Cause& cause, std::uint32_t run,
                                                     TimePoint now) const noexcept {
    return {{.sequence = generation(),
             .from = from,
             .to = to,
             .reason = cause.reason,
             .threshold = cause.threshold,
             .observed = cause.observed,
             .window = cause.window,
             .consecutive_failures = run,
             .config_version = config_version_,
             .at = now,
             .wall_time = clock_.wall_now(),
             .actor = {},
             .note = {}},
            detail::ShortText<detail::KeptReport::actor_bytes>{cause.actor},
            detail::ShortText<detail::KeptReport::note_bytes>{cause.note},
            outcome_log_.last()};
}

// R27–R29
Duration CircuitBreaker::Impl::draw_open_time(std::uint32_t attempt, TimePoint now) noexcept {
    return detail::open_time(*config_, attempt, std::max(Duration::zero(), retry_hint_until_ - now), jitter_);
}

// Where the run caused the transition, its length at that moment: a success may have ended it since.
std::uint32_t CircuitBreaker::Impl::run_to_report(const Cause& cause, TimePoint now) const noexcept {
    return cause.reason == TransitionReason::consecutive_failures ? static_cast<std::uint32_t>(cause.observed)
                                                                  : run_at(now);
}

// Of the probes in half-open, else of the window.
WindowCounts CircuitBreaker::Impl::counts_to_report(TimePoint now) const noexcept {
    return state() == State::half_open ? recovery_.counts() : window_.counts(now);
}

void CircuitBreaker::Impl::clear_window(TimePoint now) noexcept {
    window_.clear(state() != State::disabled, now);
    set_run(0);
    successes_until_judged_.store(no_countdown);
}

// ---- by an operator and by configuration ---------------------------------------------------------------------------

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
    deliver_queued_events();
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
        if (run_at(now) == 0) set_run(0);  // a run that is forgotten stays forgotten, however long the new window (R11)
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
            judge_next_success();  // by the new thresholds
        }
    }
    deliver_queued_events();
}

// May throw, and then changes nothing.
void CircuitBreaker::Impl::set_hung_call_threshold(std::optional<Duration> threshold) {
    if (watched_.load() == nullptr) {
        if (!threshold) return;
        watched_.store(new detail::WatchedCalls, std::memory_order_release);  // I7
    }
    watched_calls().set_threshold(threshold);
}

// I6
void CircuitBreaker::Impl::publish_config() noexcept {
    constexpr auto order = std::memory_order_relaxed;  // I6
    static_assert(std::chrono::duration<double>{duration_bucket_bounds.front()} <= detail::SuccessCell::longest);
    // The bound of a bucket belongs to the bucket.
    const auto first_bucket =
        std::chrono::round<Duration>(std::chrono::duration<double>{duration_bucket_bounds.front()}) + Duration{1};
    quick_success_below_.store(
        std::min(first_bucket, config_->slow_call_duration_threshold.value_or(first_bucket)).count(), order);
    recovery_.set_most_probes(config_->half_open_max_concurrent);
    breaker_.operation_timeout_.store(config_->operation_timeout ? config_->operation_timeout->count() : 0, order);
    breaker_.measuring_.store(config_->measure_duration, order);
    breaker_.watching_.store(config_->hung_call_threshold.has_value(), order);
}

}  // namespace fusebox
