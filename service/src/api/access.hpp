// Who may do what: the tokens of a configuration, and what each route asks for.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include <fusebox/middleware/http.hpp>
#include <fusebox/middleware/origin_guard.hpp>

#include "api/access_table.hpp"
#include "config/config.hpp"

namespace fusebox::service {

/// Holds the tokens of one configuration. Never changes, so any thread may use it; a reload makes a new one.
class Access {
public:
    /// `on_loopback`: whether the running service listens on a loopback address, whatever `server.listen` says.
    Access(const ServerConfig& server, bool on_loopback);

    /// Why this route refuses the request, judged by the head alone; nothing where the route may go on. 403 for a page
    /// of another origin, for a role that no token is configured for, and for a token of too little power; 401 where a
    /// token is missing or unknown; 415 for a write of another media type than JSON.
    [[nodiscard]] std::optional<middleware::Response> check(const RouteAccess& route,
                                                            const middleware::Request& request) const;

    /// The role of the token that the request brings, of equal tokens the most powerful role.
    [[nodiscard]] Role caller(const middleware::Request& request) const;

    /// Whether /health and /readyz may tell why: to a token that reads; where no read token is configured, to callers
    /// on this machine.
    [[nodiscard]] bool may_see_details(const middleware::Request& request) const;

private:
    [[nodiscard]] bool brings(const middleware::Request& request, Role role) const;
    [[nodiscard]] bool is_configured(Role role) const;
    [[nodiscard]] bool grants(const middleware::Request& request, Role role) const;

    std::array<Secret, 5> tokens_;  ///< by role; that of `Role::none` stays empty
    bool on_loopback_;
    middleware::OriginRules origins_;
};

/// What a timeline, a report and the log name: "operator:anna" for who brings the operator token and says `anna`,
/// "operator" for who says nothing. Without a token it is "none:anna" and "none".
[[nodiscard]] std::string name_actor(Role caller, std::string_view said);

}  // namespace fusebox::service
