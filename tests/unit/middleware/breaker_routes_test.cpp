#include <fusebox/middleware/breaker_routes.hpp>

#include <nlohmann/json.hpp>

#include <fusebox/core/manual_clock.hpp>
#include <fusebox/middleware/access.hpp>
#include <fusebox/middleware/health_routes.hpp>
#include <fusebox/registry/prometheus.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

struct Fixture {
    ManualClock clock;
    Registry registry{Registry::Options{.clock = &clock}};
    std::shared_ptr<CircuitBreaker> store =
        registry.get_or_create("store", CircuitBreakerConfig{.open_timeout = 10s}, Criticality::critical);
    std::shared_ptr<CircuitBreaker> hook = registry.get_or_create(
        "notify:hook", CircuitBreakerConfig{.consecutive_failure_threshold = 2}, Criticality::degraded);
    std::expected<void, std::string> ready{};
    bool details{true};
    Router router;

    Fixture() {
        add_breaker_routes(router, registry, require_token("admin", "set it"));
        add_health_routes(router, registry,
                          {.version = "1.2.3",
                           .ready = [this] { return ready; },
                           .checks = {},
                           .may_see_details = [this](const Request&) { return details; }});
        add_metrics_route(router, [this] { return prometheus_text(registry); });
    }

    Response ask(const std::string& method, std::string_view target, std::string body = {},
                 std::string token = "admin") {
        Request request{.method = method,
                        .headers = {{"Authorization", "Bearer " + token}, {"Content-Type", "application/json"}},
                        .body = std::move(body)};
        const auto route = router.find(request, target);
        if (!route) return route.error();
        auto refusal = (*route)->guard ? (*route)->guard(request) : std::nullopt;
        return refusal ? *refusal : (*route)->handler(request);
    }
    json get(std::string_view target) {
        const auto response = ask("GET", target);
        CHECK(response.status == 200);
        return json::parse(response.body);
    }
};

const std::string root = "/v1/circuit-breakers";

}  // namespace

TEST_CASE_METHOD(Fixture, "the list shows every breaker by name") {
    const auto list = get(root).at("circuit_breakers");
    REQUIRE(list.size() == 2);
    CHECK(list[0].at("name") == "notify:hook");
    CHECK(list[0].at("criticality") == "degraded");
    CHECK(list[0].at("state") == "closed");
    CHECK(list[0].at("opened_at").is_null());
    CHECK(list[0].at("retry_after_seconds").is_null());
    CHECK(list[0].at("last_report").is_null());
    CHECK(list[1].at("criticality") == "critical");
}

TEST_CASE_METHOD(Fixture, "a breaker that tripped says when, why, and when it tries again") {
    hook->try_acquire()->settle(
        fusebox::Outcome::failure,
        {.duration = 250ms, .message = "refused", .trace_id = "0af7651916cd43dd8448eb211c80319c"});
    clock.advance(2s);
    hook->try_acquire()->settle(fusebox::Outcome::timeout, {.duration = 10s});
    clock.advance(5s);
    const auto breaker = get(root + "/notify:hook");
    CHECK(breaker.at("state") == "open");
    CHECK(breaker.at("trip_count") == 1);
    CHECK(breaker.at("retry_after_seconds") == 25.0);
    CHECK(breaker.at("opened_at").is_string());
    CHECK(breaker.at("totals").at("failures") == 1);
    const auto& report = breaker.at("last_report");
    CHECK(report.at("reason") == "consecutive_failures");
    CHECK(report.at("threshold") == 2.0);
    CHECK(report.at("actor").is_null());
    CHECK(report.at("last_outcomes") == json::parse(R"([
        {"age_seconds": 0.0, "duration_seconds": 10.0, "outcome": "timeout", "slow": false,
         "message": null, "trace_id": null},
        {"age_seconds": 2.0, "duration_seconds": 0.25, "outcome": "failure", "slow": false,
         "message": "refused", "trace_id": "0af7651916cd43dd8448eb211c80319c"}])"));
    CHECK(get(root + "/notify%3Ahook/reports").at("reports").at(0) == report);
}

TEST_CASE_METHOD(Fixture, "each order of an operator is carried out and remembered with who and why") {
    const std::pair<const char*, const char*> orders[] = {{"open", "forced_open"},
                                                          {"reset", "closed"},
                                                          {"trip", "open"},
                                                          {"disable", "disabled"},
                                                          {"metrics-only", "metrics_only"}};
    for (const auto& [path, state] : orders) {
        CAPTURE(path);
        const auto response = ask("POST", root + "/store/" + path, R"({"actor": "ada", "reason": "a drill"})");
        REQUIRE(response.status == 200);
        const auto breaker = json::parse(response.body);
        CHECK(breaker.at("state") == state);
        CHECK(breaker.at("last_report").at("actor") == "ada");
        CHECK(breaker.at("last_report").at("note") == "a drill");
    }
    ask("POST", root + "/notify:hook/trip");
    const auto all = ask("POST", root + "/reset");
    CHECK(all.status == 200);
    for (const auto& breaker : json::parse(all.body).at("circuit_breakers")) CHECK(breaker.at("state") == "closed");
    CHECK(get(root + "/store").at("last_report").at("actor") == "api");
}

TEST_CASE_METHOD(Fixture, "a bad order changes nothing") {
    const std::tuple<const char*, std::string, std::string, int> bad[] = {
        {"/store/open", "{", "admin", 400},
        {"/store/open", "[]", "admin", 422},
        {"/store/open", R"({"reason": 5})", "admin", 422},
        {"/store/open", R"({"reasn": "x"})", "admin", 422},
        {"/store/open", R"({"reason": ")" + std::string(2000, 'x') + "\"}", "admin", 422},
        {"/store/open", "\"\xff\"", "admin", 400},
        {"/store/open", "{}", "wrong", 401},
        {"/store/open", "{}", "", 401},
        {"/nobody/open", "{}", "admin", 404},
        {"/store/explode", "{}", "admin", 404},
        {"/reset", "5", "admin", 422},
        {"/store/open", R"({"actor": "a\u001b[2J"})", "admin", 422},
        {"/store/open", R"({"actor": "a\u202eb"})", "admin", 422},
        {"/store/open", R"({"actor": ")" + std::string(257, 'x') + "\"}", "admin", 422},
    };
    for (const auto& [path, body, token, status] : bad) {
        CAPTURE(path, body);
        const auto response = ask("POST", root + path, body, token);
        CHECK(response.status == status);
        CHECK(response.content_type == "application/problem+json");
    }
    CHECK(store->state() == State::closed);
    CHECK(store->generation() == hook->generation());
    CHECK(ask("GET", root + "/nobody").status == 404);
    CHECK(ask("GET", root + "/nobody/reports").status == 404);
}

TEST_CASE_METHOD(Fixture, "the breakers' health counts states and says why") {
    CHECK(get(root + "/health").at("healthy") == true);
    hook->force_open("ada", "broken");
    const auto health = get(root + "/health");
    CHECK(health.at("healthy") == false);
    CHECK(health.at("total") == 2);
    CHECK(health.at("open") == 1);
    CHECK(health.at("circuit_breakers").at(0).at("why").is_string());
    CHECK(health.at("circuit_breakers").at(1).at("why").is_null());
}

TEST_CASE_METHOD(Fixture, "an open notifier warns, an open critical breaker fails") {
    CHECK(get("/health").at("status") == "pass");
    hook->trip();
    const auto warned = ask("GET", "/health");
    CHECK(warned.status == 200);
    CHECK(warned.content_type == "application/health+json");
    const auto body = json::parse(warned.body);
    CHECK(body.at("status") == "warn");
    CHECK(body.at("version") == "1.2.3");
    CHECK(body.at("checks").at("circuit_breaker:notify:hook").at(0).at("status") == "warn");
    CHECK(body.at("checks").at("circuit_breaker:notify:hook").at(0).contains("output"));
    CHECK(body.at("checks").at("circuit_breaker:store").at(0).at("status") == "pass");
    store->trip();
    CHECK(ask("GET", "/health").status == 503);
    CHECK(ask("GET", "/livez").status == 200);
}

TEST_CASE_METHOD(Fixture, "readiness is the store's, and strangers see no details") {
    CHECK(ask("GET", "/readyz").status == 200);
    ready = std::unexpected("the disk is full");
    const auto open = ask("GET", "/readyz");
    CHECK(open.status == 503);
    CHECK(json::parse(open.body).at("output") == "the disk is full");
    CHECK(json::parse(ask("GET", "/health").body).at("status") == "fail");
    details = false;
    CHECK(ask("GET", "/readyz").body == R"({"status":"fail"})");
    CHECK(ask("GET", "/health").body == R"({"status":"fail"})");
}

TEST_CASE_METHOD(Fixture, "metrics are Prometheus text") {
    const auto response = ask("GET", "/metrics");
    CHECK(response.status == 200);
    CHECK(response.content_type.starts_with("text/plain; version=0.0.4"));
    CHECK(response.body.find("llm_incident_manager_circuit_breaker_state{name=\"store\"} 0") != std::string::npos);
}

}  // namespace fusebox::test
