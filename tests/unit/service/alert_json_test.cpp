#include "api/alert_json.hpp"

#include <fusebox/text/rfc3339.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace service;
using namespace std::chrono_literals;
using incidents::Labels;
using incidents::Severity;

namespace {

const auto now = *text::from_rfc3339("2026-01-01T12:00:00Z");

/// "STATUS field, field, …" of a refusal; "stored" where there is none.
template <class T>
std::string verdict(const Parsed<T>& parsed) {
    if (parsed) return "stored";
    std::string text = std::to_string(parsed.error().status);
    for (const auto& error : parsed.error().errors) text += (text.size() == 3 ? " " : ", ") + error.field;
    return text;
}

std::string native(std::string_view body) { return verdict(parse_native_alert(body, now)); }
std::string v2(std::string_view body) { return verdict(parse_alertmanager_alerts(body, now)); }
std::string webhook(std::string_view body) { return verdict(parse_alertmanager_webhook(body, now)); }

std::string quoted(std::size_t size) { return "\"" + std::string(size, 'x') + "\""; }

std::string labels(std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"x\"";
    return "{" + text + "}";
}

}  // namespace

TEST_CASE("a native alert keeps all that it says") {
    const auto alert = parse_native_alert(R"({"title": "Checkout answers 500", "severity": "error", "source": "curl",
        "labels": {"service": "checkout", "größe": "ñ"}, "annotations": {"runbook": "http://x"},
        "description": "since noon", "starts_at": "2026-01-01T12:30:00+01:00", "ends_at": "2026-01-01T13:00:00Z"})",
                                          now);
    REQUIRE(alert);
    CHECK(alert->title == "Checkout answers 500");
    CHECK(alert->severity == Severity::p1);
    CHECK(alert->source == "curl");
    CHECK(alert->labels == Labels{{"service", "checkout"}, {"größe", "ñ"}});
    CHECK(alert->annotations == Labels{{"runbook", "http://x"}, {"description", "since noon"}});
    CHECK(alert->starts_at == now - 30min);
    CHECK(alert->ends_at == now + 1h);
    CHECK_FALSE(alert->resolved);
}

TEST_CASE("of a native alert only the title is needed") {
    const auto alert = parse_native_alert(R"({"title": "x", "labels": null, "severity": null})", now);
    REQUIRE(alert);
    CHECK(alert->labels == Labels{{"alertname", "x"}});
    CHECK(alert->source == "api");
    CHECK_FALSE(alert->severity);
    CHECK(alert->starts_at == now);
    CHECK_FALSE(alert->ends_at);
    CHECK_FALSE(alert->resolved);
}

TEST_CASE("an alert is resolved when it says so or when its end has passed") {
    const auto resolved = [](const char* more) {
        const auto alert = parse_native_alert(std::string{R"({"title": "x", )"} + more + "}", now);
        REQUIRE(alert);
        return alert->resolved;
    };
    CHECK(resolved(R"("status": "resolved")"));
    CHECK(resolved(R"("ends_at": "2026-01-01T12:00:00Z")"));
    CHECK_FALSE(resolved(R"("ends_at": "2026-01-01T12:00:01Z")"));
    CHECK_FALSE(resolved(R"("status": "firing")"));
    CHECK_FALSE(resolved(R"("ends_at": "0001-01-01T00:00:00Z")"));
}

TEST_CASE("an alert that only says when it ended did not begin later") {
    const auto alert = parse_native_alert(R"({"title": "x", "ends_at": "2026-01-01T11:00:00Z"})", now);
    REQUIRE(alert);
    CHECK(alert->starts_at == now - 1h);
}

TEST_CASE("a native alert that is wrong is refused by the names of its fields") {
    const std::pair<std::string, std::string> table[] = {
        {"", "400"},
        {"{", "400"},
        {R"({"title": "x"} trailing)", "400"},
        {R"({"title": 1e999})", "400"},
        {"null", "422 "},
        {"[]", "422 "},
        {"42", "422 "},
        {"{}", "422 title"},
        {R"({"title": null})", "422 title"},
        {R"({"title": ""})", "422 title"},
        {R"({"title": 7})", "422 title"},
        {R"({"title": "a\u0000b"})", "422 title"},
        {R"({"title": )" + quoted(1024) + "}", "stored"},
        {R"({"title": )" + quoted(1025) + "}", "422 title"},
        {R"({"title": "x", "severity": "P9"})", "422 severity"},
        {R"({"title": "x", "severity": 3})", "422 severity"},
        {R"({"title": "x", "status": "maybe"})", "422 status"},
        {R"({"title": "x", "labels": []})", "422 labels"},
        {R"({"title": "x", "labels": {"a": 1}})", "422 labels.a"},
        {R"({"title": "x", "labels": {"a": null}})", "422 labels.a"},
        {R"({"title": "x", "labels": {"": "b"}})", "422 labels"},
        {R"({"title": "x", "labels": {"a\n": "b"}})", "422 labels"},
        {R"({"title": "x", "labels": {"a": )" + quoted(4097) + "}}", "422 labels.a"},
        {R"({"title": "x", "labels": )" + labels(64) + "}", "stored"},
        {R"({"title": "x", "labels": )" + labels(65) + "}", "422 labels"},
        {R"({"title": "x", "annotations": {"a": {}}})", "422 annotations.a"},
        {R"({"title": "x", "annotations": {"a": )" + quoted(16384) + "}}", "stored"},
        {R"({"title": "x", "description": 5})", "422 description"},
        {R"({"title": "x", "source": )" + quoted(257) + "}", "422 source"},
        {R"({"title": "x", "starts_at": "yesterday"})", "422 starts_at"},
        {R"({"title": "x", "starts_at": 5})", "422 starts_at"},
        {R"({"title": "x", "starts_at": "2026-01-01T12:00:00Z", "ends_at": "2026-01-01T11:00:00Z"})", "422 ends_at"},
        {R"({"title": "x", "unknown_field": 1})", "422 unknown_field"},
        {R"({"titel": "x", "severity": "P9", "labels": {"a": 1}})", "422 titel, title, labels.a, severity"},
    };
    for (const auto& [body, expected] : table) {
        CAPTURE(body.substr(0, 100));
        CHECK((native(body) == expected || native(body) + " " == expected));
    }
}

TEST_CASE("API v2 takes what Prometheus sends") {
    const auto alerts =
        parse_alertmanager_alerts(R"([{"labels": {"alertname": "HighLatency", "severity": "warning", "empty": ""},
        "annotations": {"summary": "p99 over 2 s"}, "startsAt": "2026-01-01T11:59:00.123456789Z",
        "endsAt": "2026-01-01T12:04:00Z", "generatorURL": "http://prometheus/graph", "futureField": {}},
        {"labels": {"alertname": "Gone"}, "startsAt": "2026-01-01T11:00:00Z", "endsAt": "2026-01-01T11:59:59Z"}])",
                                  now);
    REQUIRE(alerts);
    REQUIRE(alerts->size() == 2);
    const auto& firing = alerts->front();
    CHECK(firing.title == "p99 over 2 s");
    CHECK(firing.source == "prometheus");
    CHECK(firing.labels == Labels{{"alertname", "HighLatency"}, {"severity", "warning"}});
    CHECK(firing.generator_url == "http://prometheus/graph");
    CHECK_FALSE(firing.severity);
    CHECK_FALSE(firing.resolved);
    CHECK(firing.starts_at == now - 1min + 123456us);
    CHECK(alerts->back().title == "Gone");
    CHECK(alerts->back().resolved);
    CHECK(v2("[]") == "stored");
}

TEST_CASE("an API v2 batch with one bad alert is refused by its place") {
    const std::pair<const char*, const char*> table[] = {
        {"{}", "422 "},
        {"[null]", "422 [0]"},
        {"[[]]", "422 [0]"},
        {R"([{"labels": {"a": "b"}}, {"labels": {"a": 1}}])", "422 [1].labels.a"},
        {R"([{"labels": {}}])", "422 [0].labels"},
        {R"([{"labels": {"a": ""}}])", "422 [0].labels"},
        {R"([{"annotations": {}}])", "422 [0].labels"},
        {R"([{"labels": {"a": "b"}, "startsAt": "no"}])", "422 [0].startsAt"},
        {R"([{"labels": {"a": "b"}, "generatorURL": 5}])", "422 [0].generatorURL"},
        {R"([{"labels": {"a": "b"}, "startsAt": "2026-01-01T12:00:00Z", "endsAt": "2026-01-01T11:00:00Z"}])",
         "422 [0].endsAt"},
        {R"([{"labels": {"a": "b"}, "startsAt": "", "endsAt": ""}])", "stored"},
    };
    for (const auto& [body, expected] : table) {
        CAPTURE(body);
        CHECK((v2(body) == expected || v2(body) + " " == expected));
    }
}

TEST_CASE("the webhook takes version 4 and what older ones leave out") {
    const auto whole =
        parse_alertmanager_webhook(R"({"version": "4", "groupKey": "{}:{}", "status": "firing", "alerts": [
        {"status": "firing", "labels": {"alertname": "Disk"}, "annotations": {}, "startsAt": "2026-01-01T11:00:00Z",
         "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "0123"},
        {"status": "resolved", "labels": {"alertname": "Net"}, "startsAt": "2026-01-01T11:00:00Z",
         "endsAt": "2026-01-01T11:30:00Z"}]})",
                                   now);
    REQUIRE(whole);
    REQUIRE(whole->size() == 2);
    CHECK(whole->front().source == "alertmanager");
    CHECK_FALSE(whole->front().resolved);
    CHECK_FALSE(whole->front().ends_at);
    CHECK(whole->back().resolved);
    const auto old =
        parse_alertmanager_webhook(R"({"status": "resolved", "alerts": [{"labels": {"alertname": "Disk"}}]})", now);
    REQUIRE(old);
    CHECK(old->front().resolved);
    CHECK(webhook(R"({"alerts": []})") == "stored");
}

TEST_CASE("a webhook that is wrong is refused by the names of its fields") {
    const std::pair<const char*, const char*> table[] = {
        {"[]", "422 "},
        {"{}", "422 alerts"},
        {R"({"alerts": 5})", "422 alerts"},
        {R"({"version": "5", "alerts": []})", "422 version"},
        {R"({"version": 4, "alerts": []})", "422 version"},
        {R"({"status": "x", "alerts": []})", "422 status"},
        {R"({"alerts": [{"labels": {"a": "b"}, "status": "x"}]})", "422 alerts[0].status"},
        {R"({"alerts": [{"labels": {"a": "b"}}, 5]})", "422 alerts[1]"},
    };
    for (const auto& [body, expected] : table) {
        CAPTURE(body);
        CHECK((webhook(body) == expected || webhook(body) + " " == expected));
    }
}

TEST_CASE("a batch is stored whole or refused by the limit, which its refusal names") {
    const auto batch = [](std::size_t count) {
        std::string text;
        for (std::size_t i = 0; i < count; ++i) text += (i ? "," : "") + std::string{R"({"labels":{"a":"b"}})"};
        return "[" + text + "]";
    };
    const auto most = parse_alertmanager_alerts(batch(10'000), now);
    REQUIRE(most);
    CHECK(most->size() == 10'000);
    const auto refused = parse_alertmanager_alerts(batch(10'001), now);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().status == 422);
    CHECK(refused.error().detail == "the body has 10001 alerts, must have at most 10000");
    CHECK(webhook(R"({"alerts": )" + batch(10'000) + "}") == "stored");
    CHECK(webhook(R"({"alerts": )" + batch(10'001) + "}") == "422 alerts");
}

TEST_CASE("a long summary is cut between characters") {
    std::string summary;
    while (summary.size() <= AlertLimits::title) summary += "é";
    const auto alerts =
        parse_alertmanager_alerts(R"([{"labels": {"a": "b"}, "annotations": {"summary": "x)" + summary + "\"}}]", now);
    REQUIRE(alerts);
    CHECK(alerts->front().title.size() == AlertLimits::title - 1);
    CHECK(alerts->front().title.ends_with("é"));
}

TEST_CASE("very many mistakes are counted, and the first are named") {
    std::string body = "[";
    for (int i = 0; i < 1000; ++i) body += i ? ",5" : "5";
    const auto parsed = parse_alertmanager_alerts(body + "]", now);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().errors.size() == AlertLimits::errors);
    CHECK(parsed.error().detail.find("999 more") != std::string::npos);
}

}  // namespace fusebox::test
