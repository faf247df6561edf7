// The Prometheus families of the breakers (R42), collected on scrape.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/registry/registry.hpp>

namespace fusebox {

struct MetricsOptions {
    std::string prefix{"llm_incident_manager_circuit_breaker_"};
    /// Breakers with series of their own: the oldest; those beyond are summed into `name="other"` (R63). Once summed they
    /// stay so, also after they were removed, so that no counter of the sum goes back. The same for every scrape of a
    /// registry.
    std::size_t max_names{1000};
};

/// A further family that a service adds to its own scrape.
struct MetricSample {
    std::vector<std::pair<std::string, std::string>> labels;
    double value{};
};
struct MetricFamily {
    enum class Kind { counter, gauge };
    std::string name;
    std::string help;
    Kind kind{Kind::gauge};
    std::vector<MetricSample> samples;
};

/// Prometheus text format 0.0.4: the breakers of `registry`, then `more`. Reads snapshots; the call path pays nothing. Any
/// thread; scrapes of one registry come one after the other.
[[nodiscard]] std::string prometheus_text(const Registry& registry, const MetricsOptions& options = {},
                                          const std::vector<MetricFamily>& more = {});

}  // namespace fusebox
