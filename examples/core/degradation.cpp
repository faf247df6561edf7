// Does less while the dependency is unwell, and without it while the circuit is open.
#include <chrono>
#include <expected>
#include <fusebox/core/manual_clock.hpp>
#include <fusebox/policies/graceful_degradation.hpp>
#include <iostream>
#include <memory>
#include <string>

using namespace std::chrono_literals;
using fusebox::DegradationLevel;

bool model_is_up = true;

std::expected<std::string, std::string> ask(const std::string& model) {
    if (!model_is_up) return std::unexpected("overloaded");
    return "answer of the " + model + " model";
}

// What the application does at each level.
std::expected<std::string, std::string> answer(DegradationLevel level) {
    switch (level) {
        case DegradationLevel::normal:
            return ask("large");
        case DegradationLevel::degraded:
            return ask("small");
        case DegradationLevel::critical:
            break;
    }
    return "answer from the cache";  // must not touch the model
}

int main() {
    fusebox::ManualClock clock;
    const fusebox::CircuitBreakerConfig config{.consecutive_failure_threshold = 3, .success_threshold = 2};
    const auto breaker =
        std::make_shared<fusebox::CircuitBreaker>("model", config, fusebox::BreakerOptions{.clock = &clock});
    // Degraded from a quarter of failed calls on, or while the circuit is half-open; critical while it is open.
    const fusebox::GracefulDegradation degradation{breaker, {.degraded_failure_rate = 0.25, .minimum_requests = 4}};

    const auto chat = [&] {
        const auto text = degradation.call(answer);
        std::cout << (text ? *text : fusebox::describe(text.error())) << '\n';
        clock.advance(1s);
    };
    for (int i = 0; i < 3; ++i) chat();
    model_is_up = false;
    chat();  // one of four failed
    model_is_up = true;
    chat();  // hence the small model

    model_is_up = false;
    for (int i = 0; i < 4; ++i) chat();  // the third failure in a row opens the circuit

    model_is_up = true;
    clock.advance(30s);
    for (int i = 0; i < 3; ++i) chat();  // two probes, then all is well
    std::cout << "level: " << fusebox::to_string(degradation.level()) << '\n';
}
