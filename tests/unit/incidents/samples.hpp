// Times and alerts that the tests of this module share.
#pragma once

#include <chrono>
#include <string>

#include <fusebox/incidents/alert.hpp>
#include <fusebox/incidents/types.hpp>

namespace fusebox::test {

using namespace std::chrono_literals;

/// 2026-01-01T00:00:00Z.
inline constexpr incidents::WallTime new_year{std::chrono::microseconds{1'767'225'600'000'000}};

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
