#include "config/changes.hpp"

#include <algorithm>
#include <map>
#include <sstream>

#include <toml++/toml.h>

namespace fusebox::service {
namespace {

using Fields = std::map<std::string, const toml::node*>;

/// Fields of the plain tables; destinations and routes are arrays of tables and compared on their own.
Fields fields_of(const toml::table& document) {
    Fields fields;
    for (const auto& [name, node] : document) {
        const std::string prefix{name.str()};
        if (const auto* table = node.as_table()) {
            for (const auto& [key, value] : *table) fields.emplace(prefix + "." + std::string{key.str()}, &value);
        } else if (!node.is_array_of_tables()) {
            fields.emplace(prefix, &node);
        }
    }
    return fields;
}

bool equal(const toml::node& left, const toml::node& right) {
    if (left.type() != right.type()) return false;
    const auto as_text = [](const toml::node& node) {
        std::ostringstream text;
        node.visit([&](const auto& value) { text << value; });
        return text.str();
    };
    return as_text(left) == as_text(right);
}

/// What `describe` masks is compared here. Every Secret of the server belongs into this list.
void add_changed_secrets(const ServerConfig& before, const ServerConfig& after, std::vector<std::string>& names) {
    const auto compare = [&](const char* name, Secret ServerConfig::* secret) {
        if (before.*secret != after.*secret) names.emplace_back(name);
    };
    compare("server.admin_token", &ServerConfig::admin_token);
    compare("server.operator_token", &ServerConfig::operator_token);
    compare("server.read_token", &ServerConfig::read_token);
    compare("server.ingest_token", &ServerConfig::ingest_token);
}

void add_changed_destinations(const ServiceConfig& before, const ServiceConfig& after,
                              std::vector<std::string>& names) {
    const auto find = [](const ServiceConfig& config, const std::string& name) {
        const auto found = std::ranges::find(config.destinations, name, &DestinationConfig::name);
        return found == config.destinations.end() ? nullptr : &*found;
    };
    for (const auto& destination : before.destinations) {
        const auto* now = find(after, destination.name);
        if (!now) names.push_back("destinations." + destination.name + " removed");
        if (now && *now != destination) names.push_back("destinations." + destination.name + " changed");
    }
    for (const auto& destination : after.destinations) {
        if (!find(before, destination.name)) names.push_back("destinations." + destination.name + " added");
    }
}

bool same_routes(const incidents::RoutingTable& left, const incidents::RoutingTable& right) {
    return std::ranges::equal(left.routes, right.routes, [](const incidents::Route& a, const incidents::Route& b) {
        return a.severities == b.severities && a.labels == b.labels && a.sources == b.sources && a.to == b.to &&
               a.continue_matching == b.continue_matching;
    });
}

void add_changed_breakers(const ServiceConfig& before, const ServiceConfig& after, std::vector<std::string>& names) {
    const auto was_there = own_breakers(before);
    for (const auto& [name, base] : own_breakers(after)) {
        if (!was_there.contains(name)) continue;  // said with its destination
        if (before.breakers.resolve(name, base) != after.breakers.resolve(name, base) ||
            before.breakers.criticality(name) != after.breakers.criticality(name)) {
            names.push_back("breakers." + name);
        }
    }
}

}  // namespace

std::vector<std::string> changed_names(const ServiceConfig& before, const ServiceConfig& after) {
    // `describe` writes every field, so that no field is forgotten here.
    const auto old_document = toml::parse(describe(before));
    const auto new_document = toml::parse(describe(after));
    const auto old_fields = fields_of(old_document);
    const auto new_fields = fields_of(new_document);
    std::vector<std::string> names;
    for (const auto& [name, value] : new_fields) {
        const auto old = old_fields.find(name);
        if (old == old_fields.end() || !equal(*old->second, *value)) names.push_back(name);
    }
    for (const auto& [name, value] : old_fields) {
        if (!new_fields.contains(name)) names.push_back(name);
    }
    add_changed_secrets(before.server, after.server, names);
    std::ranges::sort(names);
    names.erase(std::ranges::unique(names).begin(), names.end());  // a secret that is set now differs in both ways
    add_changed_destinations(before, after, names);
    if (!same_routes(before.routing, after.routing)) names.emplace_back("routes");
    add_changed_breakers(before, after, names);
    return names;
}

}  // namespace fusebox::service
