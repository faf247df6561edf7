#include <fusebox/incidents/routing.hpp>

#include <algorithm>

namespace fusebox::incidents {

namespace {

template <class T>
bool contains(const std::vector<T>& values, const T& value) {
    return std::ranges::find(values, value) != values.end();
}

template <class T>
bool any_or_empty(const std::vector<T>& wanted, const T& value) {
    return wanted.empty() || contains(wanted, value);
}

bool matches(const Route& route, const Incident& incident) {
    const auto has_label = [&incident](const auto& wanted) {
        const auto found = incident.labels.find(wanted.first);
        return found != incident.labels.end() && found->second == wanted.second;
    };
    return any_or_empty(route.severities, incident.severity) && any_or_empty(route.sources, incident.source) &&
           std::ranges::all_of(route.labels, has_label);
}

void add_once(std::vector<std::string>& names, const std::vector<std::string>& more) {
    for (const auto& name : more) {
        if (!contains(names, name)) names.push_back(name);
    }
}

}  // namespace

std::vector<std::string> RoutingTable::destinations_for(const Incident& incident) const {
    std::vector<std::string> names;
    bool matched = false;
    for (const auto& route : routes) {
        if (!matches(route, incident)) continue;
        matched = true;
        add_once(names, route.to);
        if (!route.continue_matching) break;
    }
    if (!matched) add_once(names, default_route);
    for (const auto& name : incident.notified) {
        if (!existing || contains(*existing, name)) add_once(names, {name});
    }
    return names;
}

}  // namespace fusebox::incidents
