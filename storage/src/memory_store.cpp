#include <fusebox/storage/memory_store.hpp>

#include <algorithm>
#include <mutex>
#include <ranges>
#include <set>
#include <utility>

#include "rules.hpp"

namespace fusebox::storage {

using namespace fusebox::incidents;

namespace {

/// Sorts incidents as lists show them, oldest first: by creation, then by the order of storing.
using Age = std::pair<WallTime, std::uint64_t>;

struct Stored {
    Incident incident;
    std::uint64_t order{};
};

Age age_of(const Stored& stored) { return {stored.incident.created_at, stored.order}; }

template <class T>
bool is_any_of(const std::vector<T>& wanted, const T& value) {
    return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
}

bool matches(const Incident& incident, const IncidentQuery& query, std::string_view folded_text) {
    return is_any_of(query.states, incident.state) && is_any_of(query.severities, incident.severity) &&
           std::ranges::all_of(query.labels,
                               [&](const auto& label) {
                                   const auto found = incident.labels.find(label.first);
                                   return found != incident.labels.end() && found->second == label.second;
                               }) &&
           rules::fold_case(incident.title).find(folded_text) != std::string::npos;
}

}  // namespace

struct MemoryStore::Data {
    std::mutex mutex;  ///< guards everything below
    std::map<std::string, Stored, std::less<>> incidents;
    std::map<Age, std::string> by_age;
    std::map<std::string, std::set<Age>, std::less<>> by_fingerprint;
    std::uint64_t last_order{};
    std::map<std::uint64_t, Notification> outbox;  ///< by sequence
    std::map<std::string, std::uint64_t, std::less<>> sequences;
    std::map<std::string, std::set<std::uint64_t>, std::less<>> waiting;  ///< by destination
    std::uint64_t last_sequence{};

    void put(Stored stored) {
        remove(stored.incident.id);
        by_age.emplace(age_of(stored), stored.incident.id);
        by_fingerprint[stored.incident.fingerprint].insert(age_of(stored));
        std::string id = stored.incident.id;
        incidents.emplace(std::move(id), std::move(stored));
    }

    void remove(std::string_view id) {
        const auto found = incidents.find(id);
        if (found == incidents.end()) return;
        by_age.erase(age_of(found->second));
        const auto alike = by_fingerprint.find(found->second.incident.fingerprint);
        alike->second.erase(age_of(found->second));
        if (alike->second.empty()) by_fingerprint.erase(alike);
        incidents.erase(found);
    }

    [[nodiscard]] const Incident& at(const Age& age) const { return incidents.find(by_age.at(age))->second.incident; }

    [[nodiscard]] bool another_is_open(const Incident& incident) const {
        const auto found = by_fingerprint.find(incident.fingerprint);
        return found != by_fingerprint.end() && std::ranges::any_of(found->second, [&](const Age& age) {
                   return at(age).id != incident.id && is_open(at(age).state);
               });
    }

    /// The open incident of a fingerprint, else the newest; null without any.
    [[nodiscard]] const Incident* latest(std::string_view fingerprint) const {
        const auto found = by_fingerprint.find(fingerprint);
        if (found == by_fingerprint.end()) return nullptr;
        const auto open = std::ranges::find_if(found->second, [&](const Age& age) { return is_open(at(age).state); });
        return &at(open == found->second.end() ? *found->second.rbegin() : *open);
    }

    /// The first `limit` ids by the time that `time_of` gives, of the incidents for which it is not after `before`.
    template <class TimeOf>
    std::vector<std::string> earliest(WallTime before, std::size_t limit, TimeOf time_of) const {
        std::vector<std::pair<WallTime, std::string>> found;
        for (const auto& [id, stored] : incidents)
            if (const std::optional<WallTime> time = time_of(stored.incident); time && *time <= before)
                found.emplace_back(*time, id);
        std::ranges::sort(found);
        std::vector<std::string> ids;
        for (auto& [time, id] : found)
            if (ids.size() < limit) ids.push_back(std::move(id));
        return ids;
    }

    void remove_row(std::map<std::uint64_t, Notification>::iterator row) {
        sequences.erase(row->second.draft.id);
        outbox.erase(row);
    }

    /// Removes an incident with its notifications; gives how many. None: one is still to be delivered.
    std::optional<std::uint64_t> remove_whole(const std::string& id) {
        std::vector<std::map<std::uint64_t, Notification>::iterator> rows;
        for (auto row = outbox.begin(); row != outbox.end(); ++row) {
            if (row->second.draft.incident_id != id) continue;
            if (rules::is_waiting(row->second.state)) return std::nullopt;
            rows.push_back(row);
        }
        for (const auto row : rows) remove_row(row);
        remove(id);
        return rows.size();
    }

    void append(const NotificationDraft& draft) {
        Notification row = rules::new_row(draft);
        row.sequence = ++last_sequence;
        sequences.emplace(draft.id, row.sequence);
        waiting[draft.destination].insert(row.sequence);
        outbox.emplace(row.sequence, std::move(row));
    }

    /// Rows of `destination` that no earlier row keeps waiting, oldest first, until `visit` answers false.
    template <class Visit>
    void for_each_head(std::string_view destination, Visit visit) {
        const auto found = waiting.find(destination);
        if (found == waiting.end()) return;
        std::set<std::string_view> seen;
        for (const auto sequence : found->second) {
            auto& row = outbox.at(sequence);
            if (seen.insert(row.draft.incident_id).second && !visit(row)) return;
        }
    }

    StoreResult<Notification*> find(std::string_view id) {
        const auto found = sequences.find(id);
        if (found == sequences.end()) return std::unexpected(rules::no_such_notification(id));
        return &outbox.at(found->second);
    }

    void update_waiting(const Notification& row) {
        auto& rows = waiting[row.draft.destination];
        if (rules::is_waiting(row.state)) {
            rows.insert(row.sequence);
        } else {
            rows.erase(row.sequence);
        }
    }

    StoreResult<void> apply(const IncidentWrite& write) {
        if (auto bad = rules::check(write)) return std::unexpected(*std::move(bad));
        Stored next{.incident = write.incident, .order = 0};
        const auto found = incidents.find(next.incident.id);
        if ((found == incidents.end() ? 0 : found->second.incident.version) != next.incident.version)
            return std::unexpected(rules::version_conflict(next.incident));
        if (is_open(next.incident.state) && another_is_open(next.incident))
            return std::unexpected(rules::second_open_incident(next.incident));
        ++next.incident.version;
        next.order = found == incidents.end() ? ++last_order : found->second.order;
        auto& timeline = next.incident.timeline;
        timeline.clear();
        if (found != incidents.end()) timeline = found->second.incident.timeline;
        timeline.insert(timeline.end(), write.events.begin(), write.events.end());
        truncate_timeline(timeline, write.max_timeline);
        put(std::move(next));
        return {};
    }
};

MemoryStore::MemoryStore() : data_(std::make_unique<Data>()) {}
MemoryStore::~MemoryStore() = default;

StoreResult<void> MemoryStore::commit(std::span<const IncidentWrite> writes, const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    std::vector<std::pair<std::string, std::optional<Stored>>> undo;
    std::set<std::string_view> new_notifications;
    for (const auto& write : writes) {
        const auto before = data_->incidents.find(write.incident.id);
        std::optional<Stored> previous;
        if (before != data_->incidents.end()) previous = before->second;
        auto result = data_->apply(write);
        if (result) {
            undo.emplace_back(write.incident.id, std::move(previous));
            for (const auto& draft : write.notifications)
                if (data_->sequences.contains(draft.id) || !new_notifications.insert(draft.id).second)
                    result = std::unexpected(rules::duplicate_notification(draft.id));
        }
        if (result) continue;
        for (auto step = undo.rbegin(); step != undo.rend(); ++step) {
            if (step->second) {
                data_->put(*std::move(step->second));
            } else {
                data_->remove(step->first);
            }
        }
        return result;
    }
    for (const auto& write : writes)
        for (const auto& draft : write.notifications) data_->append(draft);
    return {};
}

StoreResult<Incident> MemoryStore::get(std::string_view id, const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    const auto found = data_->incidents.find(id);
    if (found == data_->incidents.end()) return std::unexpected(rules::no_such_incident(id));
    return found->second.incident;
}

StoreResult<std::map<std::string, Incident, std::less<>>> MemoryStore::latest_by_fingerprints(
    std::span<const std::string> fingerprints, const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    std::map<std::string, Incident, std::less<>> found;
    for (const auto& fingerprint : fingerprints) {
        const Incident* latest = data_->latest(fingerprint);
        if (!latest) continue;
        auto& timeline = found.insert_or_assign(fingerprint, *latest).first->second.timeline;
        if (timeline.size() > latest_events)
            timeline.erase(timeline.begin(), timeline.end() - static_cast<std::ptrdiff_t>(latest_events));
    }
    return found;
}

StoreResult<std::vector<std::string>> MemoryStore::note_sightings(std::span<const Sighting> sightings,
                                                                  const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    std::vector<std::string> missed;
    for (const auto& sighting : sightings) {
        const auto found = data_->incidents.find(sighting.incident_id);
        if (found == data_->incidents.end() || found->second.incident.version != sighting.version) {
            missed.push_back(sighting.incident_id);
            continue;
        }
        Incident& incident = found->second.incident;
        incident.alert_count = sighting.alert_count;
        incident.last_seen = sighting.last_seen;
        incident.firings = sighting.firings;
    }
    return missed;
}

StoreResult<std::vector<std::string>> MemoryStore::expiring(WallTime before, std::size_t limit,
                                                            const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    return data_->earliest(before, limit, [](const Incident& incident) { return expires_at(incident); });
}

StoreResult<std::vector<std::string>> MemoryStore::resolved_before(WallTime before, std::size_t limit,
                                                                   const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    return data_->earliest(before, limit, [](const Incident& incident) -> std::optional<WallTime> {
        if (incident.state != IncidentState::resolved) return std::nullopt;
        return incident.resolved_at;
    });
}

StoreResult<PruneCounts> MemoryStore::prune(const PruneQuery& query, const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    PruneCounts counts;
    for (auto row = data_->outbox.begin(); row != data_->outbox.end() && counts.notifications < query.limit;) {
        const auto next = std::next(row);
        if (const auto ended = rules::ended_at(row->second); ended && *ended < query.notifications_before) {
            data_->remove_row(row);
            ++counts.notifications;
        }
        row = next;
    }
    std::vector<std::string> ended;
    for (const auto& [id, stored] : data_->incidents)
        if (!is_open(stored.incident.state) && stored.incident.updated_at < query.incidents_before) ended.push_back(id);
    for (const auto& id : ended) {
        if (counts.incidents == query.limit) break;
        if (const auto rows = data_->remove_whole(id)) {
            ++counts.incidents;
            counts.notifications += *rows;
        }
    }
    return counts;
}

StoreResult<Page<Incident>> MemoryStore::list(const IncidentQuery& query, const RequestContext& /*context*/) {
    const auto start = rules::start_of(query);
    if (!start) return std::unexpected(start.error());
    const std::string text = rules::fold_case(query.text);

    const std::lock_guard lock{data_->mutex};
    Page<Incident> page;
    Age last_shown;
    std::size_t bytes = 0;
    auto next = *start ? data_->by_age.lower_bound({(*start)->created_at, (*start)->order}) : data_->by_age.end();
    while (next != data_->by_age.begin()) {
        --next;
        const Incident& incident = data_->at(next->first);
        if (!matches(incident, query, text)) continue;
        if (page.items.size() == query.limit || bytes >= rules::max_page_bytes) {
            page.next_cursor = rules::cursor_after({.created_at = last_shown.first, .order = last_shown.second});
            break;
        }
        last_shown = next->first;
        bytes += rules::text_bytes(incident);
        page.items.push_back(incident);
        page.items.back().timeline.clear();
    }
    return page;
}

StoreResult<std::map<IncidentState, std::uint64_t>> MemoryStore::incident_counts(const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    std::map<IncidentState, std::uint64_t> counts;
    for (const auto& [id, stored] : data_->incidents) ++counts[stored.incident.state];
    return counts;
}

StoreResult<void> MemoryStore::check_writable(const RequestContext& /*context*/) { return {}; }

StoreResult<std::vector<Notification>> MemoryStore::lease(std::string_view destination, WallTime now,
                                                          std::chrono::milliseconds lease_for, std::size_t limit,
                                                          const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    std::vector<Notification> leased;
    if (limit == 0) return leased;
    const std::string token = new_id("lease", now);
    data_->for_each_head(destination, [&](Notification& row) {
        if (rules::due_at(row) > now) return true;
        row.state = NotificationState::leased;
        row.lease_token = token;
        row.lease_until = now + lease_for;
        leased.push_back(row);
        return leased.size() < limit;
    });
    return leased;
}

StoreResult<void> MemoryStore::settle(std::string_view id, std::string_view lease_token, const DeliveryResult& result,
                                      const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    const auto row = data_->find(id);
    if (!row) return std::unexpected(row.error());
    auto settled = rules::settle(**row, lease_token, result);
    data_->update_waiting(**row);
    return settled;
}

StoreResult<std::optional<WallTime>> MemoryStore::next_due(std::string_view destination,
                                                           const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    std::optional<WallTime> earliest;
    data_->for_each_head(destination, [&](const Notification& row) {
        earliest = std::min(earliest.value_or(WallTime::max()), rules::due_at(row));
        return true;
    });
    return earliest;
}

StoreResult<Notification> MemoryStore::get_notification(std::string_view id, const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    const auto row = data_->find(id);
    if (!row) return std::unexpected(row.error());
    return **row;
}

StoreResult<Page<Notification>> MemoryStore::list_notifications(const NotificationQuery& query,
                                                                const RequestContext& /*context*/) {
    const auto start = rules::start_of(query);
    if (!start) return std::unexpected(start.error());

    const std::lock_guard lock{data_->mutex};
    Page<Notification> page;
    auto next = *start ? data_->outbox.lower_bound(**start) : data_->outbox.end();
    while (next != data_->outbox.begin()) {
        --next;
        const Notification& row = next->second;
        if ((query.state && row.state != *query.state) ||
            (!query.incident_id.empty() && row.draft.incident_id != query.incident_id) ||
            (!query.destination.empty() && row.draft.destination != query.destination))
            continue;
        if (page.items.size() == query.limit) {
            page.next_cursor = rules::cursor_after(page.items.back().sequence);
            break;
        }
        page.items.push_back(row);
    }
    return page;
}

StoreResult<Notification> MemoryStore::replay(std::string_view id, WallTime now, const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    const auto row = data_->find(id);
    if (!row) return std::unexpected(row.error());
    if (auto replayed = rules::replay(**row, now); !replayed) return std::unexpected(replayed.error());
    data_->update_waiting(**row);
    return **row;
}

StoreResult<void> MemoryStore::enqueue(const NotificationDraft& draft, const RequestContext& /*context*/) {
    if (auto bad = rules::check(draft)) return std::unexpected(*std::move(bad));
    const std::lock_guard lock{data_->mutex};
    if (data_->sequences.contains(draft.id)) return {};
    if (!data_->incidents.contains(draft.incident_id)) return std::unexpected(rules::about_no_incident(draft));
    data_->append(draft);
    return {};
}

StoreResult<std::map<std::string, std::map<NotificationState, std::uint64_t>>> MemoryStore::counts(
    const RequestContext& /*context*/) {
    const std::lock_guard lock{data_->mutex};
    std::map<std::string, std::map<NotificationState, std::uint64_t>> counts;
    for (const auto& [sequence, row] : data_->outbox) ++counts[row.draft.destination][row.state];
    return counts;
}

}  // namespace fusebox::storage
