// An incident store in a map, that fails when it is told to.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
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
    /// Tries to commit, successful or not.
    [[nodiscard]] int commits() const {
        const std::scoped_lock lock{mutex_};
        return commits_;
    }

    StoreResult<std::vector<Incident>> commit(std::span<const IncidentWrite> writes, const RequestContext&) override {
        if (before_next_commit) std::exchange(before_next_commit, {})();
        const std::scoped_lock lock{mutex_};
        ++commits_;
        if (auto error = take(commit_errors_)) return std::unexpected{*error};
        auto after = incidents_;
        std::vector<Incident> stored;
        for (const auto& write : writes) {
            const auto known = after.find(write.incident.id);
            if ((known == after.end() ? 0 : known->second.version) != write.incident.version) return conflict();
            stored.push_back(write.incident);
            ++stored.back().version;
            after.insert_or_assign(write.incident.id, stored.back());
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
        return stored;
    }
    StoreResult<Incident> get(std::string_view id, const RequestContext&) override {
        const std::scoped_lock lock{mutex_};
        if (auto error = take(read_errors_)) return std::unexpected{*error};
        const auto known = incidents_.find(id);
        if (known == incidents_.end())
            return std::unexpected{StoreError{StoreError::Kind::not_found, "no such incident", {}}};
        return known->second;
    }
    StoreResult<std::optional<Incident>> latest_by_fingerprint(std::string_view fingerprint,
                                                               const RequestContext&) override {
        const std::scoped_lock lock{mutex_};
        if (auto error = take(read_errors_)) return std::unexpected{*error};
        std::optional<Incident> newest;
        for (const auto& [id, incident] : incidents_) {
            if (incident.fingerprint != fingerprint) continue;
            if (!newest || incident.created_at > newest->created_at) newest = incident;
        }
        return newest;
    }
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
    static std::unexpected<StoreError> conflict() {
        return std::unexpected{StoreError{StoreError::Kind::conflict, "the version is not current", {}}};
    }
    static std::optional<StoreError> take(std::deque<StoreError>& errors) {
        if (errors.empty()) return std::nullopt;
        auto error = std::move(errors.front());
        errors.pop_front();
        return error;
    }

    mutable std::mutex mutex_;  ///< guards all below
    std::map<std::string, Incident, std::less<>> incidents_;
    std::vector<NotificationDraft> notifications_;
    std::deque<StoreError> commit_errors_;
    std::deque<StoreError> read_errors_;
    int commits_{};
};

}  // namespace fusebox::test
