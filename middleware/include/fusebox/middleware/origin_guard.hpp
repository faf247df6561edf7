// Keeps pages in somebody's browser away from a service that its tokens or its loopback address alone would not guard.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/middleware/http.hpp>

namespace fusebox::middleware {

/// True for "localhost", for numeric addresses of 127.0.0.0/8 and for "::1"; `host` has no port and no brackets.
[[nodiscard]] bool is_loopback_host(std::string_view host) noexcept;

/// The host of "host", "host:port", "[v6]" or "[v6]:port", without brackets; nothing where `authority` is none of
/// these. The result points into `authority`.
[[nodiscard]] std::optional<std::string_view> host_of(std::string_view authority) noexcept;

struct OriginRules {
    /// True for a service that listens on loopback: `Host` must then be a loopback host or stand in `allowed_hosts`, so
    /// that a page whose name was pointed at 127.0.0.1 (DNS rebinding) is refused.
    bool hosts_are_checked{true};
    /// "incidents.example" allows that name with any port, "incidents.example:8443" with that port only. Letters
    /// compare without case.
    std::vector<std::string> allowed_hosts{};
};

/// 403 for a request that a page of another origin may have sent:
/// - `Host` is not as `OriginRules` say;
/// - `Origin` is there, and is neither http(s) with the `Host` of the request nor http(s) with one of `allowed_hosts`;
/// - `Sec-Fetch-Site` of a write (any method but GET) says cross-site or same-site.
/// Programs other than browsers send neither Origin nor Sec-Fetch-Site. Browsers send Origin with each POST to another
/// origin, also with one that has no body and no media type.
[[nodiscard]] std::optional<Response> check_origin(const Request& request, const OriginRules& rules);

}  // namespace fusebox::middleware
