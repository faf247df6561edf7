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
/// again, a bounded number of times, and then returns the conflict. Other store errors are returned at once: as nothing
/// or everything was stored, and rules know repeats, the caller may simply try again. `store` must outlive the service.
///
/// A change that notifies adds to its commit one draft per destination: the destinations that the routes name now, and
/// those that were told of the incident before (`RoutingTable::destinations_for`).
class IncidentService {
public:
    /// `now` gives calendar time. `on_change` is called once per change after its commit, in order, without locks, by
    /// the thread that made the change (to wake dispatchers, to feed event streams); `on_change` must not throw.
    IncidentService(IncidentStore& store, RoutingTable routing, IncidentRules rules, std::function<WallTime()> now,
                    std::function<void(const Change&)> on_change = {});

    /// The whole batch in one transaction, in order; several alerts of one fingerprint in a batch are folded into one
    /// write, which still notifies of each step. One result per alert. A batch that changes nothing commits nothing.
    /// When this returns a value, everything is durable.
    StoreResult<std::vector<IntakeResult>> ingest(std::span<const Alert> alerts, const RequestContext& context = {});

    std::expected<Incident, ChangeError> acknowledge(std::string_view id, std::string_view actor, std::string_view note,
                                                     const RequestContext& context = {});
    std::expected<Incident, ChangeError> resolve(std::string_view id, std::string_view actor, std::string_view note,
                                                 const RequestContext& context = {});
    std::expected<Incident, ChangeError> add_note(std::string_view id, std::string_view actor, std::string_view text,
                                                  const RequestContext& context = {});

    /// New routes and rules for changes from now on (SIGHUP).
    void reconfigure(RoutingTable routing, IncidentRules rules);

private:
    struct Settings {
        RoutingTable routing;
        IncidentRules rules;
    };
    /// Incidents that change together, in order, as one commit.
    class Batch;

    [[nodiscard]] std::shared_ptr<const Settings> settings() const;
    void announce(std::span<const Change> changes) const;
    template <class Decide>
    std::expected<Incident, ChangeError> change(std::string_view id, const RequestContext& context,
                                                const Decide& decide);
    std::expected<Incident, ChangeError> move(std::string_view id, IncidentState to, std::string_view actor,
                                              std::string_view note, const RequestContext& context);

    IncidentStore& store_;
    std::function<WallTime()> now_;
    std::function<void(const Change&)> on_change_;
    mutable std::mutex settings_mutex_;  ///< guards settings_ (the pointer; what it points to never changes)
    std::shared_ptr<const Settings> settings_;
};

}  // namespace fusebox::incidents
