// Which destinations hear of an incident.
#pragma once

#include <optional>
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
    /// Every destination that there is. One that is gone hears no more of what it was told of: nobody would send it.
    /// None: all that an incident names are taken to be there.
    std::optional<std::vector<std::string>> existing{};
    /// Destination names, each once: those of the routes in their order, then those that were told of the incident
    /// before, so that whoever heard of its beginning hears of its end, wherever the routes lead by then.
    [[nodiscard]] std::vector<std::string> destinations_for(const Incident& incident) const;
};

}  // namespace fusebox::incidents
