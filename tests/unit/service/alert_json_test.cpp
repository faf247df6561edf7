#include "api/alert_json.hpp"

#include <fusebox/text/rfc3339.hpp>

#include "api/object_reader.hpp"
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
/// "STATUS field, …" of a batch that is refused as a whole or in part, with how many of its alerts are stored.
std::string verdict(const Parsed<AlertBatch>& parsed) {
    if (!parsed) return verdict<AlertBatch>(parsed);
    if (parsed->errors.empty()) return "stored";
    return verdict<AlertBatch>(std::unexpected{rejection_problem(*parsed)}) + "; " +
           std::to_string(parsed->alerts.size()) + " stored";
}
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
    CHECK(incidents::stated_severity(*alert, {}).severity == Severity::p1);
    CHECK(alert->source == "curl");
    CHECK(alert->start_stated);
    CHECK_FALSE(alert->merged);
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
    CHECK_FALSE(incidents::stated_severity(*alert, {}).severity);
    CHECK_FALSE(alert->start_stated);
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
        {R"({"title": "x", "severity": "P9"})", "stored"},
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
        {R"({"titel": "x", "severity": "P9", "labels": {"a": 1}})", "422 titel, title, labels.a"},
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
    REQUIRE(alerts->alerts.size() == 2);
    const auto& firing = alerts->alerts.front();
    CHECK(firing.title == "p99 over 2 s");
    CHECK(firing.source == "prometheus");
    CHECK(firing.labels == Labels{{"alertname", "HighLatency"}, {"severity", "warning"}});
    CHECK(firing.generator_url == "http://prometheus/graph");
    CHECK_FALSE(firing.severity);
    CHECK_FALSE(firing.resolved);
    CHECK(firing.starts_at == now - 1min + 123456us);
    CHECK_FALSE(firing.merged);
    CHECK(firing.start_stated);
    CHECK(alerts->alerts.back().title == "Gone");
    CHECK(alerts->alerts.back().resolved);
    CHECK(v2("[]") == "stored");
}

TEST_CASE("a bad alert is refused by its place, and the others of its batch are stored") {
    const std::pair<const char*, const char*> table[] = {
        {"{}", "422 "},
        {"[null]", "400 [0]; 0 stored"},
        {"[[]]", "400 [0]; 0 stored"},
        {R"([{"labels": {"a": "b"}}, {"labels": {"a": 1}}])", "400 [1].labels.a; 1 stored"},
        {R"([{"labels": {}}])", "400 [0].labels; 0 stored"},
        {R"([{"labels": {"a": ""}}])", "400 [0].labels; 0 stored"},
        {R"([{"annotations": {}}])", "400 [0].labels; 0 stored"},
        {R"([{"labels": {"a": "b"}, "startsAt": "no"}])", "400 [0].startsAt; 0 stored"},
        {R"([{"labels": {"a": "b"}, "generatorURL": 5}])", "400 [0].generatorURL; 0 stored"},
        {R"([{"labels": {"a": "b"}, "startsAt": "2026-01-01T12:00:00Z", "endsAt": "2026-01-01T11:00:00Z"}])",
         "400 [0].endsAt; 0 stored"},
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
    REQUIRE(whole->alerts.size() == 2);
    CHECK(whole->alerts.front().source == "alertmanager");
    CHECK(whole->alerts.front().merged);
    CHECK_FALSE(whole->alerts.front().resolved);
    CHECK_FALSE(whole->alerts.front().ends_at);
    CHECK(whole->alerts.back().resolved);
    CHECK(whole->truncated == 0);
    const auto old =
        parse_alertmanager_webhook(R"({"status": "resolved", "alerts": [{"labels": {"alertname": "Disk"}}]})", now);
    REQUIRE(old);
    CHECK(old->alerts.front().resolved);
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
        {R"({"alerts": [{"labels": {"a": "b"}, "status": "x"}]})", "400 alerts[0].status; 0 stored"},
        {R"({"alerts": [{"labels": {"a": "b"}}, 5]})", "400 alerts[1]; 1 stored"},
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
    CHECK(most->alerts.size() == 10'000);
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
    CHECK(alerts->alerts.front().title.size() == AlertLimits::title - 1);
    CHECK(alerts->alerts.front().title.ends_with("é"));
}

TEST_CASE("an annotation beyond the limit is cut between characters and says how long it was") {
    const auto kept = [](const std::string& text) {
        const auto batch =
            parse_alertmanager_alerts(R"([{"labels": {"a": "b"}, "annotations": {"long": ")" + text + "\"}}]", now);
        REQUIRE(batch);
        REQUIRE(batch->alerts.size() == 1);
        return batch->alerts.front().annotations.at("long");
    };
    const std::string most(AlertLimits::annotation, 'x');
    CHECK(kept(most) == most);
    for (const std::string lead : {"", "y"}) {
        std::string text = lead;
        while (text.size() <= AlertLimits::annotation) text += "é";
        const auto cut = kept(text);
        const auto mark = "… (cut from " + std::to_string(text.size()) + " bytes)";
        CHECK(cut.size() <= AlertLimits::annotation);
        CHECK(cut.size() >= AlertLimits::annotation - 1);
        CHECK(cut.ends_with("é" + mark));
    }
    const auto native = parse_native_alert(R"({"title": "x", "description": ")" + most + "yz\"}", now);
    REQUIRE(native);
    CHECK(native->annotations.at("description").ends_with("x… (cut from 16386 bytes)"));
}

TEST_CASE("a character that no text may hold costs an annotation that character, and no page") {
    const auto batch = parse_alertmanager_alerts(
        R"([{"labels": {"alertname": "A"}, "annotations": {"summary": "a\u0000b"}, "generatorURL": "http://p\u0000"}])",
        now);
    REQUIRE(batch);
    CHECK(batch->errors.empty());
    REQUIRE(batch->alerts.size() == 1);
    CHECK(batch->alerts.front().annotations.at("summary") == "a\uFFFDb");
    CHECK(batch->alerts.front().title == "a\uFFFDb");
    const auto native = parse_native_alert(R"({"title": "t", "description": "\u0000"})", now);
    REQUIRE(native);
    CHECK(native->annotations.at("description") == "\uFFFD");
    // Labels are the identity of an alert: nothing is changed there.
    const auto label = parse_alertmanager_alerts(R"([{"labels": {"alertname": "A\u0000"}}])", now);
    REQUIRE(label);
    CHECK(label->alerts.empty());
}

TEST_CASE("Grafana's own webhook is taken, and what a webhook left out is known") {
    const auto batch = parse_alertmanager_webhook(R"({"receiver": "incidents", "status": "firing", "orgId": 1,
        "alerts": [{"status": "firing", "labels": {"alertname": "HighCpu", "grafana_folder": "infra"},
            "annotations": {"summary": "CPU above 90 %"}, "startsAt": "2026-01-01T11:59:00Z",
            "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://grafana/alerting/1/edit", "fingerprint": "c6ea",
            "silenceURL": "http://grafana/silence", "dashboardURL": "", "panelURL": "", "values": {"B": 92.5},
            "valueString": "[ var='B' ]"}],
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://grafana/",
        "version": "1", "groupKey": "{}:{alertname=\"HighCpu\"}", "truncatedAlerts": 3, "title": "[FIRING:1]",
        "state": "alerting", "message": "x"})",
                                                  now);
    REQUIRE(batch);
    REQUIRE(batch->alerts.size() == 1);
    CHECK(batch->alerts.front().source == "grafana");
    CHECK(batch->alerts.front().title == "CPU above 90 %");
    CHECK(batch->alerts.front().merged);
    CHECK(batch->truncated == 3);
    CHECK(batch->alerts.front().truncated == 3);
}

TEST_CASE("refused alerts are counted by reason") {
    const auto batch = parse_alertmanager_alerts(R"([5, {"labels": {}}, {"labels": {"a": 1}}, {"labels": {"a": "b"}},
        {"labels": {"a": "b"}, "annotations": 7}, {"labels": {"a": "b"}, "startsAt": "no"},
        {"labels": {"a": "b"}, "generatorURL": 5}])",
                                                 now);
    REQUIRE(batch);
    CHECK(batch->alerts.size() == 1);
    CHECK(batch->rejected == std::array<std::uint64_t, reject_reasons>{1, 2, 1, 1, 1});
    CHECK(batch->total_rejected() == 6);
    CHECK(rejection_problem(*batch).detail ==
          "6 of 7 alerts are refused and the others are stored: [0] must be an "
          "object, not number");
}

TEST_CASE("a very long name of a field does not come back") {
    const auto parsed = parse_native_alert(R"({"title": "x", ")" + std::string(200'000, 'f') + "\": 1}", now);
    REQUIRE_FALSE(parsed);
    REQUIRE(parsed.error().errors.size() == 1);
    CHECK(parsed.error().errors.front().field == std::string(128, 'f') + "…");
    CHECK(parsed.error().detail.size() < 500);
}

TEST_CASE("of very many mistakes the first are named") {
    std::string body = "[";
    for (int i = 0; i < 1000; ++i) body += i ? ",5" : "5";
    const auto parsed = parse_alertmanager_alerts(body + "]", now);
    REQUIRE(parsed);
    CHECK(parsed->total_rejected() == 1000);
    CHECK(parsed->errors.size() == max_field_errors);
    CHECK(rejection_problem(*parsed).detail.starts_with("1000 of 1000 alerts are refused"));

    std::string fields = R"({"title": "x")";
    for (int i = 0; i < 1000; ++i) fields += ",\"unknown" + std::to_string(i) + "\": 1";
    const auto native = parse_native_alert(fields + "}", now);
    REQUIRE_FALSE(native);
    CHECK(native.error().errors.size() == max_field_errors);
}

TEST_CASE("a number of left-out alerts that cannot be does not spoil the counter") {
    const auto batch = parse_alertmanager_webhook(
        R"({"version": "4", "truncatedAlerts": 18446744073709551615, "alerts": [{"labels": {"a": "b"}}]})", now);
    REQUIRE(batch);
    CHECK(batch->truncated == 1'000'000);
}

}  // namespace fusebox::test
