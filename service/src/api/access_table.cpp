#include "api/access_table.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace fusebox::service {
namespace {

using enum Role;

// docs/access.md explains the table, and docs/api/incidentd.openapi.yaml repeats it as `x-role`; access_test holds the
// three together.
constexpr auto table = std::to_array<RouteAccess>({
    {"GET", "/livez", none},
    {"GET", "/readyz", none},
    {"GET", "/health", read},
    {"GET", "/metrics", read},

    {"POST", "/api/v2/alerts", ingest},
    {"POST", "/v1/webhooks/alertmanager", ingest},
    {"POST", "/v1/alerts", ingest},

    {"GET", "/v1/incidents", read},
    {"GET", "/v1/incidents/{id}", read},
    {"GET", "/v1/incidents/{id}/notifications", read},
    {"POST", "/v1/incidents/{id}/acknowledge", operate},
    {"POST", "/v1/incidents/{id}/unacknowledge", operate},
    {"POST", "/v1/incidents/{id}/investigate", operate},
    {"POST", "/v1/incidents/{id}/remediate", operate},
    {"POST", "/v1/incidents/{id}/resolve", operate},
    {"POST", "/v1/incidents/{id}/reopen", operate},
    {"POST", "/v1/incidents/{id}/close", operate},
    {"POST", "/v1/incidents/{id}/notes", operate},

    {"GET", "/v1/notifications", read},
    {"POST", "/v1/notifications/{id}/replay", operate, WithoutToken::refused},

    {"GET", "/v1/circuit-breakers", read},
    {"GET", "/v1/circuit-breakers/health", read},
    {"GET", "/v1/circuit-breakers/{name}", read},
    {"GET", "/v1/circuit-breakers/{name}/reports", read},
    {"POST", "/v1/circuit-breakers/reset", operate, WithoutToken::refused},
    {"POST", "/v1/circuit-breakers/{name}/reset", operate, WithoutToken::refused},
    {"POST", "/v1/circuit-breakers/{name}/open", operate, WithoutToken::refused},
    {"POST", "/v1/circuit-breakers/{name}/trip", operate, WithoutToken::refused},
    {"POST", "/v1/circuit-breakers/{name}/disable", operate, WithoutToken::refused},
    {"POST", "/v1/circuit-breakers/{name}/metrics-only", operate, WithoutToken::refused},
});

}  // namespace

std::string_view to_string(Role role) noexcept {
    switch (role) {
        case none:
            return "none";
        case ingest:
            return "ingest";
        case read:
            return "read";
        case operate:
            return "operator";
        case admin:
            return "admin";
    }
    std::unreachable();
}

std::span<const RouteAccess> access_table() noexcept { return table; }

const RouteAccess* find_access(std::string_view method, std::string_view pattern) noexcept {
    const auto* found = std::ranges::find_if(
        table, [&](const RouteAccess& row) { return row.method == method && row.pattern == pattern; });
    return found == table.end() ? nullptr : found;
}

}  // namespace fusebox::service
