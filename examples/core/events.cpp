// Hears what a breaker does, and asks it afterwards why it opened.
#include <chrono>
#include <expected>
#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>
#include <iostream>
#include <string>
#include <variant>

using namespace std::chrono_literals;

// What to do with an event: a log line here, an alert or a counter elsewhere. No lock is held meanwhile.
struct Print {
    void operator()(const fusebox::StateTransitionEvent& event) const {
        std::cout << fusebox::describe(event.report) << '\n';
    }
    void operator()(const fusebox::RequestExecutedEvent& event) const {
        std::cout << "call: " << fusebox::to_string(event.outcome) << (event.slow ? ", slow" : "") << '\n';
    }
    void operator()(const fusebox::RequestRejectedEvent& event) const {
        std::cout << "rejected: " << fusebox::describe(event.rejection) << '\n';
    }
    template <class Other>
    void operator()(const Other&) const {}  // fallbacks, changed configurations and the like
};

int main() {
    fusebox::ManualClock clock;
    const auto config = fusebox::CircuitBreakerConfigBuilder{}
                            .failure_rate(0.5)
                            .minimum_requests(4)
                            .slow_calls(2s)
                            .success_threshold(2)
                            .build();
    fusebox::CircuitBreaker breaker{"ledger", config, {.clock = &clock}};

    // Transitions and other rare events are told by default. Calls cost a little when somebody listens, nothing else.
    const auto subscription = breaker.subscribe(
        [](const fusebox::CircuitBreaker&, const fusebox::BreakerEvent& event) { std::visit(Print{}, event); },
        fusebox::EventMask::all);

    const auto book = [&](bool good, fusebox::Duration time = 100ms) {
        (void)breaker.call([&]() -> std::expected<void, std::string> {
            clock.advance(time);
            if (!good) return std::unexpected("deadlock");
            return {};
        });
    };
    book(true);
    book(true, 3s);
    book(false);
    book(false);  // the second of four: half of the calls failed
    book(true);   // refused

    clock.advance(30s);
    book(true);
    book(true);

    const auto trip = breaker.last_trip();
    std::cout << "it opened because of " << fusebox::to_string(trip->reason) << ": " << trip->window.failures << " of "
              << trip->window.total << " calls failed, " << trip->window.slow << " was slow\n";
}
