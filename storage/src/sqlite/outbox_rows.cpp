#include "sqlite/outbox_rows.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "rules.hpp"
#include "sqlite/columns.hpp"

namespace fusebox::storage::sqlite {

using namespace fusebox::incidents;
using Json = nlohmann::json;
using Kind = StoreError::Kind;

namespace {

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
    constexpr std::array moves{NextMove::retry,   NextMove::retry_after, NextMove::retry_briefly,
                               NextMove::give_up, NextMove::reconfigure, NextMove::defer};
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

Notification read_notification(const Statement& row) {
    Notification notification;
    auto& draft = notification.draft;
    draft.id = row.text(1);
    try {
        notification.sequence = static_cast<std::uint64_t>(row.number(0));
        draft.incident_id = row.text(2);
        draft.destination = row.text(3);
        draft.kind = row.text(4);
        draft.severity = enum_of(row.number(5), Severity::p4, draft.id, "severity");
        if (row.is_null(6)) corrupt(draft.id, "payload");
        draft.payload = row.text(6);
        draft.created_at = row.time(7);
        draft.fallback_for = row.text(8);
        notification.state = enum_of(row.number(9), NotificationState::dead, draft.id, "state");
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

bool insert_notification(Connection& connection, const NotificationDraft& draft, std::int64_t incident,
                         NewRows& added) {
    constexpr auto state = NotificationState::pending;  // as rules::new_row says, whose copy of the payload costs time
    connection
        .prepare(
            "INSERT INTO outbox (id, incident, incident_id, destination, kind, severity, state, attempts, deferrals, "
            "created_at, next_attempt_at, lease_token, fallback_for, attempt_log) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, '', ?, '[]') ON CONFLICT (id) DO NOTHING")
        .bind(draft.id)
        .bind(incident)
        .bind(draft.incident_id)
        .bind(draft.destination)
        .bind(draft.kind)
        .bind(number_of(draft.severity))
        .bind(number_of(state))
        .bind(draft.created_at)
        .bind(draft.created_at)
        .bind(draft.fallback_for)
        .run();
    if (connection.changes() == 0) return false;
    added.add(draft.destination, state);
    connection.prepare("INSERT INTO outbox_payloads (sequence, payload) VALUES (?, ?)")
        .bind(connection.last_key())
        .bind(draft.payload)
        .run();
    return true;
}

bool insert_notification(Connection& connection, const NotificationDraft& draft, NewRows& added) {
    std::int64_t incident = 0;
    {
        auto query = connection.prepare("SELECT key FROM incidents WHERE id = ?");
        if (!query.bind(draft.incident_id).step()) throw Failure{rules::about_no_incident(draft)};
        incident = query.number(0);
    }
    return insert_notification(connection, draft, incident, added);
}

void update_notification(Connection& connection, const Notification& row) {
    std::optional<std::string> last_error;
    if (row.last_error) last_error = dump(json_of(*row.last_error));
    connection
        .prepare(
            "UPDATE outbox SET state = ?, attempts = ?, deferrals = ?, next_attempt_at = ?, delivered_at = ?, "
            "ended_at = ?, first_failed_at = ?, lease_token = ?, lease_until = ?, last_error = ?, attempt_log = ? "
            "WHERE sequence = ?")
        .bind(number_of(row.state))
        .bind(std::int64_t{row.attempts})
        .bind(std::int64_t{row.deferrals})
        .bind(row.next_attempt_at)
        .bind(row.delivered_at)
        .bind(rules::ended_at(row))
        .bind(row.first_failed_at)
        .bind(row.lease_token)
        .bind(row.lease_until)
        .bind(last_error)
        .bind(dump_all(row.attempt_log))
        .bind(static_cast<std::int64_t>(row.sequence))
        .run();
}

void put_aside(Connection& connection, std::int64_t sequence, std::string_view why, WallTime now) {
    DeliveryError error;
    error.next_move = NextMove::give_up;
    error.error_class = "unreadable";
    error.message = why;
    connection
        .prepare(
            "UPDATE outbox SET state = 3, severity = CASE WHEN severity BETWEEN 0 AND 4 THEN severity ELSE 0 END, "
            "ended_at = ?, lease_token = '', lease_until = NULL, last_error = ?, attempt_log = '[]' WHERE sequence = ?")
        .bind(now)
        .bind(dump(json_of(error)))
        .bind(sequence)
        .run();
    connection.prepare("INSERT OR IGNORE INTO outbox_payloads (sequence, payload) VALUES (?, '{}')")
        .bind(sequence)
        .run();
}

std::vector<std::int64_t> find_due(Connection& connection, std::string_view destination, WallTime now,
                                   std::size_t limit) {
    auto rows = connection.prepare(
        "SELECT row.sequence FROM outbox AS row INDEXED BY outbox_waiting"
        " WHERE row.destination = ? AND row.state < 2 AND row.due_at <= ? AND NOT EXISTS ("
        "  SELECT 1 FROM outbox AS earlier INDEXED BY outbox_by_incident WHERE earlier.incident = row.incident"
        "  AND earlier.destination = row.destination AND earlier.state IN (0, 1)"
        "  AND earlier.sequence < row.sequence)"
        " ORDER BY row.sequence LIMIT ?");
    rows.bind(destination).bind(now).bind(static_cast<std::int64_t>(limit));
    std::vector<std::int64_t> due;
    while (rows.step()) due.push_back(rows.number(0));
    return due;
}

std::optional<WallTime> find_next_due(Connection& connection, std::string_view destination) {
    auto query = connection.prepare(
        "SELECT row.due_at FROM outbox AS row INDEXED BY outbox_due"
        " WHERE row.destination = ? AND row.state < 2 AND NOT EXISTS ("
        "  SELECT 1 FROM outbox AS earlier INDEXED BY outbox_by_incident"
        "  WHERE earlier.incident = row.incident AND earlier.destination = row.destination"
        "  AND earlier.state IN (0, 1) AND earlier.sequence < row.sequence)"
        " ORDER BY row.due_at LIMIT 1");
    if (!query.bind(destination).step()) return std::nullopt;
    return query.time(0);
}

Newest find_newest(Connection& connection, const NotificationQuery& query, const std::optional<std::uint64_t>& start) {
    constexpr std::int64_t max_looks = 20'000;
    const std::int64_t before = start ? static_cast<std::int64_t>(*start) : std::numeric_limits<std::int64_t>::max();
    const auto wanted = static_cast<std::int64_t>(query.limit) + 1;
    Newest found;
    const auto keep = [&](Statement& rows) {
        while (rows.step()) found.sequences.push_back(rows.number(0));
    };
    const bool any_state = !query.state;
    const std::int64_t state = any_state ? -1 : number_of(*query.state);
    if (!query.incident_id.empty()) {
        auto rows = connection.prepare(
            "SELECT sequence FROM outbox INDEXED BY outbox_by_incident"
            " WHERE incident = (SELECT key FROM incidents WHERE id = ?) AND sequence < ?"
            " AND (? OR state = ?) AND (? OR destination = ?) ORDER BY sequence DESC LIMIT ?");
        rows.bind(query.incident_id).bind(before).bind(std::int64_t{any_state}).bind(state);
        rows.bind(std::int64_t{query.destination.empty()}).bind(query.destination).bind(wanted);
        keep(rows);
    } else if (any_state || query.state == NotificationState::delivered) {
        // Most rows are delivered, so what is wanted is seldom far.
        auto rows = connection.prepare(
            "SELECT sequence, (? OR state = ?) AND (? OR destination = ?) FROM outbox"
            " WHERE sequence < ? ORDER BY sequence DESC LIMIT ?");
        rows.bind(std::int64_t{any_state}).bind(state);
        rows.bind(std::int64_t{query.destination.empty()}).bind(query.destination);
        rows.bind(before).bind(max_looks);
        std::int64_t looks = 0;
        std::int64_t last = before;
        while (static_cast<std::int64_t>(found.sequences.size()) < wanted && rows.step()) {
            ++looks;
            last = rows.number(0);
            if (rows.number(1) != 0) found.sequences.push_back(last);
        }
        if (looks == max_looks && static_cast<std::int64_t>(found.sequences.size()) < wanted) found.next = last;
    } else {
        std::vector<std::string> destinations{query.destination};
        if (query.destination.empty()) {
            destinations.clear();
            auto rows =
                connection.prepare("SELECT destination FROM outbox_counts WHERE state = ? AND notifications > 0");
            rows.bind(state);
            while (rows.step()) destinations.emplace_back(rows.text(0));
        }
        for (const auto& destination : destinations) {
            auto rows = connection.prepare(query.state == NotificationState::dead
                                               ? "SELECT sequence FROM outbox INDEXED BY outbox_dead"
                                                 " WHERE state = 3 AND state = ? AND destination = ? AND sequence < ? "
                                                 "ORDER BY sequence DESC LIMIT ?"
                                               : "SELECT sequence FROM outbox INDEXED BY outbox_waiting"
                                                 " WHERE state < 2 AND state = ? AND destination = ? AND sequence < ? "
                                                 "ORDER BY sequence DESC LIMIT ?");
            rows.bind(state).bind(destination).bind(before).bind(wanted);
            keep(rows);
        }
        std::ranges::sort(found.sequences, std::greater{});
    }
    if (found.sequences.size() > query.limit) {
        found.sequences.resize(query.limit);
        found.next = found.sequences.back();
    }
    return found;
}

std::uint64_t prune_notifications(Connection& connection, WallTime before, std::size_t limit) {
    std::vector<std::int64_t> ended;
    {
        auto rows = connection.prepare(
            "SELECT sequence FROM outbox INDEXED BY outbox_ended"
            " WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY ended_at LIMIT ?");
        rows.bind(before).bind(static_cast<std::int64_t>(limit));
        while (rows.step()) ended.push_back(rows.number(0));
    }
    for (const auto sequence : ended) {
        connection.prepare("DELETE FROM outbox WHERE sequence = ?").bind(sequence).run();
        connection.prepare("DELETE FROM outbox_payloads WHERE sequence = ?").bind(sequence).run();
    }
    return ended.size();
}

}  // namespace fusebox::storage::sqlite
