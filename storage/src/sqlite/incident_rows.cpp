#include "sqlite/incident_rows.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "rules.hpp"
#include "sqlite/columns.hpp"
#include "sqlite/label_hash.hpp"
#include "sqlite/outbox_rows.hpp"

namespace fusebox::storage::sqlite {

using namespace fusebox::incidents;
using Json = nlohmann::json;
using Kind = StoreError::Kind;

namespace {

std::string text_of(const std::optional<WallTime>& time) {
    return time ? std::to_string(time->time_since_epoch().count()) : "null";
}

WallTime time_of(const Json& json) { return WallTime{WallTime::duration{json.get<WallTime::rep>()}}; }

std::optional<WallTime> optional_time_of(const Json& json) {
    return json.is_null() ? std::nullopt : std::optional{time_of(json)};
}

/// `[dismissed_until, [starts_at, first_seen, ends_at, ended_at, reported_end, lifetime, dismissed], …]`, in µs.
std::string text_of(const Firings& firings) {
    std::string out = "[" + text_of(firings.dismissed_until);
    for (const auto& firing : firings.all) {
        out += ",[";
        for (const auto& time : {std::optional{firing.starts_at}, std::optional{firing.first_seen}, firing.ends_at,
                                 firing.ended_at, firing.reported_end})
            (out += text_of(time)) += ',';
        (out += std::to_string(firing.lifetime.count())) += firing.dismissed ? ",1]" : ",0]";
    }
    return out += ']';
}

Firings firings_of(std::string_view text) {
    const Json array = Json::parse(text);
    Firings firings;
    firings.dismissed_until = optional_time_of(array.at(0));
    for (std::size_t i = 1; i < array.size(); ++i) {
        const Json& firing = array[i];
        firings.all.push_back({.starts_at = time_of(firing.at(0)),
                               .first_seen = time_of(firing.at(1)),
                               .ends_at = optional_time_of(firing.at(2)),
                               .ended_at = optional_time_of(firing.at(3)),
                               .reported_end = optional_time_of(firing.at(4)),
                               .lifetime = std::chrono::microseconds{firing.at(5).get<std::int64_t>()},
                               .dismissed = firing.at(6).get<int>() != 0});
    }
    return firings;
}

/// Appends `events`, and cuts the middle of the timeline as `truncate_timeline` does: the first event stays, and one
/// event stands for those that go. T1: the numbers of a timeline are 0, then a run without gaps up to the last.
void append_events(Connection& connection, std::int64_t incident, std::span<const TimelineEvent> events,
                   std::size_t max_timeline, bool is_new) {
    std::int64_t next = 0;
    if (!is_new) {
        auto last = connection.prepare("SELECT coalesce(max(number) + 1, 0) FROM timeline WHERE incident = ?");
        last.bind(incident).step();
        next = last.number(0);
    }
    {
        auto insertion = connection.prepare(
            "INSERT INTO timeline (incident, number, at, kind, actor, detail) VALUES (?, ?, ?, ?, ?, ?)");
        for (const auto& event : events)
            insertion.again()
                .bind(incident)
                .bind(next++)
                .bind(event.at)
                .bind(event.kind)
                .bind(event.actor)
                .bind(event.detail)
                .run();
    }
    const auto most = static_cast<std::int64_t>(std::max<std::size_t>(max_timeline, 3));
    if (next <= most) return;
    std::int64_t second = 1;
    {
        auto query = connection.prepare("SELECT min(number) FROM timeline WHERE incident = ? AND number > 0");
        query.bind(incident).step();
        second = query.number(0);
    }
    if (1 + next - second <= most) return;      // T1
    const std::int64_t mark = next - most + 1;  // most - 2 events stay behind the mark
    // The domain words the event that stands for the others; its time is that of the last one that goes.
    std::vector<TimelineEvent> example(4);
    truncate_timeline(example, 3);
    const TimelineEvent& event = example.at(1);
    connection.prepare("DELETE FROM timeline WHERE incident = ? AND number > 0 AND number < ?")
        .bind(incident)
        .bind(mark)
        .run();
    connection.prepare("UPDATE timeline SET kind = ?, actor = ?, detail = ? WHERE incident = ? AND number = ?")
        .bind(event.kind)
        .bind(event.actor)
        .bind(event.detail)
        .bind(incident)
        .bind(mark)
        .run();
}

void remove_labels(Connection& connection, std::int64_t incident, WallTime created_at, std::string_view labels) {
    Labels old;
    try {
        old = Json::parse(labels).get<Labels>();
    } catch (const Json::exception&) {
        return;  // what cannot be read leads to no entry; a list that meets such an entry finds no incident and goes on
    }
    for (const auto& [name, value] : old)
        connection.prepare("DELETE FROM incident_labels WHERE label = ? AND created_at = ? AND incident = ?")
            .bind(label_hash(name, value))
            .bind(created_at)
            .bind(incident)
            .run();
}

}  // namespace

Incident read_incident(const Statement& row) {
    Incident incident;
    incident.id = row.text(1);
    try {
        incident.title = row.text(2);
        incident.state = enum_of(row.number(3), IncidentState::closed, incident.id, "state");
        incident.severity = enum_of(row.number(4), Severity::p4, incident.id, "severity");
        incident.labels = Json::parse(row.text(5)).get<Labels>();
        incident.annotations = Json::parse(row.text(6)).get<Labels>();
        incident.source = row.text(7);
        incident.fingerprint = row.text(8);
        incident.created_at = row.time(9);
        incident.updated_at = row.time(10);
        incident.alert_starts_at = row.time(11);
        incident.resolved_at = row.optional_time(12);
        incident.version = static_cast<std::uint64_t>(row.number(13));
        incident.notified = Json::parse(row.text(14)).get<std::vector<std::string>>();
        incident.alert_count = static_cast<std::uint64_t>(row.number(15));
        incident.last_seen = row.time(16);
        incident.firings = firings_of(row.text(17));
    } catch (const Json::exception& error) {
        corrupt(incident.id, error.what());
    }
    return incident;
}

std::vector<TimelineEvent> read_timeline(Connection& connection, std::int64_t incident, std::size_t limit) {
    auto rows = connection.prepare(
        "SELECT at, kind, actor, detail FROM timeline WHERE incident = ? ORDER BY number DESC LIMIT ?");
    rows.bind(incident).bind(static_cast<std::int64_t>(limit));
    std::vector<TimelineEvent> events;
    while (rows.step())
        events.push_back({.at = rows.time(0),
                          .kind = std::string{rows.text(1)},
                          .actor = std::string{rows.text(2)},
                          .detail = std::string{rows.text(3)}});
    std::ranges::reverse(events);
    return events;
}

IncidentRow::IncidentRow(const IncidentWrite& write)
    : write_(write),
      labels_(dump(write.incident.labels)),
      annotations_(dump(write.incident.annotations)),
      notified_(dump(write.incident.notified)),
      firings_(text_of(write.incident.firings)) {}

void IncidentRow::write(Connection& connection, NewRows& added) const {
    const bool is_new = write_.incident.version == 0;
    const std::int64_t incident = is_new ? insert(connection, added) : update(connection);
    write_sighting(connection, incident);
    append_events(connection, incident, write_.events, write_.max_timeline, is_new);
    for (const auto& draft : write_.notifications)
        if (!insert_notification(connection, draft, incident, added))
            throw Failure{rules::duplicate_notification(draft.id)};
}

/// What both an insertion and an update write, in this order.
Statement& IncidentRow::bind_columns(Statement& statement) const {
    const Incident& incident = write_.incident;
    return statement.bind(incident.fingerprint)
        .bind(number_of(incident.state))
        .bind(number_of(incident.severity))
        .bind(incident.created_at)
        .bind(incident.updated_at)
        .bind(incident.alert_starts_at)
        .bind(incident.resolved_at)
        .bind(incident.title)
        .bind(incident.source)
        .bind(labels_)
        .bind(annotations_)
        .bind(notified_);
}

std::int64_t IncidentRow::insert(Connection& connection, NewRows& added) const {
    const Incident& incident = write_.incident;
    try {
        auto insertion = connection.prepare(
            "INSERT INTO incidents (version, id, fingerprint, state, severity, created_at, updated_at, "
            "alert_starts_at, resolved_at, title, source, labels, annotations, notified) "
            "VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
        bind_columns(insertion.bind(incident.id)).run();
    } catch (const Failure& failure) {
        // The statement does not fail on the id, so only the unique index over open incidents can have refused the row.
        if (failure.error().kind == Kind::conflict) throw Failure{rules::second_open_incident(incident)};
        throw;
    }
    if (connection.changes() == 0) throw Failure{rules::version_conflict(incident)};
    added.add(incident.state);
    const std::int64_t key = connection.last_key();
    write_labels(connection, key);
    return key;
}

std::int64_t IncidentRow::update(Connection& connection) const {
    const Incident& incident = write_.incident;
    std::int64_t key = 0;
    {
        auto stored = connection.prepare("SELECT key, version, created_at, labels FROM incidents WHERE id = ?");
        if (!stored.bind(incident.id).step() || stored.number(1) != static_cast<std::int64_t>(incident.version))
            throw Failure{rules::version_conflict(incident)};
        key = stored.number(0);
        if (stored.time(2) != incident.created_at || stored.text(3) != labels_) {
            remove_labels(connection, key, stored.time(2), stored.text(3));
            write_labels(connection, key);
        }
    }
    try {
        auto change = connection.prepare(
            "UPDATE incidents SET fingerprint = ?, state = ?, severity = ?, created_at = ?, updated_at = ?, "
            "alert_starts_at = ?, resolved_at = ?, title = ?, source = ?, labels = ?, annotations = ?, "
            "notified = ?, version = version + 1 WHERE key = ?");
        bind_columns(change).bind(key).run();
    } catch (const Failure& failure) {
        if (failure.error().kind == Kind::conflict) throw Failure{rules::second_open_incident(incident)};
        throw;
    }
    return key;
}

void IncidentRow::write_labels(Connection& connection, std::int64_t incident) const {
    auto insertion = connection.prepare(
        "INSERT INTO incident_labels (label, created_at, incident) VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    for (const auto& [name, value] : write_.incident.labels)
        insertion.again().bind(label_hash(name, value)).bind(write_.incident.created_at).bind(incident).run();
}

void IncidentRow::write_sighting(Connection& connection, std::int64_t incident) const {
    connection
        .prepare(
            "INSERT INTO sightings (incident, alert_count, last_seen, expires_at, firings) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (incident) DO UPDATE SET alert_count = excluded.alert_count, last_seen = excluded.last_seen, "
            "expires_at = excluded.expires_at, firings = excluded.firings")
        .bind(incident)
        .bind(static_cast<std::int64_t>(write_.incident.alert_count))
        .bind(write_.incident.last_seen)
        .bind(expires_at(write_.incident))
        .bind(firings_)
        .run();
}

bool note_sighting(Connection& connection, const Sighting& sighting) {
    std::int64_t key = 0;
    bool open = false;
    {
        auto stored = connection.prepare("SELECT key, version, state FROM incidents WHERE id = ?");
        if (!stored.bind(sighting.incident_id).step() ||
            stored.number(1) != static_cast<std::int64_t>(sighting.version))
            return false;
        key = stored.number(0);
        open = stored.number(2) < number_of(IncidentState::resolved);
    }
    connection
        .prepare("UPDATE sightings SET alert_count = ?, last_seen = ?, expires_at = ?, firings = ? WHERE incident = ?")
        .bind(static_cast<std::int64_t>(sighting.alert_count))
        .bind(sighting.last_seen)
        .bind(open ? sighting.firings.expires_at() : std::nullopt)
        .bind(text_of(sighting.firings))
        .bind(key)
        .run();
    return true;
}

std::uint64_t prune_incidents(Connection& connection, WallTime before, std::size_t limit,
                              std::uint64_t& notifications) {
    struct Ended {
        std::int64_t key;
        WallTime created_at;
        std::string labels;
    };
    std::vector<Ended> ended;
    {
        auto query = connection.prepare(
            "SELECT key, created_at, labels FROM incidents INDEXED BY incidents_by_end"
            " WHERE state >= 4 AND updated_at < ? AND NOT EXISTS ("
            "  SELECT 1 FROM outbox WHERE outbox.incident = incidents.key AND outbox.state < 2)"
            " ORDER BY updated_at LIMIT ?");
        query.bind(before).bind(static_cast<std::int64_t>(limit));
        while (query.step())
            ended.push_back(
                {.key = query.number(0), .created_at = query.time(1), .labels = std::string{query.text(2)}});
    }
    for (const auto& incident : ended) {
        remove_labels(connection, incident.key, incident.created_at, incident.labels);
        connection
            .prepare("DELETE FROM outbox_payloads WHERE sequence IN (SELECT sequence FROM outbox WHERE incident = ?)")
            .bind(incident.key)
            .run();
        for (const auto* sql : {"DELETE FROM timeline WHERE incident = ?", "DELETE FROM sightings WHERE incident = ?",
                                "DELETE FROM incidents WHERE key = ?"})
            connection.prepare(sql).bind(incident.key).run();
        connection.prepare("DELETE FROM outbox WHERE incident = ?").bind(incident.key).run();
        notifications += static_cast<std::uint64_t>(connection.changes());
    }
    return ended.size();
}

}  // namespace fusebox::storage::sqlite
