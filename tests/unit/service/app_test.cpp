#include "app.hpp"

#include <nlohmann/json.hpp>

#include <fusebox/transport/http_client.hpp>

#include "config/config_loader.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace service;
using namespace std::chrono_literals;
using nlohmann::json;

namespace {

const std::string quiet = "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"error\"\n";
const std::string with_timeout = quiet + "[breakers.\"store\"]\nopen_timeout = \"7s\"\n";

ServiceConfig configuration(const std::string& toml, const std::string& admin_token = "admin",
                            const std::string& ingest_token = "") {
    auto config = load_config(toml, [&](const std::string& name) -> std::optional<std::string> {
        if (name == "INCIDENTD_ADMIN_TOKEN") return admin_token;
        if (name == "INCIDENTD_INGEST_TOKEN") return ingest_token;
        return std::nullopt;
    });
    if (!config) FAIL(describe(config.error().front(), "config"));
    return std::move(*config);
}

/// The whole service in this process, on a free port, with a store in memory.
struct Service {
    App app;
    std::string url;
    transport::HttpClient client;

    explicit Service(ServiceConfig config = configuration(quiet)) : app(std::move(config)) {
        url = "http://" + to_string(app.start().value());
    }
    ~Service() { app.stop(1s); }

    transport::HttpResponse ask(std::string method, const std::string& path, std::string body = {},
                                const std::string& token = "") {
        transport::Headers headers{{"Content-Type", "application/json"}};
        if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
        auto response = client.send(
            {.method = std::move(method), .url = url + path, .headers = std::move(headers), .body = std::move(body)});
        if (!response) throw std::runtime_error(response.error().message);
        return std::move(*response);
    }
    json get(const std::string& path) { return json::parse(ask("GET", path).body); }
};

}  // namespace

TEST_CASE("an alert becomes an incident and a delivered notification") {
    Service service;
    const auto answer = service.ask("POST", "/v1/alerts", R"({"title": "x", "severity": "P1"})");
    REQUIRE(answer.status == 200);
    const auto id = json::parse(answer.body).at("incident_id").get<std::string>();
    CHECK(service.get("/v1/incidents/" + id).at("title") == "x");
    const auto path = "/v1/incidents/" + id + "/notifications";
    // The dispatcher has threads of its own; each look is a whole request.
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (service.get(path).at("notifications").at(0).at("state") != "delivered") {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
    }
}

TEST_CASE("alerts, reads and reloads do not disturb each other") {
    Service service;
    constexpr int senders = 3;
    constexpr int alerts = 25;
    std::atomic<int> stored{0};
    std::atomic<int> running{senders};
    std::vector<std::jthread> threads;
    for (int sender = 0; sender < senders; ++sender) {
        threads.emplace_back([&, sender] {
            for (int i = 0; i < alerts; ++i) {
                const auto title = std::to_string(sender) + "-" + std::to_string(i);
                if (service.ask("POST", "/v1/alerts", R"({"title": ")" + title + "\"}").status == 200) ++stored;
                if (i % 10 == 0) service.ask("GET", i % 20 == 0 ? "/metrics" : "/health");
            }
            --running;
        });
    }
    const auto one = configuration(quiet);
    const auto other =
        configuration(quiet +
                      "[[destinations]]\nname = \"second\"\ntype = \"log\"\nmax_in_flight = 1\n"
                      "[[routes]]\nto = [\"log\", \"second\"]\n[breakers.\"store\"]\nopen_timeout = \"7s\"\n");
    for (int i = 0; running > 0; ++i) REQUIRE(service.app.reload(i % 2 == 0 ? other : one));
    threads.clear();
    CHECK(stored == senders * alerts);
    CHECK(service.get("/v1/incidents?limit=500").at("incidents").size() == senders * alerts);
}

TEST_CASE("a reload brings destinations and breakers, and ends those that are gone") {
    Service service;
    CHECK(service.ask("GET", "/v1/circuit-breakers/notify:second").status == 404);
    REQUIRE(service.app.reload(configuration(quiet + "[[destinations]]\nname = \"second\"\ntype = \"log\"\n")));
    CHECK(service.ask("GET", "/v1/circuit-breakers/notify:second").status == 200);
    CHECK(service.ask("GET", "/v1/circuit-breakers/notify:log").status == 404);
    REQUIRE(service.app.reload(configuration(quiet)));
    CHECK(service.ask("GET", "/v1/circuit-breakers/notify:second").status == 404);
}

TEST_CASE("a reload says what needs a restart and keeps it as it was") {
    Service service;
    auto config = configuration(quiet);
    CHECK(service.app.reload(config)->empty());
    config.server.listen.port = 1;
    config.server.max_body_bytes = 1024;
    config.server.breaker_state = "elsewhere.json";
    config.store_url = "sqlite:elsewhere.db";
    CHECK(*service.app.reload(config) ==
          std::vector<std::string>{"server.listen", "server.max_body_bytes", "server.breaker_state", "store.url"});
    CHECK(service.ask("POST", "/v1/alerts", R"({"title": "x"})").status == 200);
}

TEST_CASE("a reload that cannot be carried out changes nothing") {
    Service service;
    auto config = configuration(
        quiet + "[[destinations]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://h.example/\"\n", "new");
    config.destinations.front().url = Secret{"nonsense"};
    CHECK_FALSE(service.app.reload(config));
    CHECK(service.ask("POST", "/v1/circuit-breakers/notify:log/reset", "", "admin").status == 200);
    CHECK(service.ask("POST", "/v1/circuit-breakers/notify:log/reset", "", "new").status == 401);
}

TEST_CASE("tokens guard writes, and a reload changes them") {
    Service service{configuration(quiet, "", "in")};
    const std::string alert = R"({"title": "x"})";
    CHECK(service.ask("POST", "/v1/alerts", alert).status == 401);
    CHECK(service.ask("POST", "/v1/alerts", alert, "in").status == 200);
    CHECK(service.ask("POST", "/v1/circuit-breakers/reset", "", "in").status == 403);
    REQUIRE(service.app.reload(configuration(quiet, "admin", "")));
    CHECK(service.ask("POST", "/v1/alerts", alert).status == 200);
    CHECK(service.ask("POST", "/v1/circuit-breakers/reset", "", "in").status == 401);
    CHECK(service.ask("POST", "/v1/circuit-breakers/reset", "", "admin").status == 200);
}

TEST_CASE("an open store breaker is 503 with Retry-After, and stores nothing") {
    Service service{configuration(with_timeout)};
    service.ask("POST", "/v1/circuit-breakers/store/trip", "", "admin");
    const auto refused = service.ask("POST", "/api/v2/alerts", R"([{"labels": {"a": "b"}}])");
    CHECK(refused.status == 503);
    CHECK(refused.header("content-type") == "application/problem+json");
    CHECK(refused.header("retry-after") == "7");
    CHECK(service.ask("GET", "/readyz").status == 503);
    service.ask("POST", "/v1/circuit-breakers/store/reset", "", "admin");
    CHECK(service.get("/v1/incidents").at("incidents").empty());
    CHECK(service.get("/health").at("status") == "pass");
}

TEST_CASE("a store that cannot be opened and a port that is taken are named") {
    auto config = configuration(quiet);
    config.store_url = "sqlite:/proc/nowhere/x.db";
    App no_store{config};
    const auto opened = no_store.start();
    REQUIRE_FALSE(opened);
    CHECK(opened.error().find("/proc/nowhere/x.db") != std::string::npos);

    Service first;
    config = configuration(quiet);
    config.server.listen = *parse_listen_address(first.url.substr(7));
    App second{config};
    const auto bound = second.start();
    REQUIRE_FALSE(bound);
    CHECK(bound.error().find("in use") != std::string::npos);
}

}  // namespace fusebox::test
