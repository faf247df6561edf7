// `/livez`, `/readyz`, `/health` and `/metrics`.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <vector>

#include <fusebox/middleware/router.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox::middleware {

enum class HealthStatus { pass, warn, fail };
[[nodiscard]] std::string_view to_string(HealthStatus status) noexcept;

struct HealthCheck {
    std::string name{};            ///< "store", "dispatcher"
    std::string component_type{};  ///< "datastore", "component"
    HealthStatus status{HealthStatus::pass};
    std::string output{};  ///< why the status is not pass; no secrets
};

/// Several threads call these functions at once, each for one request, which waits for them.
struct HealthOptions {
    std::string version{};
    /// Nothing while requests can be served; else one sentence that says why not. Called by /readyz and /health. None:
    /// always ready.
    std::function<std::expected<void, std::string>()> ready{};
    /// More checks for /health, each under a name of its own ("ready" and "circuit_breaker:NAME" are taken).
    std::function<std::vector<HealthCheck>()> checks{};
    /// Which requests are shown `version`, `checks` and why /readyz fails; every request is shown `status`. None: no
    /// request is.
    std::function<bool(const Request&)> may_see_details{};
};

/// `/health`: an open critical breaker is fail (503); any other open or half-open breaker is warn (200). All three are
/// `application/health+json` whatever their status. `registry` must outlive the router.
void add_health_routes(Router& router, const Registry& registry, HealthOptions options);

/// `/metrics`: what `text` gives, which is Prometheus' text format 0.0.4. `text` is called for each request, by several
/// threads at once.
///
///     add_metrics_route(router, [] { return fusebox::prometheus_text(fusebox::registry()); });
void add_metrics_route(Router& router, std::function<std::string()> text);

}  // namespace fusebox::middleware
