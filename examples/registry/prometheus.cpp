// Breakers beside what a program already exposes with prometheus-cpp: one line adds them to its Exposer.
#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/registry.h>

#include <chrono>
#include <expected>
#include <fusebox/registry/prometheus.hpp>
#include <fusebox/transport/http_client.hpp>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>

int main() {
    // The registry of the process outlives the exposer; one of your own is made before it.
    auto& registry = fusebox::registry();

    // What the program has already: an exposer, and metrics of its own.
    const auto own = std::make_shared<prometheus::Registry>();
    prometheus::BuildCounter().Name("shop_orders_total").Help("Orders.").Register(*own).Add({}).Increment(3);
    prometheus::Exposer exposer{"127.0.0.1:0"};  // any free port
    exposer.RegisterCollectable(own);

    // The breakers too, for as long as somebody keeps the collectable.
    const auto breakers = std::make_shared<fusebox::RegistryCollectable>(
        registry, fusebox::MetricsOptions{.prefix = "shop_circuit_breaker_"});
    exposer.RegisterCollectable(breakers);

    const auto payments = registry.get_or_create("payments", {.consecutive_failure_threshold = 2});
    (void)payments->call([] { return "paid"; });
    for (int i = 0; i < 3; ++i) {  // the third is rejected
        (void)payments->call([]() -> std::expected<int, std::string> { return std::unexpected("no route"); });
    }

    // What Prometheus sees of it.
    fusebox::transport::HttpClient client;
    const auto answer =
        client.send({.url = "http://127.0.0.1:" + std::to_string(exposer.GetListeningPorts().at(0)) + "/metrics"},
                    fusebox::CallContext::with_timeout(std::chrono::seconds{10}));
    if (!answer) {
        std::cerr << answer.error().message << '\n';
        return 1;
    }
    std::istringstream lines{answer->body};
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("shop_orders_total") || line.starts_with("shop_circuit_breaker_state{") ||
            (line.starts_with("shop_circuit_breaker_") && line.find("calls_total{") != std::string::npos)) {
            std::cout << line << '\n';
        }
    }
}
