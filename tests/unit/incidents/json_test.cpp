#include <fusebox/incidents/json.hpp>

#include <nlohmann/json.hpp>
#include <random>

#include "support/catch.hpp"
#include "unit/incidents/alert_samples.hpp"

namespace fusebox::test {

using namespace incidents;

namespace {

using namespace std::chrono_literals;
using nlohmann::json;

Incident sample() {
    Incident incident;
    incident.id = "inc_01KDVDNA000000000000000000";
    incident.title = "The model server answers slowly";
    incident.state = IncidentState::resolved;
    incident.severity = Severity::p1;
    incident.labels = {{"alertname", "SlowModel"}, {"team", "llm"}};
    incident.annotations = {{"runbook", "https://runbooks.example/slow"}};
    incident.source = "prometheus";
    incident.fingerprint = fingerprint(incident.labels);
    incident.created_at = new_year;
    incident.updated_at = new_year + 5min;
    incident.alert_starts_at = new_year - 1min;
    incident.resolved_at = new_year + 5min + 1us;
    incident.last_seen = new_year + 4min;
    incident.alert_count = 7;
    incident.firings.all = {{.starts_at = new_year - 1min,
                             .first_seen = new_year,
                             .ends_at = new_year + 8min,
                             .ended_at = new_year + 5min,
                             .reported_end = new_year + 5min,
                             .lifetime = 4min + 500ms,
                             .dismissed = true},
                            {.starts_at = new_year + 1min, .first_seen = new_year + 1min}};
    incident.firings.dismissed_until = new_year - 1min;
    incident.version = 9;
    incident.notified = {"ops-hook", "log"};
    incident.timeline = {{new_year, "created", "alert:prometheus", "P1"}, {new_year + 5min, "resolved", "ada", "done"}};
    return incident;
}

/// Valid UTF-8 from all its lengths, with what JSON must escape.
std::string any_text(std::mt19937& random) {
    static const std::vector<std::string> pieces{"a",
                                                 "Z",
                                                 "\"",
                                                 "\\",
                                                 "/",
                                                 "\n",
                                                 "\t",
                                                 "\x01",
                                                 "é",
                                                 "\u2028",
                                                 "\U0001F525",
                                                 "\xEF\xBF\xBD",
                                                 "{}",
                                                 "]",
                                                 "",
                                                 "\x7F",
                                                 " ",
                                                 "<!channel>",
                                                 std::string{"\0", 1}};
    std::string text;
    for (auto left = random() % 12; left > 0; --left) text += pieces[random() % pieces.size()];
    return text;
}

WallTime any_time(std::mt19937& random) {
    return new_year + std::chrono::microseconds{static_cast<std::int64_t>(random()) * 1'000 - 1'000'000'000'000};
}

Labels any_labels(std::mt19937& random) {
    Labels labels;
    for (auto left = random() % 5; left > 0; --left) labels[any_text(random)] = any_text(random);
    return labels;
}

Incident any_incident(std::mt19937& random) {
    Incident incident;
    incident.id = any_text(random);
    incident.title = any_text(random);
    incident.state = static_cast<IncidentState>(random() % 6);
    incident.severity = static_cast<Severity>(random() % 5);
    incident.labels = any_labels(random);
    incident.annotations = any_labels(random);
    incident.source = any_text(random);
    incident.fingerprint = any_text(random);
    incident.created_at = any_time(random);
    incident.updated_at = any_time(random);
    incident.alert_starts_at = any_time(random);
    if (random() % 2 == 0) incident.resolved_at = any_time(random);
    incident.alert_count = random() % 3 == 0 ? ~std::uint64_t{0} : random();
    incident.last_seen = any_time(random);
    for (auto left = random() % 3; left > 0; --left) {
        auto& firing = incident.firings.all.emplace_back();
        firing.starts_at = any_time(random);
        firing.first_seen = any_time(random);
        if (random() % 2 == 0) firing.ends_at = any_time(random);
        if (random() % 2 == 0) firing.ended_at = any_time(random);
        if (random() % 2 == 0) firing.reported_end = any_time(random);
        firing.lifetime = std::chrono::microseconds{random()};
        firing.dismissed = random() % 2 == 0;
    }
    if (random() % 2 == 0) incident.firings.dismissed_until = any_time(random);
    incident.version = random();
    for (auto left = random() % 4; left > 0; --left) incident.notified.push_back(any_text(random));
    for (auto left = random() % 4; left > 0; --left) {
        incident.timeline.push_back({any_time(random), any_text(random), any_text(random), any_text(random)});
    }
    return incident;
}

/// What is wrong with `text`; empty when it is an incident.
std::string error_of(std::string_view text) {
    const auto read = incident_from_json(text);
    return read ? "" : read.error();
}

}  // namespace

TEST_CASE("an incident has one JSON shape, in one order") {
    CHECK(to_json(sample()) ==
          R"({"id":"inc_01KDVDNA000000000000000000","title":"The model server answers slowly","state":"resolved",)"
          R"("severity":"P1","labels":{"alertname":"SlowModel","team":"llm"},)"
          R"("annotations":{"runbook":"https://runbooks.example/slow"},"source":"prometheus",)"
          R"("fingerprint":"a3c06edcafa55b1727d6ae3ad83a69f3480d1564668a819c5021fd856a8a68db",)"
          R"("created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:05:00Z",)"
          R"("alert_starts_at":"2025-12-31T23:59:00Z","resolved_at":"2026-01-01T00:05:00.000001Z",)"
          R"("last_seen":"2026-01-01T00:04:00Z","alert_count":7,)"
          R"("firings":[{"starts_at":"2025-12-31T23:59:00Z","first_seen":"2026-01-01T00:00:00Z",)"
          R"("ends_at":"2026-01-01T00:08:00Z","ended_at":"2026-01-01T00:05:00Z",)"
          R"("reported_end":"2026-01-01T00:05:00Z","lifetime_seconds":240.5,"dismissed":true},)"
          R"({"starts_at":"2026-01-01T00:01:00Z","first_seen":"2026-01-01T00:01:00Z","ends_at":null,)"
          R"("ended_at":null,"reported_end":null,"lifetime_seconds":0.0,"dismissed":false}],)"
          R"("dismissed_until":"2025-12-31T23:59:00Z",)"
          R"("version":9,"notified":["ops-hook","log"],"timeline":[{"at":"2026-01-01T00:00:00Z",)"
          R"("kind":"created","actor":"alert:prometheus",)"
          R"("detail":"P1"},{"at":"2026-01-01T00:05:00Z","kind":"resolved","actor":"ada","detail":"done"}]})");
}

TEST_CASE("an empty incident has every field of the shape") {
    const auto shown = json::parse(to_json(Incident{}));
    CHECK(shown.size() == 19);
    CHECK(shown["resolved_at"].is_null());
    CHECK(shown["labels"] == json::object());
    CHECK(shown["annotations"] == json::object());
    CHECK(shown["notified"] == json::array());
    CHECK(shown["timeline"] == json::array());
}

TEST_CASE("an incident is read back from its JSON as it was") {
    std::mt19937 random{7};
    for (int i = 0; i < 1'000; ++i) {
        const Incident incident = any_incident(random);
        const auto text = to_json(incident);
        CAPTURE(text);
        const auto read = incident_from_json(text);
        REQUIRE(read);
        CHECK(*read == incident);
    }
}

TEST_CASE("bytes that are not UTF-8 are replaced, wherever they stand") {
    Incident incident = sample();
    incident.title = "caf\xE9 \xC3";
    incident.labels = {{"na\xFFme", "val\xFEue"}};
    incident.annotations = {{"text", std::string{"\xED\xA0\x80\xF8\x80", 5}}};
    incident.timeline[0].detail = "\x80";
    const auto shown = json::parse(to_json(incident));
    CHECK(shown["title"] == "caf\uFFFD \uFFFD");
    CHECK(shown["labels"]["na\uFFFDme"] == "val\uFFFDue");
    CHECK(shown["timeline"][0]["detail"] == "\uFFFD");
    CHECK(incident_from_json(to_json(incident)));

    std::mt19937 random{3};
    for (int i = 0; i < 2'000; ++i) {
        for (auto& letter : incident.title) letter = static_cast<char>(random() & 0xFF);
        const auto text = to_json(incident);
        CHECK(json::accept(text));
        CHECK(incident_from_json(text));
    }
}

TEST_CASE("what is not an incident is refused, and the field that is wrong is named") {
    const auto error_without = [](const char* field) {
        auto shown = json::parse(to_json(sample()));
        shown.erase(field);
        return error_of(shown.dump());
    };
    const auto error_with = [](const char* pointer, const json& value) {
        auto shown = json::parse(to_json(sample()));
        shown[json::json_pointer{pointer}] = value;
        return error_of(shown.dump());
    };
    for (const char* field : {"id", "title", "source", "fingerprint"}) {
        CHECK(error_without(field) == std::string{field} + " must be a string");
        for (const json& wrong : {json(nullptr), json(1), json(true), json::array(), json::object()}) {
            CHECK(error_with(("/" + std::string{field}).c_str(), wrong) == std::string{field} + " must be a string");
        }
    }
    for (const char* field : {"created_at", "updated_at", "alert_starts_at", "resolved_at"}) {
        CHECK(error_without(field) == std::string{field} + " must be an RFC 3339 time");
        CHECK(error_with(("/" + std::string{field}).c_str(), "yesterday") ==
              std::string{field} + " must be an RFC 3339 time");
        CHECK(error_with(("/" + std::string{field}).c_str(), 1) == std::string{field} + " must be an RFC 3339 time");
    }
    for (const char* field : {"alert_count", "version"}) {
        for (const json& wrong : {json(-1), json(1.5), json("1"), json(nullptr)}) {
            CHECK(error_with(("/" + std::string{field}).c_str(), wrong) ==
                  std::string{field} + " must be a whole number");
        }
    }
    CHECK(error_with("/state", "open") == "state must be a state of an incident");
    CHECK(error_with("/severity", "urgent") == "severity must be a severity");
    CHECK(error_with("/labels", json::array()) == "labels must be an object");
    CHECK(error_with("/labels/team", 1) == "labels.team must be a string");
    CHECK(error_with("/annotations/x", nullptr) == "annotations.x must be a string");
    CHECK(error_without("notified") == "notified must be an array");
    CHECK(error_with("/notified", "ops-hook") == "notified must be an array");
    CHECK(error_with("/notified/1", 1) == "notified[1] must be a string");
    CHECK(error_with("/timeline", json::object()) == "timeline must be an array");
    CHECK(error_with("/timeline/1", "x") == "timeline[1] must be an object");
    CHECK(error_with("/timeline/1/at", "x") == "timeline[1].at must be an RFC 3339 time");
    CHECK(error_with("/timeline/0/detail", 1) == "timeline[0].detail must be a string");
}

TEST_CASE("text that is no JSON object is refused without harm") {
    CHECK(error_of("") == "an incident must be JSON in UTF-8");
    CHECK(error_of("{") == "an incident must be JSON in UTF-8");
    CHECK(error_of("{\"id\": \"\xFF\"}") == "an incident must be JSON in UTF-8");
    CHECK(error_of("[]") == "an incident must be an object");
    CHECK(error_of("null") == "an incident must be an object");
    CHECK_FALSE(incident_from_json(std::string(100'000, '[')));
    CHECK_FALSE(incident_from_json(std::string(100'000, '[') + std::string(100'000, ']')));
    const std::string text = to_json(sample());
    for (std::size_t length = 0; length < text.size(); ++length)
        CHECK_FALSE(incident_from_json(text.substr(0, length)));
}

TEST_CASE("fields that a later version adds are passed over") {
    auto shown = json::parse(to_json(sample()));
    shown["assignee"] = "ada";
    CHECK(incident_from_json(shown.dump()) == sample());
}

TEST_CASE("a notification shows where it stands and why") {
    Notification notification;
    notification.draft = {.id = "msg_1",
                          .incident_id = "inc_1",
                          .destination = "ops-hook",
                          .kind = "incident.triggered",
                          .severity = Severity::p0,
                          .payload = "{}",
                          .created_at = new_year,
                          .fallback_for = {}};
    notification.sequence = 5;
    notification.state = NotificationState::pending;
    notification.attempts = 1;
    notification.deferrals = 2;
    notification.next_attempt_at = new_year + 1min;
    notification.lease_token = "not for everybody";
    notification.last_error = DeliveryError{.next_move = NextMove::retry,
                                            .counts_as_failure = true,
                                            .error_class = "http_5xx",
                                            .message = "the receiver answered 503",
                                            .status = 503,
                                            .retry_after = {},
                                            .disable_destination = false};
    notification.attempt_log = {{.at = new_year + 1s,
                                 .took = 1500ms,
                                 .delivered = false,
                                 .error_class = "http_5xx",
                                 .message = "the receiver answered 503",
                                 .status = 503}};
    CHECK(
        to_json(notification) ==
        R"({"id":"msg_1","incident_id":"inc_1","destination":"ops-hook","kind":"incident.triggered","state":"pending",)"
        R"("severity":"P0","created_at":"2026-01-01T00:00:00Z","next_attempt_at":"2026-01-01T00:01:00Z","attempts":1,)"
        R"("deferrals":2,"last_error":{"class":"http_5xx","message":"the receiver answered 503","status":503},)"
        R"("delivered_at":null,"fallback_for":null,"attempt_log":[{"at":"2026-01-01T00:00:01Z","took_seconds":1.5,)"
        R"("delivered":false,"class":"http_5xx","message":"the receiver answered 503","status":503}]})");
}

TEST_CASE("a notification that waits for nothing has no next attempt") {
    Notification notification;
    notification.next_attempt_at = new_year;
    notification.draft.fallback_for = "msg_0";
    notification.attempt_log = {
        {.at = new_year, .took = 0ms, .delivered = true, .error_class = {}, .message = {}, .status = {}}};
    for (const auto state : {NotificationState::delivered, NotificationState::dead}) {
        notification.state = state;
        CHECK(json::parse(to_json(notification))["next_attempt_at"].is_null());
    }
    notification.state = NotificationState::leased;
    notification.delivered_at = new_year + 1s;
    const auto shown = json::parse(to_json(notification));
    CHECK(shown["next_attempt_at"] == "2026-01-01T00:00:00Z");
    CHECK(shown["delivered_at"] == "2026-01-01T00:00:01Z");
    CHECK(shown["fallback_for"] == "msg_0");
    CHECK(shown["last_error"].is_null());
    CHECK(shown["attempt_log"][0]["class"].is_null());
    CHECK(shown["attempt_log"][0]["message"].is_null());
    CHECK(shown["attempt_log"][0]["status"].is_null());
}

TEST_CASE("a receiver's odd bytes do not stop a notification from being shown") {
    Notification notification;
    notification.last_error.emplace().message = "answered \xFF\xFE";
    CHECK(json::parse(to_json(notification))["last_error"]["message"] == "answered \uFFFD\uFFFD");
}

}  // namespace fusebox::test
