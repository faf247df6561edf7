#include "world.hpp"

#include <algorithm>

namespace fusebox::test::explore {

World::World(const CircuitBreakerConfig& with, bool listening)
    : config(with), breaker("explored", with, {.clock = &clock, .seed = 1, .report_capacity = 32}) {
    if (!listening) return;
    subscription_ = breaker.subscribe([this](const CircuitBreaker& of, const BreakerEvent& event) {
        // A listener may call any method: here are some steps in the middle of a delivery.
        const auto generation = of.generation();
        if (const auto* transition = std::get_if<StateTransitionEvent>(&event)) {
            require(transition->report.sequence <= generation, "R37: no event comes before its transition");
            heard.push_back(transition->report.sequence);
        }
    });
}

void World::acquire(std::size_t slot) {
    auto& answer = answers[current_thread()];
    if (auto permit = breaker.try_acquire()) {
        answer += permit->is_probe() ? 'P' : 'C';
        permits[slot] = *std::move(permit);
        most_held = std::max(most_held, held());
    } else {
        ++rejected;
        rejection = permit.error();
        answer += permit.error().kind == Rejection::Kind::circuit_open ? 'o' : 'p';
    }
}

void World::settle(std::size_t slot, Outcome outcome) {
    if (!permits[slot]) return;
    auto permit = *std::move(permits[slot]);
    permits[slot].reset();
    ++outcomes[static_cast<std::size_t>(outcome)];
    outcome == Outcome::success ? permit.success() : permit.settle(outcome);
}

void World::drop(std::size_t slot) {
    if (!permits[slot]) return;
    ++outcomes[static_cast<std::size_t>(Outcome::abandoned)];
    const auto permit = *std::move(permits[slot]);
    permits[slot].reset();
}

void World::half_open() {
    breaker.trip();
    clock.advance(config.open_timeout);
    call(Outcome::ignored);
    require(breaker.state() == State::half_open, "half-open was prepared");
}

unsigned World::held() const {
    return static_cast<unsigned>(std::ranges::count_if(permits, [](const auto& permit) { return permit.has_value(); }));
}

std::uint64_t World::settled() const {
    std::uint64_t sum = 0;
    for (const auto count : outcomes) sum += count;
    return sum;
}

void World::check_books() {
    const auto metrics = breaker.metrics();
    const auto& totals = metrics.totals;
    require(totals.successes == outcomes[0], "R8: every success is in the totals once");
    require(totals.failures == outcomes[1], "R8: every failure is in the totals once");
    require(totals.timeouts == outcomes[2], "R8: every timeout is in the totals once");
    require(totals.ignored == outcomes[3], "R8: every ignored outcome is in the totals once");
    require(totals.abandoned == outcomes[4], "R9: every dropped permit is abandoned once");
    require(totals.rejected == rejected, "R41: every rejection is in the totals once");
    require(totals.stale <= totals.admitted, "R41: no part is above its whole");
    require(metrics.probes_in_flight <=
                std::max(config.half_open_max_concurrent, breaker.config().half_open_max_concurrent),
            "R4: never one probe more");

    if (metrics.state == State::closed) {
        require(config.consecutive_failure_threshold == 0 ||
                    metrics.consecutive_failures < config.consecutive_failure_threshold,
                "R12: a run that has reached its threshold trips");
        require(config.failure_rate_threshold == 0 || metrics.window.total < config.minimum_requests ||
                    metrics.failure_rate < config.failure_rate_threshold,
                "R12: a rate that has reached its threshold, with the minimum in the window, trips");
    }

    auto reports = breaker.reports();
    std::ranges::reverse(reports);
    require(reports.size() == metrics.generation, "R15: one report per generation");
    auto state = State::closed;
    std::uint64_t sequence = 0;
    for (const auto& report : reports) {
        require(report.sequence == ++sequence, "R15: reports are numbered 1, 2, 3");
        require(report.from == state, "R15: a transition begins where the one before ended");
        state = report.to;
    }
    require(state == metrics.state, "R15: the last transition led to the state");
    std::uint64_t transitions = 0;
    for (const auto& from : metrics.transitions) {
        for (const auto count : from) transitions += count;
    }
    require(transitions == metrics.generation, "R15: as many transitions as generations");
}

void World::check_listener() const {
    require(heard.size() == breaker.generation(), "R37: every transition is heard once");
    for (std::size_t index = 0; index < heard.size(); ++index) {
        require(heard[index] == index + 1, "R37: transitions are heard in sequence order");
    }
}

void World::check_recovery() {
    const auto state = breaker.state();
    if (state == State::forced_open || state == State::disabled || state == State::metrics_only) return;
    // Whatever lease is out has run out after this, and whatever hangs is seen; the circuit then opens, for the last
    // time.
    clock.advance(config.probe_lease + config.open_timeout);
    auto called = false;
    for (unsigned round = 0; round < config.success_threshold + 3 && !called; ++round) {
        auto permit = breaker.try_acquire();
        if (!permit) {
            clock.advance(permit.error().retry_after);
            permit = breaker.try_acquire();
        }
        require(permit.has_value(), "R24: the open time and the lease over, a call is admitted");
        if (!permit) return;
        called = !permit->is_probe();
        permit->success();
    }
    require(called && breaker.state() == State::closed, "R24: good probes close the circuit");
    if (state != State::closed) require(breaker.metrics().window.total == 1, "R16: nothing survives the way to closed");
}

std::string World::picture() {
    const auto metrics = breaker.metrics();
    const auto& window = metrics.window;
    std::string text{to_string(metrics.state)};
    text += " #" + std::to_string(metrics.generation) + ", probes " + std::to_string(metrics.probes_in_flight);
    if (metrics.state == State::closed) {
        text += ", run " + std::to_string(metrics.consecutive_failures) + ", window " + std::to_string(window.total) +
                "/" + std::to_string(window.failures) + "/" + std::to_string(window.slow) + ", stale " +
                std::to_string(metrics.totals.stale);
    } else {
        // A success that comes between the judgement and the transition is still one of the generation that was judged.
        text += ", counted or stale " + std::to_string(window.total + metrics.totals.stale);
    }
    text += ", answers";
    for (const auto& answer : answers) text += " " + answer;
    return text;
}

}  // namespace fusebox::test::explore
