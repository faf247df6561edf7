// What /health says about destinations.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <fusebox/middleware/health_routes.hpp>
#include <fusebox/notifications/dispatcher.hpp>

namespace fusebox::service {

/// Notifications by destination and state.
using NotificationCounts = std::map<std::string, std::map<incidents::NotificationState, std::uint64_t>>;

/// One warning for each destination that is told less than it should be: it has answered 410, some of its notifications
/// are dead letters, or notifications wait for it although it is not configured.
[[nodiscard]] std::vector<middleware::HealthCheck> delivery_health(
    const NotificationCounts& counts, const std::map<std::string, notifications::DestinationStats>& stats);

}  // namespace fusebox::service
