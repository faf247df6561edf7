// Which role each route needs: the one table of who may do what.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace fusebox::service {

/// What a route needs, and who a caller is by the token that it brings. `read`, `operate` and `admin` are a ladder:
/// each may do what the one before may. `ingest` stands beside it: it may bring alerts and nothing else, and no other
/// token brings them.
enum class Role : std::uint8_t { none, ingest, read, operate, admin };
/// "none", "ingest", "read", "operator", "admin".
[[nodiscard]] std::string_view to_string(Role role) noexcept;

/// What a route answers where no token is configured for its role.
enum class WithoutToken : std::uint8_t {
    open_on_loopback,  ///< everybody may where the service listens on loopback; else 403
    refused            ///< 403
};

struct RouteAccess {
    std::string_view method;
    std::string_view pattern;  ///< of the router
    Role role{};
    WithoutToken without_token{WithoutToken::open_on_loopback};
};

/// Every route of incidentd.
[[nodiscard]] std::span<const RouteAccess> access_table() noexcept;
/// The row of a route; null where there is none.
[[nodiscard]] const RouteAccess* find_access(std::string_view method, std::string_view pattern) noexcept;

}  // namespace fusebox::service
