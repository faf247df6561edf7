#include "api/access.hpp"

#include <utility>

#include <fmt/format.h>

#include <fusebox/middleware/access.hpp>
#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>

namespace fusebox::service {
namespace {

using enum Role;
using middleware::Request;
using middleware::Response;

/// Where an operator learns how to set the token of a role.
std::string how_to_set(Role role) {
    const auto name = role == ingest  ? "INCIDENTD_INGEST_TOKEN"
                      : role == read  ? "INCIDENTD_READ_TOKEN"
                      : role == admin ? "INCIDENTD_ADMIN_TOKEN"
                                      : "INCIDENTD_OPERATOR_TOKEN or INCIDENTD_ADMIN_TOKEN";
    return fmt::format("no token is configured for this: set {}, or server.{}_token_env or _file, where incidentd runs",
                       name, to_string(role));
}

Response refuse_token(const Request& request, Role needed, Role caller) {
    if (caller != none) {
        auto refusal = middleware::problem_response(
            403, fmt::format("this needs the {} token, not the {} token", to_string(needed), to_string(caller)));
        refusal.headers.emplace_back("WWW-Authenticate", R"(Bearer error="insufficient_scope")");
        return refusal;
    }
    const bool missing = request.header("Authorization").empty();
    auto refusal = middleware::problem_response(
        401, missing ? fmt::format("a bearer token is needed: the {} token", to_string(needed))
                     : "this is not the right bearer token");
    refusal.headers.emplace_back("WWW-Authenticate", missing ? "Bearer" : R"(Bearer error="invalid_token")");
    return refusal;
}

}  // namespace

Access::Access(const ServerConfig& server, bool on_loopback)
    : tokens_{Secret{}, server.ingest_token, server.read_token, server.operator_token, server.admin_token},
      on_loopback_(on_loopback),
      origins_{.hosts_are_checked = on_loopback, .allowed_hosts = server.allowed_hosts} {}

bool Access::brings(const Request& request, Role role) const {
    return middleware::carries_token(request, tokens_[static_cast<std::size_t>(role)].reveal());
}

bool Access::is_configured(Role role) const {
    if (role == operate && is_configured(admin)) return true;
    return !tokens_[static_cast<std::size_t>(role)].empty();
}

bool Access::grants(const Request& request, Role role) const {
    if (role == ingest) return brings(request, ingest);
    const auto mine = caller(request);
    return mine != ingest && mine >= role;
}

Role Access::caller(const Request& request) const {
    for (const auto role : {admin, operate, read, ingest}) {
        if (brings(request, role)) return role;
    }
    return none;
}

std::optional<Response> Access::check(const RouteAccess& route, const Request& request) const {
    if (auto refusal = middleware::check_origin(request, origins_)) return refusal;
    const auto role = route.role;
    if (role != none && !grants(request, role)) {
        if (is_configured(role)) return refuse_token(request, role, caller(request));
        if (route.without_token == WithoutToken::refused || !on_loopback_)
            return middleware::problem_response(403, how_to_set(role));
    }
    return route.method == "GET" ? std::nullopt : middleware::check_json_type(request);
}

bool Access::may_see_details(const Request& request) const {
    return grants(request, read) || (!is_configured(read) && middleware::is_local_caller(request));
}

std::string name_actor(Role caller, std::string_view said) {
    return said.empty() ? std::string{to_string(caller)} : fmt::format("{}:{}", to_string(caller), said);
}

}  // namespace fusebox::service
