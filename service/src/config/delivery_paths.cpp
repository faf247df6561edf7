#include "config/delivery_paths.hpp"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>

#include <fusebox/notifications/webhook_signature.hpp>
#include <fusebox/text/ascii.hpp>
#include <fusebox/text/file.hpp>
#include <fusebox/text/suggestion.hpp>

#include "config/delivery_checks.hpp"
#include "config/tls_files.hpp"

namespace fusebox::service {
namespace {

using namespace std::chrono_literals;

constexpr Duration a_day = 24h;

/// One table of the document, for mistakes that show only when all tables were read.
struct Place {
    const toml::table* table;
    std::string path;
};

bool is_name(std::string_view name) {
    constexpr std::size_t longest = 64;
    return !name.empty() && name.size() <= longest && std::ranges::all_of(name, [](char c) {
        return text::is_letter_or_digit(c) || c == '-' || c == '_' || c == '.';
    });
}

void read_webhook(TableReader& reader, DestinationConfig& destination) {
    const auto url = reader.text("url");
    if (!url && !reader.raw().contains("url")) reader.mistake("url", "is needed for a webhook");
    if (url) {
        const auto scheme = url->find("://");
        const auto name = url->substr(0, scheme == std::string::npos ? 0 : scheme);
        const bool host = scheme != std::string::npos && url->size() > scheme + 3 && (*url)[scheme + 3] != '/';
        // The message does not quote the URL: its path is a secret.
        if ((name != "http" && name != "https") || !host) reader.mistake("url", "must be an http or https URL");
        if (std::ranges::any_of(*url, [](char c) { return c == ' ' || text::is_control(c); })) {
            reader.mistake("url", "must not hold spaces or control characters");
        }
        destination.url = Secret{*url};
    }
    if (const auto secrets = reader.secret("secret")) {
        std::istringstream words{secrets->reveal()};
        for (std::string word; words >> word;) {
            if (const auto parsed = notifications::WebhookSecret::parse(word); !parsed) {
                const bool from_variable = reader.raw().contains("secret_env");
                const bool from_file = reader.raw().contains("secret_file");
                reader.mistake(from_variable ? "secret_env" : from_file ? "secret_file" : "secret", parsed.error());
            }
            destination.secrets.emplace_back(word);
        }
    }
    destination.allow_private_addresses = reader.boolean("allow_private_addresses").value_or(false);
    if (const auto host = refused_host(destination.url.reveal());
        !host.empty() && !destination.allow_private_addresses) {
        reader.mistake("url", fmt::format("{} is not a public address, so that every delivery would be refused; if it "
                                          "is meant, set allow_private_addresses = true",
                                          host));
    }
    destination.ca_file = reader.text("ca_file").value_or("");
    if (!destination.ca_file.empty() && reader.read_file("ca_file", destination.ca_file, text::max_pem_bytes)) {
        if (auto wrong = check_authorities(destination.ca_file)) reader.mistake("ca_file", std::move(*wrong));
    }
}

DestinationConfig read_destination(const toml::table& table, const std::string& path, ReadContext& context) {
    TableReader reader{table, path, context};
    DestinationConfig destination;
    destination.name = reader.text("name").value_or("");
    if (!is_name(destination.name) && (destination.name.empty() ? !table.contains("name") : true)) {
        reader.mistake("name", "is needed: 1 to 64 letters, digits, '-', '_' or '.'");
    }
    bool known_type = true;
    const auto type = reader.text("type");
    if (type == "webhook") {
        destination.type = DestinationType::webhook;
        read_webhook(reader, destination);
    } else if (type == "slack" || type == "pagerduty" || type == "email") {
        reader.mistake("type", fmt::format("'{}' is not supported in this version; webhook and log are", *type));
        known_type = false;
    } else if (type != "log") {
        if (type) {
            reader.mistake("type", fmt::format("is '{}', must be webhook or log{}", *type,
                                               text::did_you_mean(*type, {"webhook", "log"})));
        } else if (!table.contains("type")) {
            reader.mistake("type", "is needed: webhook or log");
        }
        known_type = false;
    }
    destination.fallback = reader.text("fallback").value_or("");
    destination.fallback_after = reader.duration("fallback_after", 0s, a_day).value_or(destination.fallback_after);
    if (const auto most = reader.integer("max_in_flight", 1, 64))
        destination.max_in_flight = static_cast<std::size_t>(*most);
    if (const auto text = reader.text("rate_limit")) {
        if (const auto limit = notifications::rate_limit_from_string(*text)) {
            destination.rate_limit = *limit;
        } else {
            reader.mistake("rate_limit", limit.error());
        }
    }
    if (known_type) reader.finish();  // every key of a type that is not known would look unknown
    return destination;
}

void read_match(const toml::table& table, const std::string& path, ReadContext& context, incidents::Route& route) {
    TableReader reader{table, path, context};
    for (const auto& word : reader.texts("severity").value_or(std::vector<std::string>{})) {
        if (const auto severity = incidents::severity_from_string(word)) {
            route.severities.push_back(*severity);
        } else {
            reader.mistake("severity", fmt::format("holds '{}', must be P0 to P4", word));
        }
    }
    if (const auto* labels = reader.table("labels")) {
        TableReader values{*labels, path + "labels.", context};
        for (const auto& [key, node] : *labels) {
            if (auto value = values.text(std::string{key.str()})) route.labels.emplace(key.str(), std::move(*value));
        }
    }
    route.sources = reader.texts("source").value_or(std::vector<std::string>{});
    reader.finish();
}

incidents::Route read_route(const toml::table& table, const std::string& path, ReadContext& context) {
    TableReader reader{table, path, context};
    incidents::Route route;
    if (const auto* match = reader.table("match")) read_match(*match, path + "match.", context, route);
    const auto to = reader.texts("to");
    if (!table.contains("to") || (to && to->empty()))
        reader.mistake("to", "is needed: one or more names of destinations");
    route.to = to.value_or(std::vector<std::string>{});
    route.continue_matching = reader.boolean("continue").value_or(false);
    reader.finish();
    return route;
}

std::vector<Place> read_destinations(TableReader& root, ReadContext& context,
                                     std::vector<DestinationConfig>& destinations) {
    std::vector<Place> places;
    std::vector<std::string> names;
    for (const auto& [table, path] : root.tables("destinations")) {
        auto destination = read_destination(*table, path, context);
        if (!destination.name.empty() && std::ranges::find(names, destination.name) != names.end()) {
            TableReader{*table, path, context}.mistake("name", fmt::format("'{}' is there already", destination.name));
        }
        names.push_back(destination.name);
        destinations.push_back(std::move(destination));
        places.push_back({table, path});
    }
    return places;
}

std::vector<Place> read_routes(TableReader& root, ReadContext& context, std::vector<incidents::Route>& routes) {
    std::vector<Place> places;
    bool all_good = true;
    for (const auto& [table, path] : root.tables("routes")) {
        const auto mistakes_before = context.mistakes.size();
        routes.push_back(read_route(*table, path, context));
        places.push_back({table, path});
        // What a route takes is not known where it has a mistake.
        all_good = all_good && context.mistakes.size() == mistakes_before;
        const auto earlier = all_good ? hidden_by(routes, routes.size() - 1) : std::nullopt;
        if (!earlier) continue;
        TableReader{*table, path, context}.mistake(
            table->contains("match") ? "match" : "to",
            fmt::format("no incident reaches this route: routes[{}] in line {} takes every incident that this one "
                        "matches; put this route before it, or let that one say continue = true",
                        *earlier, places[*earlier].table->source().begin.line));
    }
    return places;
}

void check_fallbacks(const std::vector<Place>& places, ReadContext& context,
                     const std::vector<DestinationConfig>& destinations) {
    for (std::size_t i = 0; i < places.size(); ++i) {
        const auto& destination = destinations[i];
        TableReader reader{*places[i].table, places[i].path, context};
        if (destination.fallback.empty()) continue;
        if (destination.fallback == destination.name) {
            reader.mistake("fallback", "must be another destination");
        } else if (const auto circle = fallback_circle(destinations, destination.name); !circle.empty()) {
            reader.mistake("fallback", fmt::format("goes round in a circle: {}; one of them must do without", circle));
        }
    }
}

/// A destination that nothing leads to is never told, which nobody means who wrote it down.
void warn_of_unused(const std::vector<Place>& places, ReadContext& context, const ServiceConfig& config) {
    for (std::size_t i = 0; i < places.size(); ++i) {
        const auto& name = config.destinations[i].name;
        const auto names_it = [&](const std::vector<std::string>& to) {
            return std::ranges::find(to, name) != to.end();
        };
        if (name.empty() || names_it(config.routing.default_route) ||
            std::ranges::any_of(config.routing.routes, names_it, &incidents::Route::to) ||
            std::ranges::find(config.destinations, name, &DestinationConfig::fallback) != config.destinations.end())
            continue;
        TableReader{*places[i].table, places[i].path, context}.warning(
            "name", fmt::format("no route, no fallback and no default_route leads to '{}': it is told nothing", name));
    }
}

/// Where incidents go that no route matches, if the file does not say: without any routing to each destination, except
/// those that are only a fallback.
std::vector<std::string> implied_default_route(const ServiceConfig& config) {
    if (!config.routing.routes.empty() || config.destinations.empty()) return {builtin_log};
    std::vector<std::string> names;
    for (const auto& destination : config.destinations) {
        const bool stands_in = std::ranges::any_of(
            config.destinations, [&](const auto& other) { return other.fallback == destination.name; });
        if (!stands_in) names.push_back(destination.name);
    }
    return names;
}

}  // namespace

void read_delivery_paths(TableReader& root, ReadContext& context, ServiceConfig& config) {
    const auto destination_places = read_destinations(root, context, config.destinations);
    const auto route_places = read_routes(root, context, config.routing.routes);
    auto& default_route = config.routing.default_route;
    const auto given = root.texts("default_route");
    default_route = given ? *given : implied_default_route(config);

    std::vector<std::string> names;
    names.reserve(config.destinations.size());
    for (const auto& destination : config.destinations) names.push_back(destination.name);
    bool log_is_wanted = false;
    const auto check = [&](TableReader&& reader, const std::string& key, const std::vector<std::string>& wanted) {
        for (const auto& name : wanted) {
            if (name == builtin_log) log_is_wanted = true;
            if (name.empty() || name == builtin_log || std::ranges::find(names, name) != names.end()) continue;
            reader.mistake(key, fmt::format("there is no destination named '{}'{}", name,
                                            text::did_you_mean(name, {names.begin(), names.end()})));
        }
        const bool implied = key == "default_route" && !given;
        if (const auto twice = named_twice(wanted); twice && !implied)
            reader.mistake(key, fmt::format("names '{}' twice", *twice));
    };
    for (std::size_t i = 0; i < destination_places.size(); ++i) {
        const auto& [table, path] = destination_places[i];
        check(TableReader{*table, path, context}, "fallback", {config.destinations[i].fallback});
    }
    check_fallbacks(destination_places, context, config.destinations);
    for (std::size_t i = 0; i < route_places.size(); ++i) {
        const auto& [table, path] = route_places[i];
        check(TableReader{*table, path, context}, "to", config.routing.routes[i].to);
    }
    check(TableReader{root.raw(), "", context}, "default_route", default_route);
    warn_of_unused(destination_places, context, config);
    if (log_is_wanted && std::ranges::find(names, builtin_log) == names.end()) {
        config.destinations.push_back({.name = builtin_log});
    }
    auto& existing = config.routing.existing.emplace();
    for (const auto& destination : config.destinations) existing.push_back(destination.name);
}

}  // namespace fusebox::service
