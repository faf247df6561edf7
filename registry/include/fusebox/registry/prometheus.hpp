// The breakers' metrics (R42) for prometheus-cpp (R43): beside those of a program that exposes its own, or as text.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <fusebox/registry/registry.hpp>

namespace fusebox {

struct MetricsOptions {
    /// What the name of each family begins with: letters, digits, `_` and `:`, the first of them no digit. It may be
    /// empty.
    std::string prefix{"llm_incident_manager_circuit_breaker_"};
    /// Breakers with series of their own: the oldest; those beyond are summed into `name="other"` (R63). Once summed
    /// they stay so, also after they were removed, so that no counter of the sum goes back. The same for every scrape
    /// of a registry.
    std::size_t max_names{1000};
};

/// The families of the breakers of one registry, collected on scrape. It reads snapshots; the call path pays nothing.
///
///     prometheus::Exposer exposer{"127.0.0.1:9100"};
///     const auto breakers = std::make_shared<fusebox::RegistryCollectable>(fusebox::registry());
///     exposer.RegisterCollectable(breakers);
///
/// Thread contract: `Collect` from any thread at any time, while breakers are called, made and removed; scrapes of one
/// registry come one after the other, and no caller waits for them.
///
/// Lifetime: the registry outlives this, and this every `Collect`. A `prometheus::Exposer` holds only a
/// `std::weak_ptr`: who lets the `std::shared_ptr` go ends the series, but a thread of the exposer may be collecting at
/// that moment. So the registry goes after the exposer, or after `prometheus::Exposer::RemoveCollectable`, which waits
/// for a scrape under way. The registry of the process outlives everything.
class RegistryCollectable final : public prometheus::Collectable {
public:
    /// Throws `std::invalid_argument` for a prefix that no family's name can have: Prometheus would refuse the whole
    /// scrape.
    explicit RegistryCollectable(const Registry& registry, MetricsOptions options = {});

    /// The families in the order of R42, each with its series in the order of their names, `other` last. Builds about
    /// 20 objects for each breaker, anew for every scrape: that is prometheus-cpp's interface. Throws only
    /// `std::bad_alloc`.
    [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

private:
    const Registry& registry_;
    MetricsOptions options_;
};

/// What `prometheus::TextSerializer` writes of `families`: text format 0.0.4.
[[nodiscard]] std::string prometheus_text(const std::vector<prometheus::MetricFamily>& families);

/// The same of the breakers of `registry`, for who serves them otherwise than with an `Exposer`. As `Collect`, any
/// thread. Throws what the constructor throws.
[[nodiscard]] std::string prometheus_text(const Registry& registry, const MetricsOptions& options = {});

}  // namespace fusebox
