// Alerts that the tests of this module share.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include <fusebox/incidents/alert.hpp>
#include <fusebox/incidents/types.hpp>

#include "support/incident_samples.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

inline incidents::Alert firing(incidents::WallTime starts_at, std::string name = "SlowModel") {
    incidents::Alert alert;
    alert.source = "prometheus";
    alert.title = "The model server answers slowly";
    alert.labels = {{"alertname", std::move(name)}, {"team", "llm"}};
    alert.starts_at = starts_at;
    return alert;
}

inline incidents::Alert ended(incidents::WallTime starts_at, incidents::WallTime ends_at,
                              std::string name = "SlowModel") {
    incidents::Alert alert = firing(starts_at, std::move(name));
    alert.ends_at = ends_at;
    alert.resolved = true;
    return alert;
}

}  // namespace fusebox::test
