#include "request_log.hpp"

#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using namespace service;

namespace {

/// The lines without their time.
struct Lines {
    std::vector<std::string> all;
    RequestLog::Sink sink() {
        return [this](Level level, std::string_view event, LogFields fields) {
            auto line = format_log_line(false, level, event, fields, {});
            all.push_back(line.substr(line.find(' ') + 1));
        };
    }
};

const middleware::Request request{.method = "POST", .path = "/v1/alerts", .remote_address = "192.0.2.7"};

middleware::Response answer(int status) {
    return {.status = status,
            .content_type = "application/problem+json",
            .body = R"({"title": "T", "detail": "a bearer token is needed"})"};
}

}  // namespace

TEST_CASE("a refused request is one line that says who, what and why") {
    Lines lines;
    ManualClock clock;
    RequestLog log{lines.sink(), clock};
    log.add(request, answer(401), 1500us);
    log.add(request, answer(503), 2ms);
    CHECK(lines.all ==
          std::vector<std::string>{"warning request_refused method=POST path=/v1/alerts status=401 peer=192.0.2.7 "
                                   "reason=\"a bearer token is needed\" took_us=1500 left_out=0",
                                   "warning request_failed method=POST path=/v1/alerts status=503 peer=192.0.2.7 "
                                   "reason=\"a bearer token is needed\" took_us=2000 left_out=0"});
}

TEST_CASE("alerts that are refused are a warning, other requests a remark") {
    Lines lines;
    ManualClock clock;
    RequestLog log{lines.sink(), clock};
    const auto level = [&](const char* method, const char* path) {
        auto asked = request;
        asked.method = method;
        asked.path = path;
        log.add(asked, answer(401), 1us);
        return lines.all.back().substr(0, lines.all.back().find(' '));
    };
    CHECK(level("POST", "/v1/alerts") == "warning");
    CHECK(level("POST", "/api/v2/alerts") == "warning");
    CHECK(level("POST", "/v1/webhooks/alertmanager") == "warning");
    CHECK(level("GET", "/v1/incidents") == "info");
    CHECK(level("POST", "/nowhere") == "info");
}

TEST_CASE("a health check that fails is logged with what it says") {
    Lines lines;
    ManualClock clock;
    RequestLog log{lines.sink(), clock};
    log.add(request, {.status = 503, .body = R"({"status": "fail", "output": "the disk is full"})"}, 1us);
    CHECK(lines.all.back().find("reason=\"the disk is full\"") != std::string::npos);
}

TEST_CASE("an answer that is no problem is logged without a reason, and a good one is for debugging") {
    Lines lines;
    ManualClock clock;
    RequestLog log{lines.sink(), clock};
    for (const auto* body : {"", "{", "[]", "{}", R"({"detail": 5})"}) {
        log.add(request, {.status = 404, .body = body}, 1us);
        REQUIRE_FALSE(lines.all.empty());
        CHECK(lines.all.back().find("reason=\"\"") != std::string::npos);
    }
    lines.all.clear();
    configure_log({.level = "info"});
    log.add(request, {.status = 200}, 1us);
    CHECK(lines.all.empty());
    configure_log({.level = "debug"});
    log.add(request, {.status = 200}, 1us);
    configure_log({});
    CHECK(lines.all.size() == 1);
}

TEST_CASE("a flood of refusals makes few lines, and none is forgotten") {
    Lines lines;
    ManualClock clock;
    RequestLog log{lines.sink(), clock};
    for (int i = 0; i < 1000; ++i) log.add(request, answer(401), 1us);
    CHECK(lines.all.size() == 20);
    // Failures have lines of their own.
    log.add(request, answer(500), 1us);
    CHECK(lines.all.size() == 21);
    clock.advance(1s);
    log.add(request, answer(401), 1us);
    REQUIRE(lines.all.size() == 22);
    CHECK(lines.all.back().ends_with("left_out=980"));
    log.add(request, answer(401), 1us);
    log.add(request, answer(403), 1us);
    CHECK(lines.all.size() == 22);
    log.say_left_out();
    CHECK(lines.all.back() == "info requests_refused left_out=2");
    log.say_left_out();
    CHECK(lines.all.size() == 23);
}

}  // namespace fusebox::test
