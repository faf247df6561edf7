#include "cli/api_client.hpp"
#include "cli/table.hpp"
#include "cli/views.hpp"

#include "support/catch.hpp"

namespace fusebox::test {

using namespace service::cli;
using nlohmann::json;

namespace {

json breaker(const char* name, const char* state) {
    const bool open = std::string_view{state} != "closed";
    return {{"name", name},
            {"state", state},
            {"criticality", "critical"},
            {"failure_rate", 0.5},
            {"slow_call_rate", 0.0},
            {"consecutive_failures", 5},
            {"totals", {{"admitted", 10}, {"rejected", 3}, {"successes", 5}, {"failures", 4}, {"timeouts", 1}}},
            {"opened_at", open ? json("2026-01-01T00:00:00Z") : json(nullptr)},
            {"retry_after_seconds", open ? json(12.34) : json(nullptr)},
            {"trip_count", open ? 1 : 0},
            {"last_report", open ? json{{"description", "5 consecutive failures (threshold 5)"},
                                        {"at", "2026-01-01T00:00:00Z"},
                                        {"actor", "ada"},
                                        {"note", nullptr},
                                        {"last_outcomes",
                                         {{{"age_seconds", 0.0},
                                           {"duration_seconds", 0.03},
                                           {"outcome", "failure"},
                                           {"slow", false},
                                           {"message", "refused"},
                                           {"trace_id", nullptr}},
                                          {{"age_seconds", 125.0},
                                           {"duration_seconds", 10.0},
                                           {"outcome", "timeout"},
                                           {"slow", true},
                                           {"message", nullptr},
                                           {"trace_id", "0af7"}}}}}
                                 : json(nullptr)}};
}

}  // namespace

TEST_CASE("columns line up, whatever the alphabet") {
    Table table{{"NAME", "STATE"}};
    table.add({{"größer", Colour::none}, {"ok", Colour::green}});
    table.add({{"x"}, {"open", Colour::red}});
    CHECK(table.format(false) == "NAME    STATE\ngrößer  ok\nx       open\n");
    CHECK(table.format(true) == "NAME    STATE\ngrößer  \x1b[32mok\x1b[0m\nx       \x1b[31mopen\x1b[0m\n");
}

TEST_CASE("no text of the server's can steer the terminal, wherever it stands") {
    const std::string evil = "\x1b[2J\u009b31m\u202e\n";
    const std::string shown = R"(\u001b[2J\u009b31m\u202e\n)";
    const auto check = [&](const std::string& text, std::ptrdiff_t lines) {
        CAPTURE(text);
        for (const auto* raw : {"\x1b", "\u009b", "\u202e"}) CHECK(text.find(raw) == std::string::npos);
        CHECK(text.find(shown) != std::string::npos);
        CHECK(std::ranges::count(text, '\n') == lines);
    };
    auto bad = breaker("store", "open");
    for (const auto* field : {"name", "state", "criticality", "opened_at"}) bad[field] = evil;
    for (const auto* field : {"description", "at", "actor", "note"}) bad["last_report"][field] = evil;
    for (const auto* field : {"outcome", "message", "trace_id"}) bad["last_report"]["last_outcomes"][0][field] = evil;
    check(view_breakers({{"circuit_breakers", {bad}}}, false), 2);
    check(view_breaker(bad, false), 15);
    const json health_check{{"status", evil}, {"output", evil}};
    check(view_health({{"status", evil}, {"checks", {{evil, json::array({health_check})}}}}, false), 3);
    check(view_health({{"status", evil}}, false), 2);
    json incident{{"alert_count", 2}};
    for (const auto* field : {"id", "severity", "state", "created_at", "title"}) incident[field] = evil;
    check(view_incidents({{"incidents", json::array({incident})}, {"next_cursor", nullptr}}, false), 2);
    json notification{{"attempts", 3}, {"last_error", {{"class", evil}, {"message", evil}}}};
    for (const auto* field : {"id", "destination", "incident_id", "kind", "state", "next_attempt_at"})
        notification[field] = evil;
    check(view_notifications({{"notifications", json::array({notification})}, {"next_cursor", nullptr}}, false), 2);
    const json error{{"field", evil}, {"message", evil}};
    const json problem{{"title", evil}, {"detail", evil}, {"errors", json::array({error})}};
    check(describe_problem({.status = 422, .body = problem.dump()}), 1);
}

TEST_CASE("durations are for people") {
    CHECK(for_people(12.34) == "12.3s");
    CHECK(for_people(125) == "2m5s");
    CHECK(for_people(0) == "0s");
    CHECK(for_people(0.03) == "30ms");
    CHECK(for_people(1e300) == "104166d16h");
    CHECK(for_people(11'400) == "3h10m");
}

TEST_CASE("the list says of an open breaker why and when") {
    const auto text =
        view_breakers({{"circuit_breakers", {breaker("notify:hook", "open"), breaker("store", "closed")}}}, false);
    CHECK(text ==
          "NAME         STATE   CRITICALITY  FAILURES  TRIPS  RETRY IN  LAST CHANGE\n"
          "notify:hook  open    critical     50 %      1      12.3s     5 consecutive failures (threshold 5)\n"
          "store        closed  critical     50 %      0      -         -\n");
    CHECK(view_breakers({{"circuit_breakers", json::array()}}, false) == "There are no circuit breakers.\n");
}

TEST_CASE("one breaker is shown with who and why") {
    const auto text = view_breaker(breaker("store", "forced_open"), false);
    for (const auto* part :
         {"store: forced_open\n", "10 admitted, 3 rejected", "5 consecutive failures (threshold 5)", "ada",
          "last outcomes       0s before: failure after 30ms: refused\n                        2m5s before: "
          "slow "
          "timeout after 10s (trace 0af7)\n"}) {
        CAPTURE(part);
        CHECK(text.find(part) != std::string::npos);
    }
}

TEST_CASE("open, forced open and half-open are degraded") {
    for (const auto* state : {"open", "forced_open", "half_open"}) CHECK(is_degraded(breaker("x", state)));
    for (const auto* state : {"closed", "disabled", "metrics_only"}) CHECK_FALSE(is_degraded(breaker("x", state)));
}

TEST_CASE("health is shown as far as it may be seen") {
    CHECK(view_health({{"status", "pass"}}, false).starts_with("pass\n(details"));
    const auto text = view_health(
        {{"status", "warn"}, {"checks", {{"circuit_breaker:x", {{{"status", "warn"}, {"output", "it is open"}}}}}}},
        false);
    CHECK(text == "warn\nCHECK              STATUS  WHY\ncircuit_breaker:x  warn    it is open\n");
}

TEST_CASE("incidents and notifications are tables, and say when there are more") {
    const json incident{{"id", "inc_1"},       {"severity", "P0"},
                        {"state", "detected"}, {"created_at", "2026-01-01T00:00:00Z"},
                        {"alert_count", 2},    {"title", "Checkout\nis down"}};
    const auto incidents = view_incidents({{"incidents", {incident}}, {"next_cursor", "x"}}, false);
    CHECK(incidents.find("inc_1  P0        detected  2026-01-01T00:00:00Z  2       Checkout\\nis down\n") !=
          std::string::npos);
    CHECK(incidents.find("There are more: --severity") != std::string::npos);
    const json notification{{"id", "msg_1"},
                            {"destination", "hook"},
                            {"incident_id", "inc_1"},
                            {"kind", "incident.triggered"},
                            {"state", "dead"},
                            {"attempts", 3},
                            {"next_attempt_at", nullptr},
                            {"last_error", {{"class", "http_4xx"}, {"message", "404"}, {"status", 404}}}};
    const auto notifications = view_notifications({{"notifications", {notification}}, {"next_cursor", nullptr}}, false);
    CHECK(notifications.find("msg_1  hook         inc_1     incident.triggered  dead") != std::string::npos);
    CHECK(notifications.find("http_4xx: 404") != std::string::npos);
    CHECK(notifications.find("There are more") == std::string::npos);
    CHECK(view_incidents({{"incidents", json::array()}, {"next_cursor", nullptr}}, false) == "No incident matches.\n");
}

TEST_CASE("a long title is cut in the list, between two characters") {
    json incident{{"id", "inc_1"}, {"severity", "P0"}, {"state", "detected"}, {"created_at", "t"}, {"alert_count", 1}};
    const auto shown = [&](const std::string& title) {
        incident["title"] = title;
        const auto table = view_incidents({{"incidents", json::array({incident})}, {"next_cursor", nullptr}}, false);
        return table.substr(table.rfind("  ") + 2);
    };
    const std::string fits(100, 'x');
    CHECK(shown(fits) == fits + "\n");
    CHECK(shown(fits + "y") == fits + "…\n");
    CHECK(shown(fits.substr(1) + "éé") == fits.substr(1) + "…\n");
}

TEST_CASE("one incident is shown with its labels and its timeline, and cannot steer the terminal") {
    const json incident{
        {"id", "inc_1"},
        {"severity", "P0"},
        {"state", "triaged"},
        {"title", "Checkout\x1b[2J is down"},
        {"source", "prometheus"},
        {"created_at", "2026-01-01T00:00:00Z"},
        {"updated_at", "2026-01-01T00:01:00Z"},
        {"resolved_at", nullptr},
        {"alert_count", 2},
        {"last_seen", "2026-01-01T00:02:00Z"},
        {"firings", json::array()},
        {"labels", {{"alertname", "Down"}, {"team", "pay"}}},
        {"annotations", {{"summary", "x"}}},
        {"notified", {"hook", "mail"}},
        {"timeline",
         {{{"at", "2026-01-01T00:00:00Z"}, {"kind", "created"}, {"actor", "alert:prometheus"}, {"detail", "P0"}},
          {{"at", "2026-01-01T00:01:00Z"},
           {"kind", "acknowledged"},
           {"actor", "operator:anna"},
           {"detail", "from detected to triaged"}}}}};
    const auto shown = view_incident(incident, false);
    CHECK(shown.find('\x1b') == std::string::npos);
    for (const auto* part : {"inc_1: P0, triaged\n", "  labels        alertname = Down\n                team = pay\n",
                             "  annotations   summary = x\n", "  told          hook\n                mail\n",
                             "2026-01-01T00:01:00Z  acknowledged  operator:anna     from detected to triaged\n"}) {
        CAPTURE(part);
        CHECK(shown.find(part) != std::string::npos);
    }
    CHECK(shown.find("  last seen     2026-01-01T00:02:00Z\n") != std::string::npos);
    CHECK(shown.find("  resolved ") == std::string::npos);
}

TEST_CASE("an incident says whether its alert fires, whatever people made of it") {
    json incident{{"id", "inc_1"},
                  {"severity", "P0"},
                  {"state", "detected"},
                  {"title", "x"},
                  {"source", "prometheus"},
                  {"created_at", "t"},
                  {"updated_at", "t"},
                  {"resolved_at", nullptr},
                  {"alert_count", 2},
                  {"last_seen", "t"},
                  {"labels", json::object()},
                  {"annotations", json::object()},
                  {"notified", json::array()},
                  {"timeline", json::array()},
                  {"firings", {{{"starts_at", "T1"}, {"ends_at", "T2"}, {"ended_at", "T2"}}}}};
    const auto alert = [&](const char* state) {
        incident["state"] = state;
        const auto shown = view_incident(incident, false);
        const std::string label = "\n  alert         ";
        const auto begin = shown.find(label) + label.size();
        return shown.substr(begin, shown.find('\n', begin) - begin);
    };
    CHECK(alert("resolved") == "has ended");
    CHECK(alert("triaged") == "has ended; the incident stays open until somebody resolves it");
    incident["firings"].push_back({{"starts_at", "T3"}, {"ends_at", nullptr}, {"ended_at", nullptr}});
    CHECK(alert("detected") == "fires since T3");
    incident["firings"][1]["ends_at"] = "T4";
    CHECK(alert("detected") == "fires since T3, expires T4");
    for (const auto* state : {"resolved", "closed"}) {
        CHECK(alert(state) ==
              "fires since T3, not reported resolved; the incident opens again when it starts anew, or by reopen");
    }
}

TEST_CASE("a problem is told with its fields, and how to bring the token") {
    const Answer answer{.status = 401, .body = R"({"title": "Unauthorized", "detail": "a bearer token is needed"})"};
    CHECK(describe_problem(answer) ==
          "401 Unauthorized: a bearer token is needed\nGive the token with --token-file FILE or in FUSEBOX_TOKEN.");
    CHECK(describe_problem({.status = 422,
                            .body = R"({"title": "T", "detail": "D", "errors": [{"field": "f", "message": "m"}]})"}) ==
          "422 T: D\n  f: m");
    CHECK(describe_problem({.status = 200, .body = "<html>"}).find("not incidentd's") != std::string::npos);
}

TEST_CASE("why there was no answer says what to try") {
    using enum transport::HttpError::Kind;
    const auto told = [](const char* url, transport::HttpError::Kind kind) {
        transport::HttpError error;
        error.kind = kind;
        error.message = "the reason";
        return describe_failure(url, error);
    };
    CHECK(told("https://h", connect) == "cannot reach https://h: the reason");
    CHECK(told("https://h", certificate).find("--ca-file FILE") != std::string::npos);
    CHECK(told("http://h", reset).find("https://") != std::string::npos);
    CHECK(told("https://h", reset) == "cannot reach https://h: the reason");
    CHECK(told("h:80", bad_request).find("http://h:80 or https://h:80") != std::string::npos);
}

TEST_CASE("names go into URLs encoded") {
    CHECK(percent_encode("notify:a/b é") == "notify%3Aa%2Fb%20%C3%A9");
    CHECK(percent_encode("a-b_c.d~9") == "a-b_c.d~9");
}

}  // namespace fusebox::test
