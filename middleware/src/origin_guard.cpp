#include <fusebox/middleware/origin_guard.hpp>

#include <algorithm>
#include <charconv>

#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/ascii.hpp>

namespace fusebox::middleware {
namespace {

/// Four numbers of at most 255, the first of them 127.
bool is_loopback_v4(std::string_view host) noexcept {
    constexpr int parts = 4;
    constexpr unsigned largest = 255;
    constexpr unsigned loopback = 127;
    for (int part = 0; part < parts; ++part) {
        const auto digits = host.substr(0, host.find('.'));
        unsigned value{};
        const auto* first = digits.data();
        const auto* last = first + digits.size();
        const auto [end, error] = std::from_chars(first, last, value);
        if (error != std::errc{} || end != last || value > largest || (part == 0 && value != loopback)) return false;
        host.remove_prefix(digits.size());
        if (part + 1 == parts) return host.empty();
        if (host.empty()) return false;
        host.remove_prefix(1);
    }
    return false;
}

/// None where the header is missing or stands there more than once.
std::optional<std::string_view> only_value(const Request& request, std::string_view name) noexcept {
    std::optional<std::string_view> found;
    for (const auto& [key, value] : request.headers) {
        if (!text::equal_without_case(key, name)) continue;
        if (found) return std::nullopt;
        found = value;
    }
    return found;
}

bool is_allowed_host(std::string_view authority, const OriginRules& rules) {
    const auto host = host_of(authority);
    return host && (is_loopback_host(*host) || std::ranges::any_of(rules.allowed_hosts, [&](const auto& allowed) {
                        return text::equal_without_case(allowed, *host) || text::equal_without_case(allowed, authority);
                    }));
}

bool is_own_origin(std::string_view origin, std::string_view host, const OriginRules& rules) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (!text::equal_without_case(origin.substr(0, scheme.size()), scheme)) continue;
        const auto authority = origin.substr(scheme.size());
        if (!host_of(authority)) return false;
        return text::equal_without_case(authority, host) ||
               std::ranges::any_of(rules.allowed_hosts,
                                   [&](const auto& allowed) { return text::equal_without_case(allowed, authority); });
    }
    return false;
}

}  // namespace

bool is_loopback_host(std::string_view host) noexcept {
    return text::equal_without_case(host, "localhost") || host == "::1" || is_loopback_v4(host);
}

std::optional<std::string_view> host_of(std::string_view authority) noexcept {
    std::string_view host;
    std::string_view rest;
    if (authority.starts_with('[')) {
        const auto end = authority.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        host = authority.substr(1, end - 1);
        rest = authority.substr(end + 1);
    } else {
        host = authority.substr(0, authority.find(':'));
        rest = authority.substr(host.size());
    }
    const auto is_of_host = [](char c) {
        return text::is_letter_or_digit(c) || c == '.' || c == '-' || c == '_' || c == ':';
    };
    const bool is_port = rest.empty() || (rest.front() == ':' && std::ranges::all_of(rest.substr(1), text::is_digit));
    if (host.empty() || !std::ranges::all_of(host, is_of_host) || !is_port) return std::nullopt;
    return host;
}

std::optional<Response> check_origin(const Request& request, const OriginRules& rules) {
    const auto host = only_value(request, "Host").value_or("");
    if (rules.hosts_are_checked && !is_allowed_host(host, rules)) {
        return problem_response(403,
                                "Host is neither a loopback name or address nor one of the allowed_hosts of this "
                                "service");
    }
    for (const auto& [name, value] : request.headers) {
        if (text::equal_without_case(name, "Origin") && !is_own_origin(value, host, rules)) {
            return problem_response(403, "pages of another origin may not use this service");
        }
        const bool may_write = request.method != "GET" && request.method != "HEAD";
        if (may_write && text::equal_without_case(name, "Sec-Fetch-Site") && value != "same-origin" &&
            value != "none") {
            return problem_response(403, "pages of another site may not write to this service");
        }
    }
    return std::nullopt;
}

}  // namespace fusebox::middleware
