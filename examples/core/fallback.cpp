// Answers when the dependency cannot: while the circuit is open, or on any failure.
#include <expected>
#include <fusebox/core/circuit_breaker.hpp>
#include <iostream>
#include <stdexcept>
#include <string>

// The dependency is down for as long as this example runs.
std::expected<int, std::string> fetch_price() {
    std::cout << "  (asking the shop)\n";
    return std::unexpected("the shop is closed");
}

int last_known_price() { return 995; }

template <class Answer>
void show(const Answer& price) {
    if (price) {
        std::cout << "price: " << *price << '\n';
    } else {
        std::cout << "no price: " << fusebox::describe(price.error()) << '\n';
    }
}

int main() {
    fusebox::CircuitBreaker breaker{"shop", {.consecutive_failure_threshold = 2}};

    // By default a fallback stands in for calls that the breaker refuses; the dependency's own errors stay what they
    // are.
    for (int i = 0; i < 3; ++i) show(breaker.call_with_fallback(fetch_price, last_known_price));

    // It can stand in for every failure as well, and it is told what went wrong.
    breaker.reset();
    const auto explain = [](const auto& error) {
        std::cout << "  (" << fusebox::describe(error) << ")\n";
        return last_known_price();
    };
    show(breaker.call_with_fallback(fetch_price, explain, fusebox::FallbackOn::any_failure));

    // A fallback that fails itself hides nothing: the error says both.
    const auto broken = []() -> int { throw std::runtime_error("the cache is empty"); };
    show(breaker.call_with_fallback(fetch_price, broken, fusebox::FallbackOn::any_failure));

    std::cout << "fallbacks: " << breaker.metrics().totals.fallbacks << '\n';
}
