#include "config/delivery_checks.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>

#include <fusebox/text/ascii.hpp>
#include <fusebox/transport/address_guard.hpp>

namespace fusebox::service {
namespace {

/// Whether what `wide` admits holds all that `narrow` admits. An empty list admits everything.
template <class T>
bool admits_all(const std::vector<T>& wide, const std::vector<T>& narrow) {
    return wide.empty() || (!narrow.empty() && std::ranges::all_of(narrow, [&](const T& value) {
               return std::ranges::find(wide, value) != wide.end();
           }));
}

bool admits_every_severity(const std::vector<incidents::Severity>& wanted) {
    using enum incidents::Severity;
    return std::ranges::all_of(std::array{p0, p1, p2, p3, p4},
                               [&](auto severity) { return std::ranges::find(wanted, severity) != wanted.end(); });
}

bool takes_all_of(const incidents::Route& earlier, const incidents::Route& later) {
    return !earlier.continue_matching &&
           (admits_all(earlier.severities, later.severities) || admits_every_severity(earlier.severities)) &&
           admits_all(earlier.sources, later.sources) && std::ranges::all_of(earlier.labels, [&](const auto& label) {
               const auto found = later.labels.find(label.first);
               return found != later.labels.end() && found->second == label.second;
           });
}

/// Without user, port and brackets.
std::string_view host_of(std::string_view url) {
    const auto scheme = url.find("://");
    if (scheme == std::string_view::npos) return {};
    url.remove_prefix(scheme + 3);
    url = url.substr(0, url.find_first_of("/?#"));
    if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
    if (url.starts_with('[')) return url.substr(1, url.find(']') - 1);
    return url.substr(0, url.find(':'));
}

}  // namespace

std::optional<std::size_t> hidden_by(std::span<const incidents::Route> routes, std::size_t index) {
    for (std::size_t i = 0; i < index; ++i) {
        if (takes_all_of(routes[i], routes[index])) return i;
    }
    return std::nullopt;
}

std::string fallback_circle(std::span<const DestinationConfig> destinations, std::string_view name) {
    std::string way{name};
    std::string_view at = name;
    for (std::size_t steps = 0; steps < destinations.size(); ++steps) {
        const auto found = std::ranges::find(destinations, at, &DestinationConfig::name);
        if (found == destinations.end() || found->fallback.empty()) return {};
        at = found->fallback;
        way.append(" → ").append(at);
        if (at == name) return way;
    }
    return {};  // a circle further on, which its own members name
}

std::optional<std::string> named_twice(std::span<const std::string> names) {
    for (std::size_t i = 1; i < names.size(); ++i) {
        if (std::ranges::find(names.first(i), names[i]) != names.first(i).end()) return names[i];
    }
    return std::nullopt;
}

std::string refused_host(std::string_view url) {
    std::string host{host_of(url)};
    if (host.ends_with('.')) host.pop_back();
    std::ranges::transform(host, host.begin(), text::lower);
    if (host == "localhost" || host.ends_with(".localhost")) return host;
    in6_addr six{};
    in_addr four{};
    if (inet_pton(AF_INET6, host.c_str(), &six) == 1) return transport::is_public_address(host) ? "" : host;
    // Clients take 127.1, 2130706433 and 0x7f.0.0.1 for addresses too.
    if (host.empty() || inet_aton(host.c_str(), &four) == 0) return {};
    std::array<char, INET_ADDRSTRLEN> dotted{};
    inet_ntop(AF_INET, &four, dotted.data(), dotted.size());
    return transport::is_public_address(dotted.data()) ? "" : host;
}

}  // namespace fusebox::service
