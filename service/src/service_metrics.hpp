// The service's own Prometheus families, beside those of the breakers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include <fusebox/incidents/incident.hpp>
#include <fusebox/notifications/dispatcher.hpp>
#include <fusebox/registry/metrics_text.hpp>
#include <fusebox/storage/store.hpp>

#include "api/api.hpp"

namespace fusebox::service {

/// Counted where it happens, read on scrape. Thread-safe.
struct ServiceCounters {
    IntakeCounters intake;
    std::array<std::atomic<std::uint64_t>, 8> incident_changes{};  ///< by ChangeKind
    std::array<std::atomic<std::uint64_t>, 6> http_responses{};    ///< by status / 100
    std::atomic<std::uint64_t> reloads{};
    std::atomic<std::uint64_t> failed_reloads{};
};

/// A store that cannot be read now leaves its family out.
[[nodiscard]] std::vector<MetricFamily> service_metrics(const ServiceCounters& counters, storage::Store& store,
                                                        const notifications::Dispatcher& dispatcher);

}  // namespace fusebox::service
