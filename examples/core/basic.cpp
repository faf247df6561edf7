// A call through a circuit breaker: it fails, the circuit opens, and it closes again when the dependency is back.
#include <chrono>
#include <expected>
#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>
#include <iostream>
#include <string>

using namespace std::chrono_literals;

// The dependency: an exchange that can be down. It tells its errors as values; exceptions work as well.
bool exchange_is_up = true;

std::expected<std::string, std::string> fetch_rate() {
    if (!exchange_is_up) return std::unexpected("connection refused");
    return "1.09";
}

void ask(fusebox::CircuitBreaker& breaker) {
    const auto rate = breaker.call(fetch_rate);
    if (rate) {
        std::cout << "rate: " << *rate << '\n';
    } else if (const auto* rejection = rate.error().rejection()) {
        std::cout << "not asked: " << fusebox::describe(*rejection) << '\n';
    } else {
        std::cout << "failed: " << fusebox::describe(rate.error()) << '\n';
    }
}

int main() {
    // Programs leave the clock out and get the real one; with this one nobody has to wait for the example.
    fusebox::ManualClock clock;

    fusebox::CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 3;  // three failures in a row open the circuit
    config.open_timeout = 30s;                 // then nobody is let through for half a minute
    config.success_threshold = 1;              // one good probe closes it again
    fusebox::CircuitBreaker breaker{"exchange", config, {.clock = &clock}};

    ask(breaker);

    exchange_is_up = false;
    for (int i = 0; i < 4; ++i) ask(breaker);  // the fourth does not reach the exchange

    exchange_is_up = true;
    clock.advance(12s);
    ask(breaker);  // too early
    clock.advance(18s);
    ask(breaker);  // the probe
    ask(breaker);

    std::cout << "state: " << fusebox::to_string(breaker.state()) << '\n';
}
