// Tries again what may succeed the second time, and stops when the breaker says that there is no point.
#include <chrono>
#include <expected>
#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/retry.hpp>
#include <fusebox/text/duration.hpp>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

int main() {
    // Programs leave clock and sleeper out and really wait; here the pauses pass at once.
    fusebox::ManualClock clock;
    fusebox::ManualSleeper sleeper{clock};

    fusebox::CircuitBreaker breaker{"orders", {.consecutive_failure_threshold = 5}, {.clock = &clock}};

    // Outermost first: each attempt of the retry goes through the breaker, and is counted there.
    const fusebox::Pipeline orders{
        fusebox::Retry{{.max_attempts = 4, .delay = 100ms, .jitter = 0}, {.clock = &clock, .sleeper = &sleeper}},
        fusebox::BreakerPolicy{breaker}};
    std::cout << orders.describe() << '\n';

    int attempts = 0;
    int failures_left = 2;
    const auto place_order = [&]() -> std::expected<std::string, std::string> {
        ++attempts;
        if (failures_left > 0) {
            --failures_left;
            return std::unexpected("connection reset");
        }
        return "order 4711";
    };
    const auto order = [&] {
        attempts = 0;
        const auto answer = orders.call(place_order);
        std::cout << "asked " << attempts << " ×: " << (answer ? *answer : fusebox::describe(answer.error())) << '\n';
    };

    order();  // two failures, then it works

    failures_left = 1000;
    order();  // four failures in a row: the retry gives up
    order();  // the fifth opens the circuit, and a refusal is never retried
    order();

    for (const auto pause : sleeper.waits()) {
        std::cout << "paused " << fusebox::text::format_duration(pause) << '\n';
    }
}
