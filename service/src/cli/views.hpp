// From the API's JSON to what people read; pure, so that tests need no server.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace fusebox::service::cli {

/// Throws `nlohmann::json::exception` where the JSON is not what the API promises.
[[nodiscard]] std::string view_breakers(const nlohmann::json& list, bool colours);
[[nodiscard]] std::string view_breaker(const nlohmann::json& breaker, bool colours);
[[nodiscard]] std::string view_health(const nlohmann::json& health, bool colours);
/// With its labels, annotations and timeline.
[[nodiscard]] std::string view_incident(const nlohmann::json& incident, bool colours);
[[nodiscard]] std::string view_incidents(const nlohmann::json& page, bool colours);
[[nodiscard]] std::string view_notifications(const nlohmann::json& page, bool colours);

/// open, forced_open or half_open: what makes an exit code of 1.
[[nodiscard]] bool is_degraded(const nlohmann::json& breaker);

}  // namespace fusebox::service::cli
