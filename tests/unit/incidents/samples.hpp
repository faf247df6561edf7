// Times and alerts that the tests of this module share.
#pragma once

#include <chrono>
#include <string>

#include <fusebox/incidents/alert.hpp>
#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents::test {

using namespace std::chrono_literals;

/// 2026-01-01T00:00:00Z.
inline constexpr WallTime new_year{std::chrono::microseconds{1'767'225'600'000'000}};

inline Alert firing(WallTime starts_at, std::string name = "SlowModel") {
    Alert alert;
    alert.source = "prometheus";
    alert.title = "The model server answers slowly";
    alert.labels = {{"alertname", std::move(name)}, {"team", "llm"}};
    alert.starts_at = starts_at;
    return alert;
}

inline Alert ended(WallTime starts_at, WallTime ends_at, std::string name = "SlowModel") {
    Alert alert = firing(starts_at, std::move(name));
    alert.ends_at = ends_at;
    alert.resolved = true;
    return alert;
}

}  // namespace fusebox::incidents::test
