#include "sqlite/rows.hpp"

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "rules.hpp"

namespace fusebox::storage::sqlite {

using namespace fusebox::incidents;
using Json = nlohmann::json;
using Kind = StoreError::Kind;

namespace {

std::string dump(const Json& json) {
    try {
        return json.dump();
    } catch (const Json::type_error&) {
        throw Failure{Kind::invalid, "text that is not valid UTF-8 cannot be stored"};
    }
}

[[noreturn]] void corrupt(std::string_view row, std::string_view what) {
    throw Failure{Kind::corrupt, "the row of " + std::string{row} + " cannot be read: " + std::string{what}};
}

template <class T>
T known(std::optional<T> value, std::string_view row, std::string_view column) {
    if (!value) corrupt(row, column);
    return *value;
}

Json json_of(const TimelineEvent& event) {
    return {{"at", event.at.time_since_epoch().count()},
            {"kind", event.kind},
            {"actor", event.actor},
            {"detail", event.detail}};
}

TimelineEvent event_of(const Json& json) {
    return {.at = WallTime{WallTime::duration{json.at("at").get<WallTime::rep>()}},
            .kind = json.at("kind"),
            .actor = json.at("actor"),
            .detail = json.at("detail")};
}

Json json_of(const std::optional<int>& status) { return status ? Json(*status) : Json(nullptr); }

std::optional<int> status_of(const Json& json) {
    const auto& status = json.at("status");
    return status.is_null() ? std::nullopt : std::optional{status.get<int>()};
}

Json json_of(const DeliveryError& error) {
    return {{"next_move", to_string(error.next_move)},
            {"counts_as_failure", error.counts_as_failure},
            {"class", error.error_class},
            {"message", error.message},
            {"status", json_of(error.status)},
            {"retry_after_ms", error.retry_after ? Json(error.retry_after->count()) : Json(nullptr)},
            {"disable_destination", error.disable_destination}};
}

NextMove next_move_of(std::string_view text) {
    constexpr std::array moves{NextMove::retry, NextMove::retry_after, NextMove::give_up, NextMove::reconfigure,
                               NextMove::defer};
    for (const auto move : moves)
        if (to_string(move) == text) return move;
    throw Failure{Kind::corrupt, "unknown next_move"};
}

DeliveryError error_of(const Json& json) {
    DeliveryError error{.next_move = next_move_of(json.at("next_move").get<std::string>()),
                        .counts_as_failure = json.at("counts_as_failure"),
                        .error_class = json.at("class"),
                        .message = json.at("message"),
                        .status = status_of(json),
                        .disable_destination = json.at("disable_destination")};
    if (const auto& wait = json.at("retry_after_ms"); !wait.is_null())
        error.retry_after = std::chrono::milliseconds{wait.get<std::int64_t>()};
    return error;
}

Json json_of(const DeliveryAttempt& attempt) {
    return {{"at", attempt.at.time_since_epoch().count()},
            {"took_ms", attempt.took.count()},
            {"delivered", attempt.delivered},
            {"class", attempt.error_class},
            {"message", attempt.message},
            {"status", json_of(attempt.status)}};
}

DeliveryAttempt attempt_of(const Json& json) {
    return {.at = WallTime{WallTime::duration{json.at("at").get<WallTime::rep>()}},
            .took = std::chrono::milliseconds{json.at("took_ms").get<std::int64_t>()},
            .delivered = json.at("delivered"),
            .error_class = json.at("class"),
            .message = json.at("message"),
            .status = status_of(json)};
}

template <class T>
std::string dump_all(const std::vector<T>& values) {
    Json array = Json::array();
    for (const auto& value : values) array.push_back(json_of(value));
    return dump(array);
}

template <class Read>
auto parse_all(std::string_view text, Read read) {
    std::vector<decltype(read(Json{}))> values;
    for (const auto& json : Json::parse(text)) values.push_back(read(json));
    return values;
}

}  // namespace

Incident read_incident(const Statement& row, Timeline timeline) {
    Incident incident;
    incident.id = row.text(0);
    try {
        incident.title = row.text(1);
        incident.state = known(incident_state_from_string(row.text(2)), incident.id, "state");
        incident.severity = known(severity_from_string(row.text(3)), incident.id, "severity");
        incident.labels = Json::parse(row.text(4)).get<Labels>();
        incident.annotations = Json::parse(row.text(5)).get<Labels>();
        incident.source = row.text(6);
        incident.fingerprint = row.text(7);
        incident.created_at = row.time(8);
        incident.updated_at = row.time(9);
        incident.alert_starts_at = row.time(10);
        incident.resolved_at = row.optional_time(11);
        incident.alert_count = static_cast<std::uint64_t>(row.number(12));
        incident.version = static_cast<std::uint64_t>(row.number(13));
        incident.notified = Json::parse(row.text(14)).get<std::vector<std::string>>();
        if (timeline == Timeline::selected) incident.timeline = parse_all(row.text(15), event_of);
    } catch (const Json::exception& error) {
        corrupt(incident.id, error.what());
    }
    return incident;
}

Notification read_notification(const Statement& row) {
    Notification notification;
    auto& draft = notification.draft;
    draft.id = row.text(1);
    try {
        notification.sequence = static_cast<std::uint64_t>(row.number(0));
        draft.incident_id = row.text(2);
        draft.destination = row.text(3);
        draft.kind = row.text(4);
        draft.severity = known(severity_from_string(row.text(5)), draft.id, "severity");
        draft.payload = row.text(6);
        draft.created_at = row.time(7);
        draft.fallback_for = row.text(8);
        notification.state = known(notification_state_from_string(row.text(9)), draft.id, "state");
        notification.attempts = static_cast<std::uint32_t>(row.number(10));
        notification.deferrals = static_cast<std::uint32_t>(row.number(11));
        notification.next_attempt_at = row.time(12);
        notification.delivered_at = row.optional_time(13);
        notification.first_failed_at = row.optional_time(14);
        notification.lease_token = row.text(15);
        notification.lease_until = row.optional_time(16);
        if (!row.is_null(17)) notification.last_error = error_of(Json::parse(row.text(17)));
        notification.attempt_log = parse_all(row.text(18), attempt_of);
    } catch (const Json::exception& error) {
        corrupt(draft.id, error.what());
    }
    return notification;
}

IncidentRow::IncidentRow(const Incident& incident)
    : incident_(incident),
      labels_(dump(incident.labels)),
      annotations_(dump(incident.annotations)),
      timeline_(dump_all(incident.timeline)),
      notified_(dump(incident.notified)) {}

void IncidentRow::write(Connection& connection) const {
    constexpr std::string_view insert =
        "INSERT INTO incidents (title, state, severity, labels, annotations, source, fingerprint, created_at, "
        "updated_at, alert_starts_at, resolved_at, alert_count, timeline, notified, id, version) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? + 1) ON CONFLICT (id) DO NOTHING";
    constexpr std::string_view update =
        "UPDATE incidents SET title = ?, state = ?, severity = ?, labels = ?, annotations = ?, source = ?, "
        "fingerprint = ?, created_at = ?, updated_at = ?, alert_starts_at = ?, resolved_at = ?, alert_count = ?, "
        "timeline = ?, notified = ?, version = version + 1 WHERE id = ? AND version = ?";
    try {
        connection.prepare(incident_.version == 0 ? insert : update)
            .bind(incident_.title)
            .bind(to_string(incident_.state))
            .bind(to_string(incident_.severity))
            .bind(labels_)
            .bind(annotations_)
            .bind(incident_.source)
            .bind(incident_.fingerprint)
            .bind(incident_.created_at)
            .bind(incident_.updated_at)
            .bind(incident_.alert_starts_at)
            .bind(incident_.resolved_at)
            .bind(static_cast<std::int64_t>(incident_.alert_count))
            .bind(timeline_)
            .bind(notified_)
            .bind(incident_.id)
            .bind(static_cast<std::int64_t>(incident_.version))
            .run();
    } catch (const Failure& failure) {
        // Neither statement fails on the id, so only the unique index over open incidents can have refused the row.
        if (failure.error().kind == Kind::conflict) throw Failure{rules::second_open_incident(incident_)};
        throw;
    }
    if (connection.changes() == 0) throw Failure{rules::version_conflict(incident_)};
}

bool insert_notification(Connection& connection, const NotificationDraft& draft) {
    const Notification row = rules::new_row(draft);
    try {
        connection
            .prepare(
                "INSERT INTO outbox (id, incident_id, destination, kind, severity, payload, created_at, fallback_for, "
                "state, attempts, deferrals, next_attempt_at, lease_token, attempt_log) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, '', '[]') ON CONFLICT (id) DO NOTHING")
            .bind(draft.id)
            .bind(draft.incident_id)
            .bind(draft.destination)
            .bind(draft.kind)
            .bind(to_string(draft.severity))
            .bind(draft.payload)
            .bind(draft.created_at)
            .bind(draft.fallback_for)
            .bind(to_string(row.state))
            .bind(row.next_attempt_at)
            .run();
    } catch (const Failure& failure) {
        // The only constraint that a checked draft can break is the reference to its incident.
        if (failure.error().kind == Kind::invalid) throw Failure{rules::about_no_incident(draft)};
        throw;
    }
    return connection.changes() > 0;
}

void update_notification(Connection& connection, const Notification& row) {
    std::optional<std::string> last_error;
    if (row.last_error) last_error = dump(json_of(*row.last_error));
    connection
        .prepare(
            "UPDATE outbox SET state = ?, attempts = ?, deferrals = ?, next_attempt_at = ?, delivered_at = ?, "
            "first_failed_at = ?, lease_token = ?, lease_until = ?, last_error = ?, attempt_log = ? WHERE sequence = ?")
        .bind(to_string(row.state))
        .bind(std::int64_t{row.attempts})
        .bind(std::int64_t{row.deferrals})
        .bind(row.next_attempt_at)
        .bind(row.delivered_at)
        .bind(row.first_failed_at)
        .bind(row.lease_token)
        .bind(row.lease_until)
        .bind(last_error)
        .bind(dump_all(row.attempt_log))
        .bind(static_cast<std::int64_t>(row.sequence))
        .run();
}

}  // namespace fusebox::storage::sqlite
