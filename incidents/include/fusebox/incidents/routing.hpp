// Which destinations hear of an incident.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <fusebox/incidents/incident.hpp>

namespace fusebox::incidents {

struct Route {
    std::vector<Severity> severities{};  ///< any of these; empty = all
    Labels labels{};                     ///< all of these, equal
    std::vector<std::string> sources{};  ///< any of these; empty = all
    std::vector<std::string> to{};       ///< destination names
    bool continue_matching{};            ///< go on to the next route after a match
};

struct RoutingTable {
    std::vector<Route> routes{};               ///< first match wins unless it says `continue_matching`
    std::vector<std::string> default_route{};  ///< where nothing matched
    /// Every destination that is configured. A destination that is not among them hears no more of incidents that it
    /// was told of, because no sender is left for it. None: every destination that an incident names counts as
    /// configured.
    std::optional<std::vector<std::string>> existing{};
    /// Destination names, each once: those of the routes in their order, then those that were told of the incident
    /// before, so that a destination that heard of the beginning hears of the end, wherever the routes lead by then.
    [[nodiscard]] std::vector<std::string> destinations_for(const Incident& incident) const;
};

}  // namespace fusebox::incidents
