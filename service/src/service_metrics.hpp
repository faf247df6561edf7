// What /metrics says: the breakers, what incidentd counts itself, and what its store and its deliveries look like now.
#pragma once

#include <array>
#include <cstddef>
#include <string>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/registry.h>

#include <fusebox/incidents/incident.hpp>
#include <fusebox/notifications/dispatcher.hpp>
#include <fusebox/registry/registry.hpp>
#include <fusebox/storage/store.hpp>

#include "api/api.hpp"

namespace fusebox::service {

/// Counted where it happens, read on scrape. Any member from any thread.
class ServiceMetrics {
public:
    ServiceMetrics();

    [[nodiscard]] IntakeCounters& intake() noexcept { return intake_; }
    void count_change(const incidents::Change& change);
    void count_response(int status);
    /// Whether the new configuration was taken over.
    void count_reload(bool applied);

    /// Of a job of upkeep: what a run did, or that it failed.
    void count_upkeep(const std::string& job, std::uint64_t done);
    void count_upkeep_failure(const std::string& job);

    /// Prometheus' text format. A store that cannot be read now leaves its families out.
    [[nodiscard]] std::string text(const Registry& breakers, storage::Store& store,
                                   const notifications::Dispatcher& dispatcher) const;

private:
    static constexpr std::size_t change_kinds = static_cast<std::size_t>(incidents::ChangeKind::state_changed) + 1;
    static constexpr std::size_t status_classes = 6;

    prometheus::Registry own_;  // of the counters below, which live as long as it
    IntakeCounters intake_;
    std::array<prometheus::Counter*, change_kinds> changes_{};  // by ChangeKind; null: no change
    std::array<prometheus::Counter*, status_classes>
        responses_{};  // by status / 100; null: no answer of incidentd has it
    prometheus::Counter* unknown_severities_{};
    prometheus::Counter* reloads_applied_{};
    prometheus::Counter* reloads_refused_{};
    prometheus::Family<prometheus::Counter>* upkeep_done_{};
    prometheus::Family<prometheus::Counter>* upkeep_failures_{};
};

}  // namespace fusebox::service
