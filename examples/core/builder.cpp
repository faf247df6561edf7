// Configures a breaker: from nothing, from a preset, and what happens to mistakes.
#include <chrono>
#include <expected>
#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>
#include <fusebox/core/presets.hpp>
#include <fusebox/text/duration.hpp>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

int main() {
    // Everything has a default: say only what is different.
    const auto config = fusebox::CircuitBreakerConfigBuilder{}
                            .consecutive_failures(3)
                            .failure_rate(0.5)
                            .minimum_requests(20)
                            .time_window(30s)
                            .slow_calls(2s, 0.8)
                            .open_timeout(5s)
                            .exponential_backoff(2.0, 15s)
                            .build();

    // Each failed recovery doubles the time until the next one, up to fifteen seconds.
    fusebox::ManualClock clock;
    fusebox::CircuitBreaker breaker{"search", config, {.clock = &clock}};
    const auto search = []() -> std::expected<int, std::string> { return std::unexpected("down"); };
    for (int i = 0; i < 3; ++i) (void)breaker.call(search);
    for (int recovery = 0; recovery < 4; ++recovery) {
        const auto wait = breaker.metrics().retry_after;
        std::cout << "open for " << fusebox::text::format_duration(wait) << '\n';
        clock.advance(wait);
        (void)breaker.call(search);  // the probe fails
    }

    // From a preset: good numbers for a kind of dependency, with changes of one's own.
    const auto model =
        fusebox::CircuitBreakerConfigBuilder{fusebox::preset("llm_service").value()}.success_threshold(1).build();
    std::cout << "llm_service opens after " << model.consecutive_failure_threshold << " failures and closes after "
              << model.success_threshold << " good probe\n";

    // Mistakes are told at once and together, each with its value and its range.
    try {
        (void)fusebox::CircuitBreakerConfigBuilder{}.failure_rate(1.5).open_timeout(0s).success_threshold(0).build();
    } catch (const fusebox::InvalidConfig& error) {
        for (const auto& mistake : error.errors()) std::cout << mistake.field << ' ' << mistake.message << '\n';
    }
}
