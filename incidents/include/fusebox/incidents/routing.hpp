// Which destinations hear of an incident.
#pragma once

#include <string>
#include <vector>

#include <fusebox/incidents/incident.hpp>

namespace fusebox::incidents {

struct Route {
    std::vector<Severity> severities;  ///< any of these; empty = all
    Labels labels;                     ///< all of these, equal
    std::vector<std::string> sources;  ///< any of these; empty = all
    std::vector<std::string> to;       ///< destination names
    bool continue_matching{};          ///< go on to the next route after a match
};

struct RoutingTable {
    std::vector<Route> routes;               ///< first match wins unless it says continue
    std::vector<std::string> default_route;  ///< where nothing matched
    /// Destination names, each once, in order of the routes.
    [[nodiscard]] std::vector<std::string> destinations_for(const Incident& incident) const;
};

}  // namespace fusebox::incidents
