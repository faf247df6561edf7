#include <fusebox/incidents/incident_service.hpp>

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>

#include <fusebox/incidents/json.hpp>

namespace fusebox::incidents {

namespace {

/// In each round one of the threads that change an incident commits, so N threads need at most N rounds.
constexpr int max_rounds = 64;
/// Receivers want small messages (20 kB for webhooks); the API gives the whole history.
constexpr std::size_t max_payload_events = 20;

bool may_try_again(const StoreError& error, int round) {
    return error.kind == StoreError::Kind::conflict && round < max_rounds;
}

}  // namespace

class IncidentService::Batch {
public:
    /// Returns the incident as it will be written, for the next change of the batch to go on from.
    const Incident& add(Change change, const RoutingTable& routing, WallTime now) {
        std::vector<std::string> destinations;
        if (change.notify) destinations = routing.destinations_for(change.incident);
        auto& notified = change.incident.notified;
        for (const auto& destination : destinations) {
            if (std::ranges::find(notified, destination) == notified.end()) notified.push_back(destination);
        }

        const auto [index, is_new] = index_of_.try_emplace(change.incident.id, writes_.size());
        if (is_new) writes_.emplace_back();
        IncidentWrite& write = writes_[index->second];
        write.incident = change.incident;

        // One write per incident: whatever number of changes the write folds, the store raises the version by one.
        ++change.incident.version;
        draft(change, std::move(destinations), now, write.notifications);
        changes_.push_back(std::move(change));
        return write.incident;
    }

    [[nodiscard]] bool empty() const noexcept { return writes_.empty(); }
    [[nodiscard]] std::span<const IncidentWrite> writes() const noexcept { return writes_; }
    /// The changes as they are once the commit has succeeded.
    [[nodiscard]] std::span<const Change> changes() const noexcept { return changes_; }

private:
    static void draft(const Change& change, std::vector<std::string> destinations, WallTime now,
                      std::vector<NotificationDraft>& out) {
        const auto kind = notification_kind(change.kind);
        if (!kind || destinations.empty()) return;
        Incident shown = change.incident;
        shown.notified.clear();  // receivers need not know of each other
        truncate_timeline(shown.timeline, max_payload_events);
        const std::string payload = to_json(shown);
        for (auto& destination : destinations) {
            out.push_back({.id = new_id("msg", now),
                           .incident_id = change.incident.id,
                           .destination = std::move(destination),
                           .kind = std::string{*kind},
                           .severity = change.incident.severity,
                           .payload = payload,
                           .created_at = now,
                           .fallback_for = {}});
        }
    }

    std::vector<IncidentWrite> writes_;  ///< in the order in which the incidents were first touched
    std::unordered_map<std::string, std::size_t> index_of_;
    std::vector<Change> changes_;
};

IncidentService::IncidentService(IncidentStore& store, RoutingTable routing, IncidentRules rules,
                                 std::function<WallTime()> now, std::function<void(const Change&)> on_change)
    : store_{store},
      now_{std::move(now)},
      on_change_{std::move(on_change)},
      settings_{std::make_shared<const Settings>(Settings{std::move(routing), rules})} {}

StoreResult<std::vector<IntakeResult>> IncidentService::ingest(std::span<const Alert> alerts,
                                                               const RequestContext& context) {
    std::vector<std::string> fingerprints;
    fingerprints.reserve(alerts.size());
    for (const auto& alert : alerts) fingerprints.push_back(fingerprint(alert.labels));

    for (int round = 1;; ++round) {
        const auto settings = this->settings();
        const WallTime now = now_();
        Batch batch;
        std::vector<IntakeResult> results;
        std::map<std::string_view, std::optional<Incident>> newest;
        for (std::size_t i = 0; i < alerts.size(); ++i) {
            auto known = newest.find(fingerprints[i]);
            if (known == newest.end()) {
                auto read = store_.latest_by_fingerprint(fingerprints[i], context);
                if (!read) return std::unexpected{std::move(read.error())};
                known = newest.emplace(fingerprints[i], std::move(*read)).first;
            }
            Change change = apply_alert(alerts[i], known->second, settings->rules, now);
            if (change.kind == ChangeKind::created) change.incident.id = new_id("inc", now);
            results.push_back({.incident_id = change.incident.id, .change = change.kind});
            if (change.kind == ChangeKind::none) continue;
            known->second = batch.add(std::move(change), settings->routing, now);
        }
        if (batch.empty()) return results;

        auto stored = store_.commit(batch.writes(), context);
        if (stored) {
            announce(batch.changes());
            return results;
        }
        if (!may_try_again(stored.error(), round)) return std::unexpected{std::move(stored.error())};
    }
}

template <class Decide>
std::expected<Incident, ChangeError> IncidentService::change(std::string_view id, const RequestContext& context,
                                                             const Decide& decide) {
    for (int round = 1;; ++round) {
        const auto settings = this->settings();
        const WallTime now = now_();
        auto read = store_.get(id, context);
        if (!read) return std::unexpected{ChangeError{std::move(read.error())}};
        std::expected<Change, TransitionRefused> change = decide(*read, settings->rules, now);
        if (!change) return std::unexpected{ChangeError{std::move(change.error())}};

        Batch batch;
        batch.add(std::move(*change), settings->routing, now);
        auto stored = store_.commit(batch.writes(), context);
        if (stored) {
            announce(batch.changes());
            return batch.changes().front().incident;
        }
        if (!may_try_again(stored.error(), round)) return std::unexpected{ChangeError{std::move(stored.error())}};
    }
}

std::expected<Incident, ChangeError> IncidentService::move(std::string_view id, IncidentState to,
                                                           std::string_view actor, std::string_view note,
                                                           const RequestContext& context) {
    return change(id, context, [&](const Incident& incident, const IncidentRules& rules, WallTime now) {
        return move_to(incident, to, actor, note, rules, now);
    });
}

std::expected<Incident, ChangeError> IncidentService::acknowledge(std::string_view id, std::string_view actor,
                                                                  std::string_view note,
                                                                  const RequestContext& context) {
    return move(id, IncidentState::triaged, actor, note, context);
}

std::expected<Incident, ChangeError> IncidentService::resolve(std::string_view id, std::string_view actor,
                                                              std::string_view note, const RequestContext& context) {
    return move(id, IncidentState::resolved, actor, note, context);
}

std::expected<Incident, ChangeError> IncidentService::add_note(std::string_view id, std::string_view actor,
                                                               std::string_view text, const RequestContext& context) {
    return change(id, context, [&](const Incident& incident, const IncidentRules& rules, WallTime now) {
        return incidents::add_note(incident, actor, text, rules, now);
    });
}

void IncidentService::reconfigure(RoutingTable routing, IncidentRules rules) {
    auto settings = std::make_shared<const Settings>(Settings{std::move(routing), rules});
    const std::scoped_lock lock{settings_mutex_};
    settings_ = std::move(settings);
}

std::shared_ptr<const IncidentService::Settings> IncidentService::settings() const {
    const std::scoped_lock lock{settings_mutex_};
    return settings_;
}

void IncidentService::announce(std::span<const Change> changes) const {
    if (!on_change_) return;
    for (const auto& change : changes) on_change_(change);
}

}  // namespace fusebox::incidents
