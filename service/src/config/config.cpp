#include "config/config.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include <fusebox/core/presets.hpp>
#include <fusebox/middleware/origin_guard.hpp>
#include <fusebox/text/ascii.hpp>
#include <fusebox/text/duration.hpp>
#include <fusebox/text/printable.hpp>
#include <fusebox/text/utf8.hpp>

namespace fusebox::service {
namespace {

/// A TOML basic string. TOML has no escape for bytes that are not UTF-8 (a variable of the environment may have brought
/// some): then the string holds what `printable` makes of them.
std::string quoted(std::string_view text) {
    std::string inside;
    for (const char c : text::is_utf8(text) ? std::string{text} : text::printable(text)) {
        if (c == '"' || c == '\\') inside += '\\';
        inside += c;
    }
    return '"' + text::printable(inside) + '"';
}

template <class Range, class Project>
std::string array_of(const Range& range, Project project) {
    std::string result;
    for (const auto& item : range) result += (result.empty() ? "" : ", ") + quoted(project(item));
    return "[" + result + "]";
}

std::string strings(const std::vector<std::string>& texts) {
    return array_of(texts, [](const std::string& text) { return text; });
}

const char* presence(const Secret& secret) { return secret.empty() ? "(not set)" : "***"; }

std::string describe_destination(const DestinationConfig& destination) {
    auto text = fmt::format("[[destinations]]\nname = {}\ntype = {}\n", quoted(destination.name),
                            quoted(to_string(destination.type)));
    if (destination.type == DestinationType::webhook) {
        text += fmt::format(
            "url = {}\nsecret = {}\nallow_private_addresses = {}\n", quoted(masked_url(destination.url.reveal())),
            quoted(destination.secrets.empty() ? "(not set)" : "***"), destination.allow_private_addresses);
        if (!destination.ca_file.empty()) text += fmt::format("ca_file = {}\n", quoted(destination.ca_file));
    }
    if (!destination.fallback.empty()) {
        text += fmt::format("fallback = {}\nfallback_after = {}\n", quoted(destination.fallback),
                            quoted(text::format_duration(destination.fallback_after)));
    }
    text += fmt::format("max_in_flight = {}\n", destination.max_in_flight);
    if (const auto& limit = destination.rate_limit; limit.permits != 0) {
        const char* unit = limit.per == std::chrono::hours{1} ? "h" : limit.per == std::chrono::minutes{1} ? "m" : "s";
        text += fmt::format("rate_limit = \"{}/{}\"\n", limit.permits, unit);
    }
    return text + "\n";
}

std::string describe_route(const incidents::Route& route) {
    std::vector<std::string> match;
    if (!route.severities.empty()) {
        match.push_back("severity = " + array_of(route.severities, [](auto severity) {
                            return std::string{incidents::to_string(severity)};
                        }));
    }
    if (!route.labels.empty()) {
        std::string labels;
        for (const auto& [name, value] : route.labels) {
            labels += (labels.empty() ? "" : ", ") + quoted(name) + " = " + quoted(value);
        }
        match.push_back("labels = { " + labels + " }");
    }
    if (!route.sources.empty()) match.push_back("source = " + strings(route.sources));
    std::string text = "[[routes]]\n";
    if (!match.empty()) text += fmt::format("match = {{ {} }}\n", fmt::join(match, ", "));
    text += "to = " + strings(route.to) + "\n";
    if (route.continue_matching) text += "continue = true\n";
    return text + "\n";
}

std::string describe_incidents(const incidents::IncidentRules& rules) {
    std::string text = fmt::format(
        "[incidents]\nflap_window = {}\nmax_timeline = {}\nresend_period = {}\nclose_after = {}\n",
        quoted(text::format_duration(rules.flap_window)), rules.max_timeline,
        quoted(text::format_duration(rules.resend_period)), quoted(text::format_duration(rules.close_after)));
    if (!rules.severity_words.own().empty()) text += "[incidents.severity_map]\n";
    for (const auto& [word, severity] : rules.severity_words.own()) {
        text += fmt::format("{} = {}\n", quoted(word), quoted(std::string{incidents::to_string(severity)}));
    }
    return text + "\n";
}

/// Those that the service makes and those that the file names, as they are in the end.
std::string describe_breakers(const ServiceConfig& config) {
    std::map<std::string, std::optional<CircuitBreakerConfig>> bases;
    for (const auto& [name, base] : own_breakers(config)) bases.emplace(name, base);
    for (const auto& name : config.breakers.names()) bases.emplace(name, std::nullopt);
    std::string text;
    for (const auto& [name, base] : bases) {
        text += fmt::format("# [breakers.{}], as it is in force\n", quoted(name));
        for (const auto& [field, value] : config_fields(config.breakers.resolve(name, base)))
            text += fmt::format("#   {}: {}\n", field, value);
        text += '\n';
    }
    return text;
}

}  // namespace

std::string to_string(const ListenAddress& address) {
    const bool v6 = address.host.find(':') != std::string::npos;
    return fmt::format(fmt::runtime(v6 ? "[{}]:{}" : "{}:{}"), address.host, address.port);
}

bool is_loopback(const ListenAddress& address) { return middleware::is_loopback_host(address.host); }

std::vector<std::string> unguarded(const ServerConfig& server) {
    std::vector<std::string> roles;
    if (server.ingest_token.empty()) roles.emplace_back("ingest");
    if (server.read_token.empty()) roles.emplace_back("read");
    if (server.operator_token.empty() && server.admin_token.empty()) roles.emplace_back("operator");
    return roles;
}

const char* to_string(DestinationType type) noexcept { return type == DestinationType::webhook ? "webhook" : "log"; }

std::map<std::string, CircuitBreakerConfig> own_breakers(const ServiceConfig& config) {
    std::map<std::string, CircuitBreakerConfig> breakers{{"store", store_breaker_defaults()},
                                                         {"store-reads", store_reads_breaker_defaults()}};
    for (const auto& destination : config.destinations)
        breakers.emplace("notify:" + destination.name, destination_breaker_defaults());
    return breakers;
}

CircuitBreakerConfig store_breaker_defaults() {
    auto config = *preset("database");
    // Sooner than the 5 s of a request, so that a store which hangs counts as one that hangs.
    config.operation_timeout = std::chrono::seconds{4};
    return config;
}

CircuitBreakerConfig store_reads_breaker_defaults() {
    auto config = *preset("database");
    config.operation_timeout = std::chrono::seconds{2};
    return config;
}

CircuitBreakerConfig destination_breaker_defaults() {
    auto config = *preset("notifications");
    config.operation_timeout.reset();
    return config;
}

std::string masked_url(const std::string& url) {
    const auto scheme = url.find("://");
    if (scheme == std::string::npos) return "***";
    auto host_begin = scheme + 3;
    const auto host_end = std::min(url.find_first_of("/?#", host_begin), url.size());
    // An @ behind the first slash: perhaps a password with a slash in it, so that what looks like the host is none.
    if (url.find('@', host_end) != std::string::npos) return url.substr(0, scheme + 3) + "…";
    if (const auto at = url.rfind('@', host_end); at != std::string::npos && at >= host_begin) host_begin = at + 1;
    return url.substr(0, scheme + 3) + url.substr(host_begin, host_end - host_begin) +
           (host_end < url.size() ? "/…" : "");
}

std::string describe(const ServiceConfig& config) {
    const auto& server = config.server;
    std::string text = fmt::format("default_route = {}\n\n", strings(config.routing.default_route));
    text += fmt::format(
        "[server]\nlisten = {}\nadmin_token = {}\noperator_token = {}\nread_token = {}\ningest_token = {}\n"
        "allowed_hosts = {}\nmax_body_bytes = {}\nthreads = {}\n",
        quoted(to_string(server.listen)), quoted(presence(server.admin_token)), quoted(presence(server.operator_token)),
        quoted(presence(server.read_token)), quoted(presence(server.ingest_token)), strings(server.allowed_hosts),
        server.max_body_bytes, server.threads);
    if (!server.tls_certificate.empty()) {
        text +=
            fmt::format("tls_certificate = {}\ntls_key = {}\n", quoted(server.tls_certificate), quoted(server.tls_key));
    }
    if (!server.breaker_state.empty()) text += fmt::format("breaker_state = {}\n", quoted(server.breaker_state));
    text += fmt::format("\n[store]\nurl = {}\n\n", quoted(config.store_url));
    text += fmt::format("[log]\nformat = \"{}\"\nlevel = {}\n\n", config.log.json ? "json" : "text",
                        quoted(config.log.level));
    text += describe_incidents(config.rules);
    text += fmt::format("[retention]\nincidents = {}\nnotifications = {}\n\n",
                        quoted(text::format_duration(config.retention.incidents)),
                        quoted(text::format_duration(config.retention.notifications)));
    const auto& retry = config.delivery.retry;
    text += fmt::format(
        "[delivery]\nretry_base = {}\nretry_factor = {}\nretry_cap = {}\nmax_attempts = {}\nmax_age = {}\n"
        "send_timeout = {}\n\n",
        quoted(text::format_duration(retry.base)), retry.factor, quoted(text::format_duration(retry.cap)),
        retry.max_attempts, quoted(text::format_duration(retry.max_age)),
        quoted(text::format_duration(config.delivery.send_timeout)));
    for (const auto& destination : config.destinations) text += describe_destination(destination);
    for (const auto& route : config.routing.routes) text += describe_route(route);
    text += describe_breakers(config);
    text.pop_back();
    return text;
}

}  // namespace fusebox::service
