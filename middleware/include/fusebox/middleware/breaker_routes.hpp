// `/v1/circuit-breakers`: every breaker of a registry, why it is where it is, and an operator's hand on it.
#pragma once

#include <string>

#include <fusebox/middleware/router.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox::middleware {

/// GET the list, one, its reports and the health summary; POST reset, open, trip, disable, metrics-only and reset of
/// all behind `admin`, with the optional body {"reason", "actor"}. `registry` must outlive the router.
///
///     Router router;
///     add_breaker_routes(router, fusebox::registry(), require_token(token, "set ADMIN_TOKEN"));
void add_breaker_routes(Router& router, Registry& registry, const Guard& admin);

/// A breaker as the API shows it, JSON text.
[[nodiscard]] std::string breaker_to_json(const CircuitBreaker& breaker, Criticality criticality);

}  // namespace fusebox::middleware
