#include "delivery_health.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace fusebox::service {
namespace {

std::uint64_t count_of(const std::map<incidents::NotificationState, std::uint64_t>& states,
                       incidents::NotificationState state) {
    const auto found = states.find(state);
    return found == states.end() ? 0 : found->second;
}

}  // namespace

std::vector<middleware::HealthCheck> delivery_health(
    const NotificationCounts& counts, const std::map<std::string, notifications::DestinationStats>& stats) {
    std::map<std::string, std::vector<std::string>> reasons;  // by destination
    for (const auto& [name, destination] : stats) {
        if (destination.disabled) {
            reasons[name].emplace_back(
                "it has answered 410 and is sent nothing until its settings change or incidentd is started again");
        }
    }
    for (const auto& [name, states] : counts) {
        using enum incidents::NotificationState;
        if (const auto dead_letters = count_of(states, dead); dead_letters != 0) {
            reasons[name].push_back(fmt::format(
                "{} could not be delivered: fusebox notifications --dead --destination {}", dead_letters, name));
        }
        if (const auto waiting = count_of(states, pending); waiting != 0 && !stats.contains(name))
            reasons[name].push_back(fmt::format("{} wait for it, and it is not configured", waiting));
    }
    std::vector<middleware::HealthCheck> checks;
    checks.reserve(reasons.size());
    for (const auto& [name, sentences] : reasons) {
        checks.push_back({.name = "destination:" + name,
                          .component_type = "component",
                          .status = middleware::HealthStatus::warn,
                          .output = fmt::format("{}", fmt::join(sentences, "; "))});
    }
    return checks;
}

}  // namespace fusebox::service
