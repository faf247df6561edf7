// An incident store in a map, that fails when it is told to.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fusebox/incidents/ports.hpp>

namespace fusebox::test {

using namespace incidents;

/// Keeps the promises of `IncidentStore::commit` (all or nothing, versions, one open incident per fingerprint).
/// Thread-safe.
class FakeStore final : public IncidentStore {
public:
    /// Runs before the next commit, without the lock: for a writer who comes between read and commit.
    std::function<void()> before_next_commit;

    void fail_next_commit(StoreError error) {
        const std::scoped_lock lock{mutex_};
        commit_errors_.push_back(std::move(error));
    }
    void fail_next_read(StoreError error) {
        const std::scoped_lock lock{mutex_};
        read_errors_.push_back(std::move(error));
    }
    /// From now on this incident cannot be read.
    void make_unreadable(std::string id) {
        const std::scoped_lock lock{mutex_};
        unreadable_.insert(std::move(id));
    }
    [[nodiscard]] std::vector<Incident> incidents() const {
        const std::scoped_lock lock{mutex_};
        std::vector<Incident> all;
        for (const auto& [id, incident] : incidents_) all.push_back(incident);
        return all;
    }
    /// In the order of storing.
    [[nodiscard]] std::vector<NotificationDraft> notifications() const {
        const std::scoped_lock lock{mutex_};
        return notifications_;
    }
    /// Reads by fingerprint.
    [[nodiscard]] int look_ups() const {
        const std::scoped_lock lock{mutex_};
        return look_ups_;
    }
    /// Sightings that were stored.
    [[nodiscard]] int sightings() const {
        const std::scoped_lock lock{mutex_};
        return sightings_;
    }
    /// Tries to commit, successful or not.
    [[nodiscard]] int commits() const {
        const std::scoped_lock lock{mutex_};
        return commits_;
    }

    StoreResult<void> commit(std::span<const IncidentWrite> writes, const RequestContext&) override {
        if (before_next_commit) std::exchange(before_next_commit, {})();
        const std::scoped_lock lock{mutex_};
        ++commits_;
        if (auto error = take(commit_errors_)) return std::unexpected{*error};
        auto after = incidents_;
        for (const auto& write : writes) {
            const auto known = after.find(write.incident.id);
            if ((known == after.end() ? 0 : known->second.version) != write.incident.version) return conflict();
            Incident stored = write.incident;
            ++stored.version;
            stored.timeline.clear();
            if (known != after.end()) stored.timeline = known->second.timeline;
            stored.timeline.insert(stored.timeline.end(), write.events.begin(), write.events.end());
            truncate_timeline(stored.timeline, write.max_timeline);
            after.insert_or_assign(stored.id, std::move(stored));
            int open = 0;
            for (const auto& [id, incident] : after) {
                open += is_open(incident.state) && incident.fingerprint == write.incident.fingerprint ? 1 : 0;
            }
            if (open > 1) return conflict();
        }
        incidents_ = std::move(after);
        for (const auto& write : writes) {
            notifications_.insert(notifications_.end(), write.notifications.begin(), write.notifications.end());
        }
        return {};
    }
    StoreResult<Incident> get(std::string_view id, const RequestContext&) override {
        const std::scoped_lock lock{mutex_};
        if (auto error = take(read_errors_)) return std::unexpected{*error};
        const auto known = incidents_.find(id);
        if (known == incidents_.end())
            return std::unexpected{StoreError{StoreError::Kind::not_found, "no such incident", {}}};
        if (unreadable_.contains(id)) return corrupt();
        return known->second;
    }
    StoreResult<std::map<std::string, Incident, std::less<>>> latest_by_fingerprints(
        std::span<const std::string> fingerprints, const RequestContext&) override {
        const std::scoped_lock lock{mutex_};
        ++look_ups_;
        if (auto error = take(read_errors_)) return std::unexpected{*error};
        std::map<std::string, Incident, std::less<>> found;
        for (const auto& fingerprint : fingerprints) {
            std::optional<Incident> best;
            for (const auto& [id, incident] : incidents_) {
                if (incident.fingerprint != fingerprint) continue;
                const auto rank = [](const Incident& each) { return std::pair{is_open(each.state), each.created_at}; };
                if (!best || rank(incident) > rank(*best)) best = incident;
            }
            if (!best) continue;
            if (unreadable_.contains(best->id)) return corrupt();
            if (auto& timeline = best->timeline; timeline.size() > latest_events)
                timeline.erase(timeline.begin(), timeline.end() - static_cast<std::ptrdiff_t>(latest_events));
            found.emplace(fingerprint, *std::move(best));
        }
        return found;
    }
    StoreResult<std::vector<std::string>> note_sightings(std::span<const Sighting> sightings,
                                                         const RequestContext&) override {
        const std::scoped_lock lock{mutex_};
        if (auto error = take(commit_errors_)) return std::unexpected{*error};
        std::vector<std::string> missed;
        for (const auto& sighting : sightings) {
            const auto known = incidents_.find(sighting.incident_id);
            if (known == incidents_.end() || known->second.version != sighting.version) {
                missed.push_back(sighting.incident_id);
                continue;
            }
            known->second.alert_count = sighting.alert_count;
            known->second.last_seen = sighting.last_seen;
            known->second.firings = sighting.firings;
            ++sightings_;
        }
        return missed;
    }
    StoreResult<std::vector<std::string>> expiring(WallTime before, std::size_t limit, const RequestContext&) override {
        return ids_where(limit, [before](const Incident& incident) {
            const auto at = expires_at(incident);
            return at && *at <= before;
        });
    }
    StoreResult<std::vector<std::string>> resolved_before(WallTime before, std::size_t limit,
                                                          const RequestContext&) override {
        return ids_where(limit, [before](const Incident& incident) {
            return incident.state == IncidentState::resolved && incident.resolved_at <= before;
        });
    }
    StoreResult<PruneCounts> prune(const PruneQuery&, const RequestContext&) override { return PruneCounts{}; }
    StoreResult<Page<Incident>> list(const IncidentQuery&, const RequestContext&) override {
        return Page<Incident>{incidents(), {}};
    }
    StoreResult<std::map<IncidentState, std::uint64_t>> incident_counts(const RequestContext&) override {
        const std::scoped_lock lock{mutex_};
        std::map<IncidentState, std::uint64_t> counts;
        for (const auto& [id, incident] : incidents_) ++counts[incident.state];
        return counts;
    }
    StoreResult<void> check_writable(const RequestContext&) override { return {}; }

private:
    template <class Matches>
    StoreResult<std::vector<std::string>> ids_where(std::size_t limit, Matches matches) const {
        const std::scoped_lock lock{mutex_};
        std::vector<std::string> ids;
        for (const auto& [id, incident] : incidents_) {
            if (ids.size() < limit && matches(incident)) ids.push_back(id);
        }
        return ids;
    }
    static std::unexpected<StoreError> conflict() {
        return std::unexpected{StoreError{StoreError::Kind::conflict, "the version is not current", {}}};
    }
    static std::unexpected<StoreError> corrupt() {
        return std::unexpected{StoreError{StoreError::Kind::corrupt, "the row cannot be read", {}}};
    }
    static std::optional<StoreError> take(std::deque<StoreError>& errors) {
        if (errors.empty()) return std::nullopt;
        auto error = std::move(errors.front());
        errors.pop_front();
        return error;
    }

    mutable std::mutex mutex_;  ///< guards all below
    std::map<std::string, Incident, std::less<>> incidents_;
    std::set<std::string, std::less<>> unreadable_;
    std::vector<NotificationDraft> notifications_;
    std::deque<StoreError> commit_errors_;
    std::deque<StoreError> read_errors_;
    int commits_{};
    int look_ups_{};
    int sightings_{};
};

}  // namespace fusebox::test
