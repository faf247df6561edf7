#include "repeat_memory.hpp"

#include <algorithm>
#include <utility>

#include "sha256.hpp"
#include "shown_texts.hpp"

namespace fusebox::incidents {

namespace {

AlertKey::Digest digest(const TextList& texts) {
    const Sha256 whole = sha256(texts.encoded());
    AlertKey::Digest half{};
    std::ranges::copy_n(whole.begin(), half.size(), half.begin());
    return half;
}

}  // namespace

AlertKey::AlertKey(const Alert& alert)
    : fingerprint(incidents::fingerprint(alert.labels)),
      title(digest_of(alert.title)),
      annotations(digest_of(alert.annotations)) {}

AlertKey::Digest AlertKey::digest_of(std::string_view title) {
    TextList texts;
    texts.append(title);
    return digest(texts);
}

AlertKey::Digest AlertKey::digest_of(const Labels& annotations) {
    TextList texts;
    for (const auto& [name, value] : texts_of(annotations)) {
        texts.append(name);
        texts.append(value);
    }
    return digest(texts);
}

RepeatMemory::Entry::Entry(const Incident& incident, WallTime now)
    : incident_id(incident.id),
      version(incident.version),
      open(is_open(incident.state)),
      severity(incident.severity),
      title(AlertKey::digest_of(incident.title)),
      annotations(AlertKey::digest_of(incident.annotations)),
      alert_count(incident.alert_count),
      last_seen(incident.last_seen),
      firings(incident.firings),
      asked_at(now) {}

RepeatMemory::Ticket RepeatMemory::ticket() const {
    const std::scoped_lock lock{mutex_};
    return current_;
}

std::optional<IntakeResult> RepeatMemory::answer(const AlertKey& key, const Alert& alert, const SeverityWords& words,
                                                 WallTime now, Basis basis) {
    if (alert.truncated > 0) return std::nullopt;  // the timeline must say so, and it is not remembered
    const auto severity = stated_severity(alert, words).severity;
    const std::scoped_lock lock{mutex_};
    const auto found = entries_.find(key.fingerprint);
    if (found == entries_.end()) return std::nullopt;
    Entry& entry = found->second;
    if (entry.firings.all.empty()) return std::nullopt;  // stored before firings were: the rules make one
    // Another process on the same store may have opened an incident since, and this resolve may be about that one.
    const auto start_known = [&] {
        return alert.start_stated && std::ranges::any_of(entry.firings.all, [&](const Firing& firing) {
                   return firing.starts_at == alert.starts_at;
               });
    };
    if (basis == Basis::memory && alert.resolved && !entry.open && !start_known()) return std::nullopt;

    Firings firings = entry.firings;
    const FiringNews news = take_in(firings, alert, now);
    if (news.effect == FiringEffect::nothing) {
        entry.asked_at = now;
        return IntakeResult{.incident_id = entry.incident_id, .change = ChangeKind::none};
    }
    if (news.effect != FiringEffect::extended) return std::nullopt;
    const bool shows_already = (alert.title.empty() || key.title == entry.title) &&
                               (alert.annotations.empty() || key.annotations == entry.annotations) &&
                               severity.value_or(entry.severity) == entry.severity;
    if (entry.open && !alert.resolved && news.speaks_for_all && !shows_already) return std::nullopt;

    entry.firings = std::move(firings);
    ++entry.alert_count;
    entry.last_seen = now;
    entry.asked_at = now;
    if (!std::exchange(entry.noted, true)) unstored_.push_back(key.fingerprint);
    return IntakeResult{.incident_id = entry.incident_id, .change = ChangeKind::repeated};
}

void RepeatMemory::learn(const Incident& incident, Ticket ticket, WallTime now) { put(incident, ticket, now, false); }

void RepeatMemory::committed(const Incident& incident, Ticket ticket, WallTime now) {
    put(incident, ticket, now, true);
}

void RepeatMemory::put(const Incident& incident, Ticket ticket, WallTime now, bool is_commit) {
    Entry fresh{incident, now};
    const std::scoped_lock lock{mutex_};
    const auto found = entries_.find(incident.fingerprint);
    if (found == entries_.end()) {
        if (ticket == current_ && entries_.size() < capacity_) {  // M7: `no_ticket` is never current
            entries_.emplace(incident.fingerprint, std::move(fresh));
        } else if (is_commit) {
            ++current_;  // M5
        }
    } else if (found->second.incident_id != fresh.incident_id) {
        entries_.erase(found);  // M4
        ++current_;
    } else if (found->second.version < fresh.version) {  // M3
        // The fingerprint may stand in unstored_ already; the sightings of the older version are part of the newer.
        found->second = std::move(fresh);
    }
}

void RepeatMemory::overlay(Incident& incident) const {
    const std::scoped_lock lock{mutex_};
    const auto found = entries_.find(incident.fingerprint);
    if (found == entries_.end()) return;
    const Entry& entry = found->second;
    if (entry.incident_id != incident.id || entry.version != incident.version) return;
    incident.alert_count = entry.alert_count;
    incident.last_seen = entry.last_seen;
    incident.firings = entry.firings;
}

std::vector<std::string> RepeatMemory::take_unstored() {
    const std::scoped_lock lock{mutex_};
    return std::exchange(unstored_, {});
}

std::vector<RepeatMemory::Noted> RepeatMemory::take_sightings(std::span<const std::string> fingerprints) {
    const std::scoped_lock lock{mutex_};
    std::vector<Noted> taken;
    for (const auto& fingerprint : fingerprints) {
        const auto found = entries_.find(fingerprint);
        if (found == entries_.end() || !std::exchange(found->second.noted, false)) continue;
        const Entry& entry = found->second;
        taken.push_back({.fingerprint = fingerprint,
                         .sighting = {.incident_id = entry.incident_id,
                                      .version = entry.version,
                                      .alert_count = entry.alert_count,
                                      .last_seen = entry.last_seen,
                                      .firings = entry.firings}});
    }
    return taken;
}

void RepeatMemory::give_back(std::span<const std::string> fingerprints) {
    const std::scoped_lock lock{mutex_};
    for (const auto& fingerprint : fingerprints) {
        const auto found = entries_.find(fingerprint);
        if (found == entries_.end()) continue;
        found->second.noted = true;
        unstored_.push_back(fingerprint);
    }
}

void RepeatMemory::forget(const Noted& noted) {
    const std::scoped_lock lock{mutex_};
    const auto found = entries_.find(noted.fingerprint);
    if (found == entries_.end() || found->second.incident_id != noted.sighting.incident_id ||
        found->second.version != noted.sighting.version) {
        return;
    }
    entries_.erase(found);
    ++current_;
}

void RepeatMemory::sweep(WallTime before) {
    const std::scoped_lock lock{mutex_};
    const auto dropped = std::erase_if(
        entries_, [before](const auto& entry) { return !entry.second.noted && entry.second.asked_at < before; });
    if (dropped > 0) ++current_;
}

}  // namespace fusebox::incidents
