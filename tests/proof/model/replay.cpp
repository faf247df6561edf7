#include "proof/model/replay.hpp"

#include <algorithm>
#include <array>
#include <expected>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>

#include "proof/model/reference_breaker.hpp"

namespace fusebox::test::model {
namespace {

template <class Value>
std::string show(const Value& value) {
    return fmt::format("{}", value);
}
std::string show(Duration duration) { return fmt::format("{} ns", duration.count()); }
std::string show(TimePoint time) { return fmt::format("time {} ns", time.time_since_epoch().count()); }
std::string show(State state) { return std::string{to_string(state)}; }
std::string show(TransitionReason reason) { return std::string{to_string(reason)}; }
std::string show(const WindowCounts& counts) {
    return fmt::format("{} ({} failures, {} slow)", counts.total, counts.failures, counts.slow);
}
std::string show(const std::vector<OutcomeRecord>& outcomes) {
    std::string text = fmt::format("{}", outcomes.size());
    for (const auto& outcome : outcomes) {
        text += fmt::format(" [{}{} after {}, {} before, '{}']", outcome.slow ? "slow " : "",
                            to_string(outcome.outcome), show(outcome.duration), show(outcome.age), outcome.message);
    }
    return text;
}
template <class Value>
std::string show(const std::optional<Value>& value) {
    return value ? show(*value) : "none";
}

/// What a call of the scenario fails with.
struct Hinting {
    std::optional<Duration> retry_after;
};
std::optional<Duration> retry_after_of(const Hinting& error) { return error.retry_after; }

class Replay {
public:
    Replay(const Scenario& scenario, const Sabotage& sabotage)
        : sabotage_(sabotage), listens_to_calls_(scenario.listen_to_calls) {
        begin(scenario.config);
    }

    std::optional<std::string> run(const Scenario& scenario) {
        compare();
        for (const auto& step : scenario.steps) {
            if (differences_.empty()) {
                std::visit([this](const auto& one) { take(one); }, step);
                compare();
                ++taken_;
            }
        }
        if (differences_.empty()) return std::nullopt;
        return tell(scenario);
    }

    void add_to(Tally& tally) {
        count();
        for (const auto& [what, times] : tally_) tally[what] += times;
        tally["steps"] += taken_;
    }

private:
    struct InFlight {
        Permit permit;
        ReferenceBreaker::CallId id;
    };

    // A new process: both begin from nothing.
    void begin(const CircuitBreakerConfig& config) {
        model_.emplace(config, clock_.now());
        breaker_.emplace("model", sabotaged(config), BreakerOptions{.clock = &clock_, .seed = 1});
        transitions_.clear();
        would_have_tripped_.clear();
        executed_ = rejected_ = 0;
        compared_reports_ = 0;
        subscription_ = breaker_->subscribe([this](const CircuitBreaker&, const BreakerEvent& event) { hear(event); },
                                            listens_to_calls_ ? EventMask::all : EventMask::control);
    }

    void count() {
        for (const auto& report : model_->transitions()) {
            ++tally_[fmt::format("{} -> {}: {}", show(report.from), show(report.to), show(report.reason))];
        }
        const auto totals = model_->metrics(clock_.now()).totals;
        tally_["stale outcomes"] += totals.stale;
        tally_["slow calls"] += totals.slow;
        tally_["rejected: circuit_open"] += totals.rejected_open;
        tally_["rejected: too_many_probes"] += totals.rejected_probes;
        tally_["timeouts"] += totals.timeouts;
        tally_["would have tripped"] += model_->would_have_tripped().size();
        tally_["calls counted as hung"] += model_->hung_calls();
    }

    // ---- the steps ----

    void take(const Call& call) {
        const auto expected = model_->admit(clock_.now());
        const auto deadline = model_->config().operation_timeout
                                  ? std::optional{clock_.now() + *model_->config().operation_timeout}
                                  : std::nullopt;
        bool late = false;
        const auto answer = breaker_->call_classified(
            [&](const CallContext& context) -> std::expected<void, Hinting> {
                same("deadline", context.deadline(), deadline);
                clock_.advance(call.takes);
                if (call.outcome == Outcome::success) return {};
                return std::unexpected{Hinting{call.retry_after}};
            },
            [&](const auto&) { return call.outcome; }, {.late = &late});
        const auto* rejection = answer ? nullptr : answer.error().rejection();
        compare_admission(rejection == nullptr ? nullptr : rejection, expected);
        if (expected) {
            const bool model_late = deadline && clock_.now() > *deadline;
            if (rejection == nullptr) same("late", late, model_late);
            model_->settle(*expected,
                           {.outcome = model_late ? Outcome::timeout : call.outcome,
                            .retry_after = call.outcome == Outcome::success ? std::nullopt : call.retry_after},
                           clock_.now());
        }
    }

    void take(const Admit&) {
        const auto expected = model_->admit(clock_.now());
        auto answer = breaker_->try_acquire();
        compare_admission(answer ? nullptr : &answer.error(), expected);
        if (!answer || !expected) return;
        same("generation of the permit", answer->generation(), model_->generation());
        same("is_probe", answer->is_probe(), model_->state() == State::half_open);
        in_flight_.push_back({std::move(*answer), *expected});
    }

    void take(const Settle& settle) {
        if (in_flight_.empty()) return;
        auto& call = in_flight_[settle.which % in_flight_.size()];
        model_->settle(call.id, {settle.outcome, settle.duration, settle.retry_after}, clock_.now());
        call.permit.settle(settle.outcome, {.duration = settle.duration, .retry_after = settle.retry_after});
        call.permit.settle(Outcome::failure);  // R9: once is enough
        in_flight_.erase(in_flight_.begin() + static_cast<std::ptrdiff_t>(settle.which % in_flight_.size()));
    }

    void take(const Drop& drop) {
        if (in_flight_.empty()) return;
        const auto which = in_flight_.begin() + static_cast<std::ptrdiff_t>(drop.which % in_flight_.size());
        model_->settle(which->id, {.outcome = Outcome::abandoned}, clock_.now());
        {
            const auto dropped = std::move(which->permit);
        }
        in_flight_.erase(which);
    }

    void take(const Advance& advance) { clock_.advance(advance.by); }

    void take(const AdvanceTo& advance) {
        const auto moment =
            advance.moment == AdvanceTo::Moment::next_attempt ? model_->next_attempt() : model_->next_lease_end();
        if (!moment) return;
        const auto by = *moment + advance.offset - clock_.now();
        if (by > Duration::zero()) clock_.advance(by);
    }

    void take(const StepWallClock& step) { clock_.step_wall(step.by); }

    void take(const Control& control) {
        const auto now = clock_.now();
        switch (control.action) {
            case Control::Action::reset:
                model_->reset(now);
                return breaker_->reset("operator", "a note");
            case Control::Action::force_open:
                model_->force_open(now);
                return breaker_->force_open("operator", "a note");
            case Control::Action::trip:
                model_->trip(now);
                return breaker_->trip("operator", "a note");
            case Control::Action::disable:
                model_->disable(now);
                return breaker_->disable("operator", "a note");
            case Control::Action::metrics_only:
                model_->metrics_only(now);
                return breaker_->metrics_only("operator", "a note");
        }
    }

    void take(const Reconfigure& step) {
        model_->reconfigure(step.config, clock_.now());
        breaker_->reconfigure(sabotaged(step.config), "operator", "a note");
    }

    void take(const Restore& step) {
        const BreakerSnapshot snapshot{.state = step.state,
                                       .time_left = step.time_left,
                                       .attempt = step.attempt,
                                       .trip_count = step.trip_count,
                                       .generation = step.generation};
        restore(snapshot, snapshot);
    }

    void take(const Restart& step) {
        const auto expected = model_->snapshot(clock_.now());
        const auto saved = breaker_->snapshot();
        compare(saved, expected);
        count();
        in_flight_.clear();
        clock_.advance(step.downtime);
        begin(CircuitBreakerConfig{model_->config()});
        restore(saved, expected);
    }

    void restore(const BreakerSnapshot& saved, const BreakerSnapshot& expected) {
        restored_.reset();
        model_->restore(expected, clock_.now());
        breaker_->restore(saved);
        same("restored event", restored_.has_value(), true);
        if (restored_) {
            same("restored event: saved", restored_->saved, expected.state);
            same("restored event: state", restored_->state, model_->state());
            same("restored event: time_left", restored_->time_left, model_->metrics(clock_.now()).retry_after);
        }
        compared_reports_ = 0;
    }

    CircuitBreakerConfig sabotaged(CircuitBreakerConfig config) const {
        if (sabotage_) sabotage_(config);
        return config;
    }

    // ---- the comparison ----

    template <class Value>
    void same(std::string_view what, const Value& breaker, const Value& model) {
        if (breaker == model) return;
        differences_ += fmt::format("    {}: breaker {}, model {}\n", what, show(breaker), show(model));
    }
    void near(std::string_view what, double breaker, double model) {
        if (std::abs(breaker - model) > 1e-9) same(what, breaker, model);
    }

    void compare_admission(const Rejection* rejection,
                           const std::expected<ReferenceBreaker::CallId, Rejection>& expected) {
        same("admitted", rejection == nullptr, expected.has_value());
        if (rejection == nullptr || expected) return;
        same("rejection", std::string{to_string(rejection->kind)}, std::string{to_string(expected.error().kind)});
        same("state in the rejection", rejection->state, expected.error().state);
        same("generation in the rejection", rejection->generation, expected.error().generation);
        same("retry_after", rejection->retry_after, expected.error().retry_after);
    }

    void compare() {
        const auto now = clock_.now();
        same("state", breaker_->state(), model_->state());
        same("generation", breaker_->generation(), model_->generation());
        const auto metrics = breaker_->metrics();
        compare(metrics, model_->metrics(now));
        if (const auto bounds = model_->window_bounds(now)) compare_bounds(metrics.window, *bounds);
        if (model_->reports().size() != compared_reports_) {
            compare_reports();
            compared_reports_ = model_->reports().size();
        }
        compare_events(metrics);
    }

    void compare(const CircuitBreakerMetrics& breaker, const CircuitBreakerMetrics& model) {
        same("metrics: state", breaker.state, model.state);
        same("metrics: generation", breaker.generation, model.generation);
        same("requests", breaker.totals.requests, model.totals.requests);
        same("admitted", breaker.totals.admitted, model.totals.admitted);
        same("successes", breaker.totals.successes, model.totals.successes);
        same("failures", breaker.totals.failures, model.totals.failures);
        same("timeouts", breaker.totals.timeouts, model.totals.timeouts);
        same("failed", breaker.totals.failed, model.totals.failed);
        same("ignored", breaker.totals.ignored, model.totals.ignored);
        same("abandoned", breaker.totals.abandoned, model.totals.abandoned);
        same("stale", breaker.totals.stale, model.totals.stale);
        same("slow", breaker.totals.slow, model.totals.slow);
        same("rejected", breaker.totals.rejected, model.totals.rejected);
        same("rejected_open", breaker.totals.rejected_open, model.totals.rejected_open);
        same("rejected_probes", breaker.totals.rejected_probes, model.totals.rejected_probes);
        same("fallbacks", breaker.totals.fallbacks, model.totals.fallbacks);
        same("probes", breaker.totals.probes, model.totals.probes);
        same("listener_errors", breaker.totals.listener_errors, model.totals.listener_errors);
        same("window", breaker.window, model.window);
        same("consecutive_failures", breaker.consecutive_failures, model.consecutive_failures);
        same("consecutive_successes", breaker.consecutive_successes, model.consecutive_successes);
        near("failure_rate", breaker.failure_rate, model.failure_rate);
        near("success_rate", breaker.success_rate, model.success_rate);
        near("slow_call_rate", breaker.slow_call_rate, model.slow_call_rate);
        for (std::size_t i = 0; i < model.durations.buckets.size(); ++i) {
            if (breaker.durations.buckets[i] == model.durations.buckets[i]) continue;
            same(fmt::format("durations, bucket {}", i), breaker.durations.buckets[i], model.durations.buckets[i]);
        }
        same("durations, sum", breaker.durations.sum, model.durations.sum);
        same("average_duration", breaker.average_duration, model.average_duration);
        same("probes_in_flight", breaker.probes_in_flight, model.probes_in_flight);
        same("last_change", breaker.last_change, model.last_change);
        same("next_attempt", breaker.next_attempt, model.next_attempt);
        same("metrics: retry_after", breaker.retry_after, model.retry_after);
        same("open_duration", breaker.open_duration, model.open_duration);
        same("trip_count", breaker.trip_count, model.trip_count);
        same("attempt", breaker.attempt, model.attempt);
        same("config_version", breaker.config_version, model.config_version);
        if (breaker.transitions != model.transitions) differences_ += "    transitions\n";
    }

    void compare_bounds(const WindowCounts& window, const WindowBounds& bounds) {
        const auto within = [&](std::uint64_t least, std::uint64_t value, std::uint64_t most) {
            return least <= value && value <= most;
        };
        if (within(bounds.least.total, window.total, bounds.most.total) &&
            within(bounds.least.failures, window.failures, bounds.most.failures) &&
            within(bounds.least.slow, window.slow, bounds.most.slow)) {
            return;
        }
        differences_ += fmt::format("    window: breaker {}, R13 allows {} … {}\n", show(window), show(bounds.least),
                                    show(bounds.most));
    }

    void compare(std::string_view what, const TransitionReport& breaker, const TransitionReport& model) {
        const auto field = [&](std::string_view name) { return fmt::format("{}: {}", what, name); };
        if (breaker.sequence != model.sequence) same(field("sequence"), breaker.sequence, model.sequence);
        if (breaker.from != model.from) same(field("from"), breaker.from, model.from);
        if (breaker.to != model.to) same(field("to"), breaker.to, model.to);
        if (breaker.reason != model.reason) same(field("reason"), breaker.reason, model.reason);
        if (breaker.window != model.window) same(field("window"), breaker.window, model.window);
        if (breaker.consecutive_failures != model.consecutive_failures) {
            same(field("consecutive_failures"), breaker.consecutive_failures, model.consecutive_failures);
        }
        if (breaker.open_for != model.open_for) same(field("open_for"), breaker.open_for, model.open_for);
        if (breaker.attempt != model.attempt) same(field("attempt"), breaker.attempt, model.attempt);
        if (breaker.config_version != model.config_version) {
            same(field("config_version"), breaker.config_version, model.config_version);
        }
        if (breaker.at != model.at) same(field("at"), breaker.at, model.at);
        if (breaker.last_outcomes != model.last_outcomes) {
            same(field("last_outcomes"), show(breaker.last_outcomes), show(model.last_outcomes));
        }
        const bool by_operator =
            model.reason == TransitionReason::operator_request || model.reason == TransitionReason::configuration;
        if (by_operator) same(field("actor"), breaker.actor, std::string{"operator"});
        switch (model.reason) {
            case TransitionReason::consecutive_failures:
            case TransitionReason::failure_rate:
            case TransitionReason::slow_call_rate:
            case TransitionReason::probe_success_rate:
            case TransitionReason::success_threshold_met:
                near(field("threshold"), breaker.threshold, model.threshold);
                near(field("observed"), breaker.observed, model.observed);
                break;
            default:
                break;  // which numbers tell most is left open
        }
    }

    void compare_reports() {
        const auto& expected = model_->reports();
        const auto reports = breaker_->reports();  // newest first, the last 16
        same("number of reports", reports.size(), std::min<std::size_t>(expected.size(), 16));
        for (std::size_t age = 0; age < std::min(reports.size(), expected.size()); ++age) {
            compare(fmt::format("report {}", age), reports[age], expected[expected.size() - 1 - age]);
        }
        compare("last_trip", breaker_->last_trip(), model_->last_trip());
    }

    void compare(std::string_view what, const std::optional<TransitionReport>& breaker,
                 const std::optional<TransitionReport>& model) {
        same(what, breaker.has_value(), model.has_value());
        if (breaker && model) compare(what, *breaker, *model);
    }

    void compare(const BreakerSnapshot& breaker, const BreakerSnapshot& model) {
        same("snapshot: state", breaker.state, model.state);
        same("snapshot: time_left", breaker.time_left, model.time_left);
        same("snapshot: attempt", breaker.attempt, model.attempt);
        same("snapshot: trip_count", breaker.trip_count, model.trip_count);
        same("snapshot: generation", breaker.generation, model.generation);
        same("snapshot: number of reports", breaker.reports.size(), model.reports.size());
        for (std::size_t age = 0; age < std::min(breaker.reports.size(), model.reports.size()); ++age) {
            compare(fmt::format("snapshot: report {}", age), breaker.reports[age], model.reports[age]);
        }
        compare("snapshot: last_trip", breaker.last_trip, model.last_trip);
    }

    // ---- events (R36) ----

    void hear(const BreakerEvent& event) {
        if (const auto* transition = std::get_if<StateTransitionEvent>(&event)) {
            transitions_.push_back(transition->report);
        } else if (const auto* shadow = std::get_if<WouldHaveTrippedEvent>(&event)) {
            would_have_tripped_.push_back(shadow->report);
        } else if (const auto* restored = std::get_if<StateRestoredEvent>(&event)) {
            restored_ = *restored;
        } else if (std::holds_alternative<RequestExecutedEvent>(event)) {
            ++executed_;
        } else if (std::holds_alternative<RequestRejectedEvent>(event)) {
            ++rejected_;
        }
    }

    void compare_events(const CircuitBreakerMetrics& metrics) {
        same("transition events", transitions_.size(), model_->transitions().size());
        if (!transitions_.empty() && transitions_.size() == model_->transitions().size()) {
            compare("transition event", transitions_.back(), model_->transitions().back());
        }
        same("would-have-tripped events", would_have_tripped_.size(), model_->would_have_tripped().size());
        if (!would_have_tripped_.empty() && would_have_tripped_.size() == model_->would_have_tripped().size()) {
            compare("would-have-tripped", would_have_tripped_.back(), model_->would_have_tripped().back());
        }
        same("executed events", executed_, listens_to_calls_ ? metrics.totals.admitted : 0);
        same("rejected events", rejected_, listens_to_calls_ ? metrics.totals.rejected : 0);
    }

    // ---- telling ----

    // Once more, with what the model says after each step.
    std::string tell(const Scenario& scenario) const {
        auto text = fmt::format("configuration: {}\n", describe(scenario.config));
        if (taken_ == 0) return text + differences_;
        Scenario so_far{scenario.config, scenario.listen_to_calls, {}};
        so_far.steps.assign(scenario.steps.begin(), scenario.steps.begin() + static_cast<std::ptrdiff_t>(taken_));
        Replay again{so_far, sabotage_};
        const auto born = again.clock_.now();
        std::size_t number = 0;
        for (const auto& step : so_far.steps) {
            std::visit([&again](const auto& one) { again.take(one); }, step);
            const auto metrics = again.model_->metrics(again.clock_.now());
            text += fmt::format(
                "{:4}. {}\n      model at {} s: {}, generation {}, window {}, {} failures in a row, attempt {}\n",
                ++number, describe(step), std::chrono::duration<double>(again.clock_.now() - born).count(),
                show(metrics.state), metrics.generation, show(metrics.window), metrics.consecutive_failures,
                metrics.attempt);
        }
        return text + "  They disagree:\n" + differences_;
    }

    ManualClock clock_;
    const Sabotage& sabotage_;
    std::optional<ReferenceBreaker> model_;
    std::optional<CircuitBreaker> breaker_;
    std::vector<TransitionReport> transitions_;
    std::vector<TransitionReport> would_have_tripped_;
    std::uint64_t executed_{};
    std::uint64_t rejected_{};
    std::optional<StateRestoredEvent> restored_;
    Tally tally_;
    Subscription subscription_;
    bool listens_to_calls_;
    std::vector<InFlight> in_flight_;
    std::string differences_;
    std::size_t taken_{};
    std::size_t compared_reports_{};
};

}  // namespace

std::optional<std::string> replay(const Scenario& scenario, const Sabotage& sabotage, Tally* tally) {
    Replay replay{scenario, sabotage};
    auto disagreement = replay.run(scenario);
    if (tally != nullptr) replay.add_to(*tally);
    return disagreement;
}

}  // namespace fusebox::test::model
