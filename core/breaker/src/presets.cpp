#include <array>
#include <fusebox/core/presets.hpp>

namespace fusebox {
namespace {

using namespace std::chrono_literals;

// The order is that of the documentation of `preset`.
constexpr std::array<std::string_view, 13> names{
    "http_api",          "llm_service",        "database",        "notifications", "cache",
    "azure_service_bus", "azure_blob_storage", "azure_key_vault", "reverse_proxy", "action_executor",
    "standard",          "aggressive",         "lenient"};

// The columns of the contract's table: failures in a row, good probes to close, open time, probes at once.
CircuitBreakerConfig basic(std::uint32_t failures, std::uint32_t successes, Duration open_timeout,
                           std::uint32_t probes) {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = failures;
    config.success_threshold = successes;
    config.open_timeout = open_timeout;
    config.half_open_max_concurrent = probes;
    return config;
}

CircuitBreakerConfig azure(CircuitBreakerConfig config, Duration operation_timeout) {
    config.operation_timeout = operation_timeout;
    return config;
}

CircuitBreakerConfig reverse_proxy() {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 5;
    config.success_threshold = 3;
    config.open_timeout = 30s;
    config.failure_rate_threshold = 0.5;
    config.minimum_requests = 10;
    config.window = TimeWindow{.duration = 60s};
    return config;
}

// Judges only by rate; the minimum is the table's default.
CircuitBreakerConfig action_executor() {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 0;
    config.failure_rate_threshold = 0.5;
    config.window = CountWindow{.size = 100};
    config.open_timeout = 30s;
    config.half_open_max_concurrent = 5;
    return config;
}

// Trips early, looks back a short while, and comes back carefully: one probe at a time, longer after each failed one.
CircuitBreakerConfig aggressive() {
    auto config = basic(3, 5, 60s, 1);
    config.failure_rate_threshold = 0.25;
    config.minimum_requests = 5;
    config.window = TimeWindow{.duration = 30s};
    config.backoff = Backoff::exponential(2.0);
    return config;
}

// Trips late, on much evidence, and comes back at the first good sign.
CircuitBreakerConfig lenient() {
    auto config = basic(20, 1, 10s, 10);
    config.failure_rate_threshold = 0.8;
    config.minimum_requests = 50;
    config.window = TimeWindow{.duration = 120s};
    return config;
}

}  // namespace

std::optional<CircuitBreakerConfig> preset(std::string_view name) {
    if (name == "http_api") return basic(5, 2, 30s, 3);
    if (name == "llm_service") return basic(3, 2, 120s, 2);
    if (name == "database") return basic(10, 3, 10s, 5);
    if (name == "notifications") return basic(10, 2, 60s, 3);
    if (name == "cache") return basic(8, 3, 20s, 4);
    if (name == "azure_service_bus") return azure(basic(5, 3, 30s, 3), 5s);
    if (name == "azure_blob_storage") return azure(basic(5, 2, 30s, 5), 10s);
    if (name == "azure_key_vault") return azure(basic(3, 2, 60s, 2), 5s);
    if (name == "reverse_proxy") return reverse_proxy();
    if (name == "action_executor") return action_executor();
    if (name == "standard") return CircuitBreakerConfig{};
    if (name == "aggressive") return aggressive();
    if (name == "lenient") return lenient();
    return std::nullopt;
}

std::span<const std::string_view> preset_names() noexcept { return names; }

}  // namespace fusebox
