// `/livez`, `/readyz`, `/health` and `/metrics`.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <vector>

#include <fusebox/middleware/router.hpp>
#include <fusebox/registry/metrics_text.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox::middleware {

enum class HealthStatus { pass, warn, fail };
[[nodiscard]] std::string_view to_string(HealthStatus status) noexcept;

struct HealthCheck {
    std::string name;            ///< "store", "dispatcher"
    std::string component_type;  ///< "datastore", "component"
    HealthStatus status{HealthStatus::pass};
    std::string output{};  ///< why it is not pass; no secrets
};

struct HealthOptions {
    std::string version;
    /// Whether what a 200 promises can be kept now; else one sentence. Called by /readyz and /health.
    std::function<std::expected<void, std::string>()> ready;
    /// More checks for /health.
    std::function<std::vector<HealthCheck>()> checks{};
    /// Who sees `checks`; everybody sees `status`.
    std::function<bool(const Request&)> may_see_details{};
};

/// `/health`: an open critical breaker is fail (503); any other open or half-open breaker is warn (200). All three are
/// `application/health+json` whatever their status. `registry` must outlive the router.
void add_health_routes(Router& router, const Registry& registry, HealthOptions options);

/// The Prometheus text of `registry` and of what `more` gives.
void add_metrics_route(Router& router, const Registry& registry, std::function<std::vector<MetricFamily>()> more = {});

}  // namespace fusebox::middleware
