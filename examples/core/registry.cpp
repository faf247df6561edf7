// Breakers by name, configured by a file: made once, found everywhere, looked after in one place.
#include <expected>
#include <fusebox/registry/registry.hpp>
#include <fusebox/registry/with_circuit_breaker.hpp>
#include <fusebox/text/duration.hpp>
#include <iostream>
#include <string>

constexpr auto configuration = R"(
[breakers.defaults]
open_timeout = "10s"

[breakers.payments]
preset = "http_api"
criticality = "critical"

[breakers.search]
consecutive_failure_threshold = 1
)";

int main() {
    const auto set = fusebox::BreakerSet::from_toml(configuration);
    if (!set) {
        for (const auto& mistake : set.error()) std::cerr << fusebox::describe(mistake, "breakers.toml") << '\n';
        return 1;
    }
    // The one that the whole program shares; a test makes a fusebox::Registry of its own.
    auto& registry = fusebox::registry();
    registry.load(*set);

    // Whoever asks first makes the breaker; whoever asks later gets the same one.
    const auto payments = registry.get_or_create("payments");
    const auto search = registry.get_or_create("search");
    std::cout << "the same: " << (registry.get_or_create("search") == search ? "yes" : "no") << '\n';
    std::cout << "payments opens after " << payments->config().consecutive_failure_threshold << " failures, for "
              << fusebox::text::format_duration(payments->config().open_timeout) << '\n';

    (void)payments->call([] { return "paid"; });
    // Or in one line, where the call is not on a hot path.
    (void)fusebox::with_circuit_breaker(
        "search", []() -> std::expected<int, std::string> { return std::unexpected("no route"); });

    const auto health = registry.health_check();
    std::cout << "healthy: " << (health.healthy ? "yes" : "no") << ", " << health.open << " of " << health.total
              << " open\n";
    for (const auto& breaker : health.breakers) {
        std::cout << breaker.name << " (" << fusebox::to_string(breaker.criticality)
                  << "): " << (breaker.why.empty() ? fusebox::to_string(breaker.state) : breaker.why) << '\n';
    }

    registry.reset_all("ops", "the route is back");
    std::cout << "open circuits: " << (registry.has_open_circuits() ? "yes" : "no") << '\n';
}
