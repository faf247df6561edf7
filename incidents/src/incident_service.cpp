#include <fusebox/incidents/incident_service.hpp>

#include <algorithm>
#include <array>
#include <map>
#include <ranges>
#include <set>
#include <unordered_map>
#include <utility>

#include "payload.hpp"
#include "repeat_memory.hpp"

namespace fusebox::incidents {

namespace {

using std::chrono::minutes;

/// In each round one of the threads that change an incident commits, so N threads need at most N rounds.
constexpr int max_rounds = 64;
/// Sightings that one transaction stores.
constexpr std::size_t sightings_at_once = 1'000;
/// Incidents that upkeep changes in one transaction.
constexpr std::size_t incidents_at_once = 100;
/// Longer than a source goes on repeating that an alert has ended (15 min).
constexpr minutes kept_unasked{20};
constexpr minutes between_sweeps{5};
/// expire() is called every few seconds: after a longer time the machine slept, or its clock was set.
constexpr minutes longest_gap{1};

bool may_try_again(const StoreError& error, int round) {
    return error.kind == StoreError::Kind::conflict && round < max_rounds;
}

TransitionRefused refused(const Incident& incident, std::string_view what) {
    return {"an incident that is " + std::string{to_string(incident.state)} + " cannot be " + std::string{what}};
}

}  // namespace

class IncidentService::Batch {
public:
    /// Returns the incident as it will be written, for the next change of the batch to go on from.
    const Incident& add(Change change, const RoutingTable& routing, std::size_t max_timeline, WallTime now) {
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
        write.events.insert(write.events.end(), change.events.begin(), change.events.end());
        write.max_timeline = max_timeline;

        // One write per incident: whatever number of changes the write folds, the store raises the version by one.
        ++change.incident.version;
        draft(change, std::move(destinations), now, write.notifications);
        changes_.push_back(std::move(change));
        return write.incident;
    }

    /// What a repeat said of an incident that is written anyway. False: the batch does not write this incident.
    bool fold(const Incident& repeated) {
        const auto known = index_of_.find(repeated.id);
        if (known == index_of_.end()) return false;
        writes_[known->second].incident = repeated;
        return true;
    }
    /// The incidents as the store has them after the commit; of several of one fingerprint the last written, which is
    /// the newest.
    void remember(RepeatMemory& memory, RepeatMemory::Ticket ticket, WallTime now) {
        std::set<std::string_view> seen;
        for (auto& write : std::views::reverse(writes_)) {
            if (!seen.insert(write.incident.fingerprint).second) continue;
            ++write.incident.version;
            memory.committed(write.incident, ticket, now);
            --write.incident.version;
        }
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
        const std::string payload = payload_of(change.incident);
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

/// Alerts that the memory answers are done at once. The others go through rounds of reading, deciding and committing;
/// an alert that follows an undecided one of its fingerprint waits for its turn.
class IncidentService::Intake {
public:
    Intake(IncidentService& service, std::span<const Alert> alerts)
        : service_(service), alerts_(alerts), results_(alerts.size()) {
        keys_.reserve(alerts.size());
        for (const auto& alert : alerts) keys_.emplace_back(alert);
    }

    StoreResult<std::vector<IntakeResult>> run(const RequestContext& context) {
        answer_from_memory();
        if (auto done = settle(context); !done) return std::unexpected{std::move(done.error())};
        return std::move(results_);
    }

private:
    bool answer(std::size_t index, const Settings& settings, WallTime now, RepeatMemory::Basis basis) {
        auto result = service_.memory_->answer(keys_[index], alerts_[index], settings.rules.severity_words, now, basis);
        if (!result) return false;
        results_[index] = *std::move(result);
        return true;
    }

    void answer_from_memory() {
        const auto settings = service_.settings();
        const WallTime now = service_.now_();
        std::set<std::string_view> waited_for;
        for (std::size_t i = 0; i < alerts_.size(); ++i) {
            if (waited_for.contains(keys_[i].fingerprint) || !answer(i, *settings, now, RepeatMemory::Basis::memory)) {
                waited_for.insert(keys_[i].fingerprint);
                undecided_.push_back(i);
            }
        }
    }

    StoreResult<void> settle(const RequestContext& context) {
        for (int round = 1; !undecided_.empty(); ++round) {
            auto done = decide_and_commit(context);
            if (done) break;
            if (done.error().kind == StoreError::Kind::corrupt) return settle_halves(std::move(done.error()), context);
            if (!may_try_again(done.error(), round)) return done;
        }
        return {};
    }

    /// An incident that cannot be read must not keep the alerts beside it out: each half of the fingerprints for
    /// itself.
    StoreResult<void> settle_halves(StoreError error, const RequestContext& context) {
        std::set<std::string_view> fingerprints;
        for (const auto index : undecided_) fingerprints.insert(keys_[index].fingerprint);
        if (fingerprints.size() == 1) return std::unexpected{std::move(error)};
        const auto middle = *std::next(fingerprints.begin(), static_cast<std::ptrdiff_t>(fingerprints.size() / 2));
        const auto second = std::ranges::stable_partition(
            undecided_, [&](std::size_t index) { return keys_[index].fingerprint < middle; });
        std::vector<std::size_t> later{second.begin(), second.end()};
        undecided_.erase(second.begin(), second.end());
        auto first_half = settle(context);
        if (!first_half && first_half.error().kind != StoreError::Kind::corrupt) return first_half;
        undecided_ = std::move(later);
        auto second_half = settle(context);
        return first_half ? second_half : first_half;
    }

    StoreResult<void> decide_and_commit(const RequestContext& context) {
        const auto settings = service_.settings();
        const WallTime now = service_.now_();
        auto& memory = *service_.memory_;
        const auto ticket = memory.ticket();

        std::map<std::string_view, std::size_t> undecided_of;  // alerts, by fingerprint
        for (const auto index : undecided_) ++undecided_of[keys_[index].fingerprint];
        std::vector<std::string> fingerprints;
        fingerprints.reserve(undecided_of.size());
        for (const auto& [fingerprint, count] : undecided_of) fingerprints.emplace_back(fingerprint);
        auto read = service_.store_.latest_by_fingerprints(fingerprints, context);
        if (!read) return std::unexpected{std::move(read.error())};
        for (const auto& [fingerprint, incident] : *read) memory.learn(incident, ticket, now);

        Batch batch;
        std::map<std::string_view, Sighting> unremembered;
        std::map<std::string_view, std::optional<Incident>> newest;
        std::vector<std::size_t> decided_by_commit;
        for (const auto index : undecided_) {
            const auto& fingerprint = keys_[index].fingerprint;
            const bool is_last = --undecided_of[fingerprint] == 0;
            auto [known, is_first] = newest.try_emplace(fingerprint);
            if (is_first) {
                // A sighting that the memory takes is taken once, so this alert is not decided again.
                if (answer(index, *settings, now, RepeatMemory::Basis::store)) {
                    newest.erase(known);
                    continue;
                }
                decided_by_commit.push_back(index);
                if (const auto found = read->find(fingerprint); found != read->end()) {
                    known->second = found->second;
                    memory.overlay(*known->second);
                }
            } else {
                decided_by_commit.push_back(index);
            }
            Change change = apply_alert(alerts_[index], known->second, settings->rules, now);
            if (change.kind == ChangeKind::created) change.incident.id = new_id("inc", now);
            results_[index] = {.incident_id = change.incident.id, .change = change.kind};
            if (change.kind == ChangeKind::none) continue;
            if (change.kind == ChangeKind::repeated) {
                if (!batch.fold(change.incident)) unremembered[fingerprint] = sighting_of(change.incident);
                known->second = std::move(change.incident);
                continue;
            }
            unremembered.erase(fingerprint);
            const auto& written = batch.add(std::move(change), settings->routing, settings->rules.max_timeline, now);
            if (!is_last) known->second = written;
        }
        undecided_ = std::move(decided_by_commit);

        if (!batch.empty()) {
            if (auto stored = service_.store_.commit(batch.writes(), context); !stored) return stored;
            batch.remember(memory, ticket, now);
            service_.announce(batch.changes());
        }
        return store(unremembered, context);
    }

    static Sighting sighting_of(const Incident& incident) {
        return {.incident_id = incident.id,
                .version = incident.version,
                .alert_count = incident.alert_count,
                .last_seen = incident.last_seen,
                .firings = incident.firings};
    }

    /// Of incidents that the memory has no room for. What changed meanwhile is newer than these.
    StoreResult<void> store(const std::map<std::string_view, Sighting>& unremembered, const RequestContext& context) {
        if (unremembered.empty()) return {};
        std::vector<Sighting> sightings;
        sightings.reserve(unremembered.size());
        for (const auto& [fingerprint, sighting] : unremembered) sightings.push_back(sighting);
        auto stored = service_.store_.note_sightings(sightings, context);
        if (!stored) return std::unexpected{std::move(stored.error())};
        return {};
    }

    IncidentService& service_;
    std::span<const Alert> alerts_;
    std::vector<AlertKey> keys_;
    std::vector<IntakeResult> results_;
    std::vector<std::size_t> undecided_;  ///< indices of alerts, in order
};

IncidentService::IncidentService(IncidentStore& store, RoutingTable routing, IncidentRules rules,
                                 std::function<WallTime()> now, std::function<void(const Change&)> on_change)
    : store_{store},
      now_{std::move(now)},
      on_change_{std::move(on_change)},
      memory_{std::make_unique<RepeatMemory>()},
      settings_{std::make_shared<const Settings>(Settings{std::move(routing), std::move(rules)})},
      resend_since_{now_()},
      last_expiry_{resend_since_} {}
IncidentService::~IncidentService() = default;

StoreResult<std::vector<IntakeResult>> IncidentService::ingest(std::span<const Alert> alerts,
                                                               const RequestContext& context) {
    return Intake{*this, alerts}.run(context);
}

template <class Decide>
std::expected<Incident, ChangeError> IncidentService::change(std::string_view id, const RequestContext& context,
                                                             const Decide& decide) {
    for (int round = 1;; ++round) {
        const auto settings = this->settings();
        const WallTime now = now_();
        auto read = store_.get(id, context);
        if (!read) return std::unexpected{ChangeError{std::move(read.error())}};
        memory_->overlay(*read);
        std::expected<Change, TransitionRefused> change = decide(*read, settings->rules, now);
        if (!change) return std::unexpected{ChangeError{std::move(change.error())}};

        Batch batch;
        batch.add(std::move(*change), settings->routing, settings->rules.max_timeline, now);
        auto stored = store_.commit(batch.writes(), context);
        if (stored) {
            batch.remember(*memory_, RepeatMemory::no_ticket, now);
            announce(batch.changes());
            return batch.changes().front().incident;
        }
        if (!may_try_again(stored.error(), round)) return std::unexpected{ChangeError{std::move(stored.error())}};
    }
}

template <class Decide>
StoreResult<std::size_t> IncidentService::change_all(std::span<const std::string> ids, const RequestContext& context,
                                                     const Decide& decide) {
    for (int round = 1;; ++round) {
        const auto settings = this->settings();
        const WallTime now = now_();
        Batch batch;
        std::optional<StoreError> unreadable;
        for (const auto& id : ids) {
            auto read = store_.get(id, context);
            if (!read && read.error().kind == StoreError::Kind::not_found) continue;
            if (!read && read.error().kind == StoreError::Kind::corrupt) {  // one such row keeps back no other
                unreadable = std::move(read.error());
                continue;
            }
            if (!read) return std::unexpected{std::move(read.error())};
            memory_->overlay(*read);
            std::expected<Change, TransitionRefused> change = decide(*read, settings->rules, now);
            if (!change || change->kind == ChangeKind::none) continue;
            batch.add(std::move(*change), settings->routing, settings->rules.max_timeline, now);
        }
        if (batch.empty() && unreadable) return std::unexpected{*std::move(unreadable)};
        if (batch.empty()) return 0;
        auto stored = store_.commit(batch.writes(), context);
        if (stored) {
            batch.remember(*memory_, RepeatMemory::no_ticket, now);
            announce(batch.changes());
            return batch.changes().size();
        }
        if (!may_try_again(stored.error(), round)) return std::unexpected{std::move(stored.error())};
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

std::expected<Incident, ChangeError> IncidentService::unacknowledge(std::string_view id, std::string_view actor,
                                                                    std::string_view note,
                                                                    const RequestContext& context) {
    return change(id, context,
                  [&](const Incident& incident, const IncidentRules& rules,
                      WallTime now) -> std::expected<Change, TransitionRefused> {
                      if (!is_open(incident.state) || incident.state == IncidentState::detected) {
                          return std::unexpected{refused(incident, "unacknowledged")};
                      }
                      return move_to(incident, IncidentState::detected, actor, note, rules, now);
                  });
}

std::expected<Incident, ChangeError> IncidentService::investigate(std::string_view id, std::string_view actor,
                                                                  std::string_view note,
                                                                  const RequestContext& context) {
    return move(id, IncidentState::investigating, actor, note, context);
}

std::expected<Incident, ChangeError> IncidentService::remediate(std::string_view id, std::string_view actor,
                                                                std::string_view note, const RequestContext& context) {
    return move(id, IncidentState::remediating, actor, note, context);
}

std::expected<Incident, ChangeError> IncidentService::resolve(std::string_view id, std::string_view actor,
                                                              std::string_view note, const RequestContext& context) {
    return move(id, IncidentState::resolved, actor, note, context);
}

std::expected<Incident, ChangeError> IncidentService::close(std::string_view id, std::string_view actor,
                                                            std::string_view note, const RequestContext& context) {
    return move(id, IncidentState::closed, actor, note, context);
}

std::expected<Incident, ChangeError> IncidentService::reopen(std::string_view id, std::string_view actor,
                                                             std::string_view note, const RequestContext& context) {
    const auto read = store_.get(id, context);
    if (!read) return std::unexpected{ChangeError{read.error()}};
    const std::array fingerprints{read->fingerprint};
    const auto latest = store_.latest_by_fingerprints(fingerprints, context);
    if (!latest) return std::unexpected{ChangeError{latest.error()}};
    const auto other = latest->find(read->fingerprint);
    if (other != latest->end() && other->second.id != id && is_open(other->second.state)) {
        return std::unexpected{ChangeError{
            TransitionRefused{"the same alert has another open incident, " + other->second.id + ": work on that one"}}};
    }
    return change(id, context,
                  [&](const Incident& incident, const IncidentRules& rules,
                      WallTime now) -> std::expected<Change, TransitionRefused> {
                      if (is_open(incident.state)) return std::unexpected{refused(incident, "reopened")};
                      return move_to(incident, IncidentState::detected, actor, note, rules, now);
                  });
}

std::expected<Incident, ChangeError> IncidentService::add_note(std::string_view id, std::string_view actor,
                                                               std::string_view text, const RequestContext& context) {
    return change(id, context, [&](const Incident& incident, const IncidentRules& rules, WallTime now) {
        return incidents::add_note(incident, actor, text, rules, now);
    });
}

void IncidentService::add_sightings(Incident& incident) const { memory_->overlay(incident); }

StoreResult<std::size_t> IncidentService::flush_sightings(const RequestContext& context) {
    const WallTime now = now_();
    if (now < last_sweep_ || now - last_sweep_ >= between_sweeps) {
        memory_->sweep(now - kept_unasked);
        last_sweep_ = now;
    }
    const auto unstored = memory_->take_unstored();
    std::span<const std::string> rest{unstored};
    std::size_t flushed = 0;
    while (!rest.empty()) {
        const auto noted = memory_->take_sightings(rest.first(std::min(rest.size(), sightings_at_once)));
        std::vector<Sighting> sightings;
        sightings.reserve(noted.size());
        for (const auto& each : noted) sightings.push_back(each.sighting);
        const auto stale = store_.note_sightings(sightings, context);
        if (!stale) {
            memory_->give_back(rest);
            return std::unexpected{stale.error()};
        }
        const std::set<std::string_view> gone{stale->begin(), stale->end()};
        for (const auto& each : noted) {
            if (gone.contains(each.sighting.incident_id)) memory_->forget(each);
        }
        flushed += noted.size() - gone.size();
        rest = rest.subspan(std::min(rest.size(), sightings_at_once));
    }
    return flushed;
}

bool IncidentService::may_expire(WallTime now, const IncidentRules& rules) {
    if (now < last_expiry_ || now - last_expiry_ > longest_gap) resend_since_ = now;
    last_expiry_ = now;
    return now - resend_since_ >= rules.resend_period;
}

StoreResult<std::size_t> IncidentService::expire(const RequestContext& context) {
    const WallTime now = now_();
    const bool may = may_expire(now, settings()->rules);
    // What the memory knows of newer ends must be in the store before the store is asked. While the store fails, alerts
    // are refused that the memory does not know: their sources need the time to send them again.
    if (auto flushed = flush_sightings(context); !flushed) {
        resend_since_ = now;
        return flushed;
    }
    const auto ids = store_.expiring(now, incidents_at_once, context);
    if (!ids) {
        resend_since_ = now;
        return std::unexpected{ids.error()};
    }
    if (!may) return 0;
    return change_all(
        *ids, context,
        [](const Incident& incident, const IncidentRules& rules,
           WallTime at) -> std::expected<Change, TransitionRefused> { return incidents::expire(incident, rules, at); });
}

StoreResult<std::size_t> IncidentService::close_resolved(const RequestContext& context) {
    const auto after = settings()->rules.close_after;
    const auto ids = store_.resolved_before(now_() - after, incidents_at_once, context);
    if (!ids) return std::unexpected{ids.error()};
    return change_all(*ids, context, [&](const Incident& incident, const IncidentRules& rules, WallTime at) {
        return move_to(incident, IncidentState::closed, "system", "resolved for the time set", rules, at);
    });
}

void IncidentService::reconfigure(RoutingTable routing, IncidentRules rules) {
    auto settings = std::make_shared<const Settings>(Settings{std::move(routing), std::move(rules)});
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
