#include <algorithm>
#include <fusebox/testkit/outcome_recorder.hpp>
#include <fusebox/text/duration.hpp>
#include <mutex>
#include <utility>

namespace fusebox::testkit {
namespace {

std::string move_text(const TransitionReport& report) {
    std::string line;
    line.append(to_string(report.from)).append(" -> ").append(to_string(report.to));
    return line.append(" (").append(to_string(report.reason)).append(")");
}

struct Describe {
    std::string operator()(const StateTransitionEvent& event) const { return move_text(event.report); }
    std::string operator()(const RequestExecutedEvent& event) const {
        std::string line{to_string(event.outcome)};
        return line.append(event.slow ? ", slow, in " : " in ").append(text::format_duration(event.duration));
    }
    std::string operator()(const RequestRejectedEvent& event) const {
        return std::string{"rejected ("}.append(to_string(event.rejection.kind)).append(")");
    }
    std::string operator()(const FallbackExecutedEvent& event) const {
        return event.failed ? "fallback failed" : "fallback";
    }
    std::string operator()(const ConfigChangedEvent& event) const {
        return "configuration " + std::to_string(event.config_version);
    }
    std::string operator()(const WouldHaveTrippedEvent& event) const {
        return std::string{"would have tripped ("}.append(to_string(event.report.reason)).append(")");
    }
    std::string operator()(const StateRestoredEvent& event) const {
        return std::string{"restored ("}.append(to_string(event.state)).append(")");
    }
};

}  // namespace

std::string describe(const RecordedEvent& recorded) {
    return recorded.breaker + ": " + std::visit(Describe{}, recorded.event);
}

struct OutcomeRecorder::Log {
    mutable std::mutex mutex;  // guards events, and the recorder's subscriptions
    std::vector<RecordedEvent> events;
};

OutcomeRecorder::OutcomeRecorder() : log_(std::make_shared<Log>()) {}

OutcomeRecorder::OutcomeRecorder(CircuitBreaker& breaker, EventMask mask) : OutcomeRecorder() { watch(breaker, mask); }

void OutcomeRecorder::watch(CircuitBreaker& breaker, EventMask mask) {
    // Subscribing takes the breaker's locks: not with our own held.
    auto subscription = breaker.subscribe(listener(), mask);
    const std::lock_guard lock{log_->mutex};
    subscriptions_.push_back(std::move(subscription));
}

BreakerListener OutcomeRecorder::listener() const {
    return [log = log_](const CircuitBreaker& breaker, const BreakerEvent& event) {
        RecordedEvent recorded{.breaker = breaker.name(), .at = breaker.clock().now(), .event = event};
        const std::lock_guard lock{log->mutex};
        log->events.push_back(std::move(recorded));
    };
}

std::vector<RecordedEvent> OutcomeRecorder::events(std::string_view breaker) const {
    const std::lock_guard lock{log_->mutex};
    std::vector<RecordedEvent> found;
    std::ranges::copy_if(log_->events, std::back_inserter(found),
                         [&](const RecordedEvent& recorded) { return breaker.empty() || recorded.breaker == breaker; });
    return found;
}

std::vector<std::string> OutcomeRecorder::transitions(std::string_view breaker) const {
    std::vector<std::string> lines;
    for (const auto& event : of<StateTransitionEvent>(breaker)) lines.push_back(move_text(event.report));
    return lines;
}

std::vector<Outcome> OutcomeRecorder::outcomes(std::string_view breaker) const {
    std::vector<Outcome> outcomes;
    for (const auto& event : of<RequestExecutedEvent>(breaker)) outcomes.push_back(event.outcome);
    return outcomes;
}

std::size_t OutcomeRecorder::count(Outcome outcome, std::string_view breaker) const {
    return static_cast<std::size_t>(std::ranges::count(outcomes(breaker), outcome));
}

std::size_t OutcomeRecorder::rejections(std::string_view breaker) const {
    return of<RequestRejectedEvent>(breaker).size();
}

std::string OutcomeRecorder::text(std::string_view breaker) const {
    std::string lines;
    for (const auto& recorded : events(breaker)) lines.append(describe(recorded)).append("\n");
    return lines;
}

void OutcomeRecorder::clear() {
    const std::lock_guard lock{log_->mutex};
    log_->events.clear();
}

}  // namespace fusebox::testkit
