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
    ChangeKind change{};      ///< `repeated`: the alert says what is known
};

class RepeatMemory;

/// Why an operator's change did not happen.
using ChangeError = std::variant<StoreError, TransitionRefused>;

/// Thread-safe. Reads, decides by the pure rules of incident.hpp and commits; on a version conflict reads and decides
/// again, a bounded number of times, and then returns the conflict. Other store errors are returned at once: as rules
/// know repeats, the caller may simply try again. Nothing was stored then, with one exception: where an incident cannot
/// be read (`corrupt`), what is about other incidents is stored all the same. `store` must outlive the service.
///
/// A change that notifies adds to its commit one draft per destination: the destinations that the routes name now, and
/// those that were told of the incident before (`RoutingTable::destinations_for`).
class IncidentService {
public:
    /// `now` gives calendar time and must not be empty; several threads call it at once. `on_change` is called once per
    /// change after its commit, in order, without locks, by the thread that made the change (to wake dispatchers, to
    /// feed event streams), with the incident at the version that was stored; `on_change` must not throw.
    IncidentService(IncidentStore& store, RoutingTable routing, IncidentRules rules, std::function<WallTime()> now,
                    std::function<void(const Change&)> on_change = {});
    ~IncidentService();

    /// The whole batch in one transaction, in order; several alerts of one fingerprint in a batch are folded into one
    /// write, which still notifies of each step. One result per alert. When this returns a value, every change is
    /// durable. Repeats are answered from memory (repeat_memory.hpp) and write nothing: `flush_sightings` stores what
    /// they said.
    StoreResult<std::vector<IntakeResult>> ingest(std::span<const Alert> alerts, const RequestContext& context = {});

    /// A person's changes; `actor` stands in the timeline as it is, so the caller bounds it. An unknown `id` is a
    /// `StoreError` of kind `not_found`, a refused transition a `TransitionRefused`.
    std::expected<Incident, ChangeError> acknowledge(std::string_view id, std::string_view actor, std::string_view note,
                                                     const RequestContext& context = {});
    /// triaged, investigating, remediating → detected.
    std::expected<Incident, ChangeError> unacknowledge(std::string_view id, std::string_view actor,
                                                       std::string_view note, const RequestContext& context = {});
    /// detected, triaged → investigating.
    std::expected<Incident, ChangeError> investigate(std::string_view id, std::string_view actor, std::string_view note,
                                                     const RequestContext& context = {});
    /// detected, triaged, investigating → remediating.
    std::expected<Incident, ChangeError> remediate(std::string_view id, std::string_view actor, std::string_view note,
                                                   const RequestContext& context = {});
    std::expected<Incident, ChangeError> resolve(std::string_view id, std::string_view actor, std::string_view note,
                                                 const RequestContext& context = {});
    /// resolved → closed.
    std::expected<Incident, ChangeError> close(std::string_view id, std::string_view actor, std::string_view note,
                                               const RequestContext& context = {});
    /// resolved, closed → detected. Refused while another incident of the same alert is open.
    std::expected<Incident, ChangeError> reopen(std::string_view id, std::string_view actor, std::string_view note,
                                                const RequestContext& context = {});
    std::expected<Incident, ChangeError> add_note(std::string_view id, std::string_view actor, std::string_view text,
                                                  const RequestContext& context = {});

    /// Adds to an incident that was read from the store what repeats have said since: `alert_count`, `last_seen`,
    /// `firings`.
    void add_sightings(Incident& incident) const;

    /// For upkeep, each to be called by one thread, again and again; each does a bounded piece of work and returns how
    /// many incidents it was about (0: nothing left for now).
    /// Stores what repeats said since the last call; at least every 30 s, and once before the end.
    StoreResult<std::size_t> flush_sightings(const RequestContext& context = {});
    /// Resolves the incidents whose alert nobody vouches for any longer; every few seconds. Nothing expires within
    /// `IncidentRules::resend_period` after the construction, nor after a minute without a call, a step of the clock or
    /// a failure of the store, since then the sources may not have had the time to send again.
    StoreResult<std::size_t> expire(const RequestContext& context = {});
    /// Closes what has been resolved for `IncidentRules::close_after`.
    StoreResult<std::size_t> close_resolved(const RequestContext& context = {});

    /// New routes and rules for changes from now on (SIGHUP).
    void reconfigure(RoutingTable routing, IncidentRules rules);

private:
    struct Settings {
        RoutingTable routing;
        IncidentRules rules;
    };
    /// Incidents that change together, in order, as one commit.
    class Batch;
    /// One batch of alerts on its way in.
    class Intake;

    [[nodiscard]] std::shared_ptr<const Settings> settings() const;
    void announce(std::span<const Change> changes) const;
    template <class Decide>
    std::expected<Incident, ChangeError> change(std::string_view id, const RequestContext& context,
                                                const Decide& decide);
    template <class Decide>
    StoreResult<std::size_t> change_all(std::span<const std::string> ids, const RequestContext& context,
                                        const Decide& decide);
    std::expected<Incident, ChangeError> move(std::string_view id, IncidentState to, std::string_view actor,
                                              std::string_view note, const RequestContext& context);
    [[nodiscard]] bool may_expire(WallTime now, const IncidentRules& rules);

    IncidentStore& store_;
    std::function<WallTime()> now_;
    std::function<void(const Change&)> on_change_;
    std::unique_ptr<RepeatMemory> memory_;
    mutable std::mutex settings_mutex_;  ///< guards settings_ (the pointer; what it points to never changes)
    std::shared_ptr<const Settings> settings_;
    // Of the one thread that calls expire().
    WallTime resend_since_;  ///< since when the sources have had the time to send again
    WallTime last_expiry_;   ///< when expire() was called last
    WallTime last_sweep_{};  ///< when flush_sightings() last dropped what nobody asks for
};

}  // namespace fusebox::incidents
