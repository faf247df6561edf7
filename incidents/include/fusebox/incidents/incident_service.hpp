// The use cases: alerts in, operators' changes, each stored together with its notifications.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <fusebox/incidents/alert.hpp>
#include <fusebox/incidents/incident.hpp>
#include <fusebox/incidents/ports.hpp>
#include <fusebox/incidents/routing.hpp>

namespace fusebox::incidents {

struct IntakeResult {
    std::string incident_id;  ///< empty for a resolve of nothing
    ChangeKind change{};
};

/// Why an operator's change did not happen.
using ChangeError = std::variant<StoreError, TransitionRefused>;

/// Thread-safe. Reads, decides by the pure rules of incident.hpp and commits; on a version conflict reads and decides
/// again (bounded). `store` must outlive it.
class IncidentService {
public:
    /// `now` gives calendar time; `on_change` is called after each commit, without locks (wakes dispatchers, feeds
    /// event streams).
    IncidentService(IncidentStore& store, RoutingTable routing, IncidentRules rules, std::function<WallTime()> now,
                    std::function<void(const Change&)> on_change = {});

    /// The whole batch in one transaction, in order; several alerts of one fingerprint in a batch are folded. One result
    /// per alert. When this returns a value, everything is durable.
    StoreResult<std::vector<IntakeResult>> ingest(std::span<const Alert> alerts, const RequestContext& context = {});

    std::expected<Incident, ChangeError> acknowledge(std::string_view id, std::string_view actor, std::string_view note,
                                                     const RequestContext& context = {});
    std::expected<Incident, ChangeError> resolve(std::string_view id, std::string_view actor, std::string_view note,
                                                 const RequestContext& context = {});
    std::expected<Incident, ChangeError> add_note(std::string_view id, std::string_view actor, std::string_view text,
                                                  const RequestContext& context = {});

    /// New routes and rules for changes from now on (SIGHUP).
    void reconfigure(RoutingTable routing, IncidentRules rules);
};

}  // namespace fusebox::incidents
