#include "proof/model/scenario.hpp"

#include <ostream>

#include <fmt/format.h>

namespace fusebox::test::model {
namespace {

std::string show(Duration duration) {
    const auto count = duration.count();
    if (count % 1'000'000'000 == 0) return fmt::format("{} s", count / 1'000'000'000);
    const auto nearest = (count + (count < 0 ? -500'000'000 : 500'000'000)) / 1'000'000'000;
    const auto rest = count - nearest * 1'000'000'000;
    if (nearest != 0 && rest > -1000 && rest < 1000) return fmt::format("{} s {:+} ns", nearest, rest);
    if (rest > -1000 && rest < 1000) return fmt::format("{} ns", rest);
    return fmt::format("{} s", static_cast<double>(count) / 1e9);
}

std::string show(const std::optional<Duration>& duration) { return duration ? show(*duration) : "off"; }

struct Describe {
    std::string operator()(const Call& call) const {
        auto text = fmt::format("call that takes {}: {}", show(call.takes), to_string(call.outcome));
        if (call.retry_after) text += fmt::format(", retry after {}", show(*call.retry_after));
        return text;
    }
    std::string operator()(const Admit&) const { return "admit"; }
    std::string operator()(const Settle& settle) const {
        auto text = fmt::format("settle number {} in flight: {}", settle.which, to_string(settle.outcome));
        if (settle.duration) text += fmt::format(", took {}", show(*settle.duration));
        if (settle.retry_after) text += fmt::format(", retry after {}", show(*settle.retry_after));
        return text;
    }
    std::string operator()(const Drop& drop) const { return fmt::format("drop number {} in flight", drop.which); }
    std::string operator()(const Advance& advance) const { return "advance " + show(advance.by); }
    std::string operator()(const AdvanceTo& advance) const {
        return fmt::format(
            "advance to {} {:+} ns",
            advance.moment == AdvanceTo::Moment::next_attempt ? "the next attempt" : "the end of a lease",
            advance.offset.count());
    }
    std::string operator()(const StepWallClock& step) const {
        return fmt::format("step the wall clock {} us", step.by.count());
    }
    std::string operator()(const Control& control) const {
        switch (control.action) {
            case Control::Action::reset:
                return "reset";
            case Control::Action::force_open:
                return "force_open";
            case Control::Action::trip:
                return "trip";
            case Control::Action::disable:
                return "disable";
            case Control::Action::metrics_only:
                return "metrics_only";
        }
        return "?";
    }
    std::string operator()(const Reconfigure& step) const { return "reconfigure: " + describe(step.config); }
    std::string operator()(const Restore& step) const {
        return fmt::format("restore {}, {} left, attempt {}, {} trips, generation {}", to_string(step.state),
                           show(step.time_left), step.attempt, step.trip_count, step.generation);
    }
    std::string operator()(const Restart& step) const {
        return fmt::format("restart, down for {}", show(step.downtime));
    }
};

}  // namespace

std::string describe(const CircuitBreakerConfig& config) {
    auto text = fmt::format("failures in a row {}, failure rate {} of {}", config.consecutive_failure_threshold,
                            config.failure_rate_threshold, config.minimum_requests);
    if (config.slow_call_duration_threshold) {
        text += fmt::format(", slow from {} at rate {}", show(*config.slow_call_duration_threshold),
                            config.slow_call_rate_threshold);
    }
    if (const auto* time = std::get_if<TimeWindow>(&config.window)) {
        text += fmt::format(", window {} in {} slices", show(time->duration), time->slices);
    } else {
        text += fmt::format(", window last {}", std::get<CountWindow>(config.window).size);
    }
    text += fmt::format(", open {}", show(config.open_timeout));
    if (config.backoff.kind == Backoff::Kind::linear) {
        text += fmt::format(" linear +{}", show(config.backoff.increment));
    } else if (config.backoff.kind == Backoff::Kind::exponential) {
        text += fmt::format(" exponential x{}", config.backoff.multiplier);
    }
    text += fmt::format(" up to {}", show(config.backoff.max_open_timeout));
    text += fmt::format(", probes {} at once, ", config.half_open_max_concurrent);
    if (config.half_open_rate) {
        text +=
            fmt::format("rate {} of {}", config.half_open_rate->success_rate, config.half_open_rate->minimum_probes);
    } else {
        text += fmt::format("strict {}", config.success_threshold);
    }
    text += fmt::format(", lease {}, operation timeout {}, hung from {}", show(config.probe_lease),
                        show(config.operation_timeout), show(config.hung_call_threshold));
    if (!config.count_timeout_as_failure) text += ", timeouts are neutral";
    if (!config.enabled) text += ", not enabled";
    return text;
}

std::string describe(const Step& step) { return std::visit(Describe{}, step); }

std::ostream& operator<<(std::ostream& out, const Scenario& scenario) {
    out << "configuration: " << describe(scenario.config) << (scenario.listen_to_calls ? ", calls are listened to" : "")
        << '\n';
    std::size_t number = 0;
    for (const auto& step : scenario.steps) out << fmt::format("{:4}. {}\n", ++number, describe(step));
    return out;
}

}  // namespace fusebox::test::model
