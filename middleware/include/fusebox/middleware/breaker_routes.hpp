// `/v1/circuit-breakers`: every breaker of a registry, why it is where it is, and an operator's hand on it.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <fusebox/middleware/router.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox::middleware {

/// The actor that a report names, from the request and from the `actor` of its body; that is empty where the body names
/// none. Several threads at once may call it.
using NameActor = std::function<std::string(const Request& request, std::string_view actor)>;

/// GET the list, one, its reports and the health summary; POST reset, open, trip, disable, metrics-only and reset of
/// all behind `admin`, with the optional body {"reason", "actor"}. Without `name_actor` the actor is that of the body,
/// "api" where it names none. `registry` must outlive the router.
///
///     Router router;
///     add_breaker_routes(router, fusebox::registry(), require_token(token, "set ADMIN_TOKEN"));
void add_breaker_routes(Router& router, Registry& registry, const Guard& admin, NameActor name_actor = {});

/// A breaker as the API shows it, JSON text.
[[nodiscard]] std::string breaker_to_json(const CircuitBreaker& breaker, Criticality criticality);

}  // namespace fusebox::middleware
