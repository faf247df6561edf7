#include <atomic>
#include <filesystem>
#include <thread>
#include <vector>

#include "api/api.hpp"
#include "running_service.hpp"
#include "support/temporary_folder.hpp"
#include "support/test_certificate.hpp"

namespace fusebox::test {

using namespace service;
using namespace std::chrono_literals;
using nlohmann::json;
using Service = RunningService;

namespace {

const std::string quiet = quiet_config;
/// Two destinations, of which a test makes the last one unusable.
const std::string unusable = quiet +
                             "[[destinations]]\nname = \"second\"\ntype = \"log\"\n"
                             "[[destinations]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://h.example/\"\n";
const std::string with_timeout = quiet + "[breakers.\"store\"]\nopen_timeout = \"7s\"\n";

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
    CHECK(service.app.reload(config)->kept.empty());
    config.server.listen.port = 1;
    config.server.max_body_bytes = 1024;
    config.server.breaker_state = "elsewhere.json";
    config.store_url = "sqlite:elsewhere.db";
    CHECK(service.app.reload(config)->kept ==
          std::vector<std::string>{"server.listen", "server.max_body_bytes", "server.breaker_state", "store.url"});
    CHECK(service.ask("POST", "/v1/alerts", R"({"title": "x"})").status == 200);
}

TEST_CASE("a reload that cannot be carried out changes nothing") {
    Service service;
    auto config = configuration(unusable, "new");
    config.destinations.back().url = Secret{"nonsense"};
    CHECK_FALSE(service.app.reload(config));
    CHECK(service.ask("GET", "/v1/circuit-breakers/notify:second").status == 404);
    CHECK(service.ask("POST", "/v1/circuit-breakers/notify:log/reset", "", "admin").status == 200);
    CHECK(service.ask("POST", "/v1/circuit-breakers/notify:log/reset", "", "new").status == 401);
}

TEST_CASE("a reload that destinations refuse leaves no breaker behind") {
    Service service;
    auto config = configuration(unusable);
    config.destinations.back().max_in_flight = 0;
    CHECK_FALSE(service.app.reload(config));
    for (const auto* name : {"second", "hook"}) {
        CAPTURE(name);
        CHECK(service.ask("GET", std::string{"/v1/circuit-breakers/notify:"} + name).status == 404);
    }
    CHECK(service.ask("GET", "/v1/circuit-breakers/notify:log").status == 200);
}

TEST_CASE("a reload that is refused keeps the certificate, and one that is taken renews it") {
    const TestCertificate first;
    const TestCertificate second;
    const TemporaryFolder folder;
    auto config = configuration(quiet);
    config.server.tls_certificate = (folder.path() / "server.pem").string();
    config.server.tls_key = (folder.path() / "server.key").string();
    const auto install = [&](const TestCertificate& certificate) {
        using enum std::filesystem::copy_options;
        std::filesystem::copy_file(certificate.certificate_file(), config.server.tls_certificate, overwrite_existing);
        std::filesystem::copy_file(certificate.key_file(), config.server.tls_key, overwrite_existing);
    };
    install(first);
    App app{config};
    const auto url = "https://" + to_string(app.start().value()) + "/livez";
    const auto shows = [&](const TestCertificate& certificate) {
        transport::HttpClient client{{.ca_file = certificate.certificate_file()}};
        return client.send({.method = "GET", .url = url, .headers = {}, .body = {}}).has_value();
    };
    CHECK(shows(first));
    install(second);
    auto refused = config;
    refused.destinations.front().max_in_flight = 0;
    CHECK_FALSE(app.reload(refused));
    CHECK(shows(first));
    REQUIRE(app.reload(config));
    CHECK(shows(second));
}

TEST_CASE("tokens guard writes, and a reload changes them") {
    Service service{configuration(quiet, "", "in")};
    const std::string alert = R"({"title": "x"})";
    CHECK(service.ask("POST", "/v1/alerts", alert).status == 401);
    CHECK(service.ask("POST", "/v1/alerts", alert, "in").status == 200);
    CHECK(service.ask("POST", "/v1/circuit-breakers/reset", "", "in").status == 403);
    REQUIRE(service.app.reload(configuration(quiet, "admin", "other")));
    CHECK(service.ask("POST", "/v1/alerts", alert, "in").status == 401);
    CHECK(service.ask("POST", "/v1/alerts", alert, "other").status == 200);
    CHECK(service.ask("POST", "/v1/circuit-breakers/reset").status == 401);
    CHECK(service.ask("POST", "/v1/circuit-breakers/reset", "", "admin").status == 200);
}

TEST_CASE("a reload never opens what a token closed") {
    auto closed = configuration(quiet, "", "in");
    closed.server.read_token = Secret{"reader"};
    closed.server.operator_token = Secret{"anna"};
    Service service{closed};
    const std::string alert = R"({"title": "x"})";
    const auto check_closed = [&] {
        CHECK(service.ask("POST", "/v1/alerts", alert).status == 401);
        CHECK(service.ask("GET", "/v1/incidents").status == 401);
        CHECK(service.ask("POST", "/v1/incidents/inc_x/resolve").status == 401);
    };
    check_closed();
    struct Lost {
        const char* role;
        Secret ServerConfig::* token;
    };
    for (const auto& [role, token] :
         {Lost{"ingest", &ServerConfig::ingest_token}, Lost{"read", &ServerConfig::read_token},
          Lost{"operator", &ServerConfig::operator_token}}) {
        CAPTURE(role);
        auto open = closed;
        open.server.*token = Secret{};
        const auto refused = service.app.reload(open);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().find(role) != std::string::npos);
        check_closed();
    }
    // The admin token guards what the operator token did.
    auto other = closed;
    other.server.operator_token = Secret{};
    other.server.admin_token = Secret{"admin"};
    REQUIRE(service.app.reload(other));
    check_closed();
    CHECK(service.ask("POST", "/v1/incidents/inc_x/resolve", "", "anna").status == 401);
    CHECK(service.ask("POST", "/v1/incidents/inc_x/resolve", "", "admin").status == 404);
}

TEST_CASE("a reload may close what was open") {
    Service service{configuration(quiet, "")};
    CHECK(service.ask("GET", "/v1/incidents").status == 200);
    auto closed = configuration(quiet, "");
    closed.server.read_token = Secret{"reader"};
    REQUIRE(service.app.reload(closed));
    CHECK(service.ask("GET", "/v1/incidents").status == 401);
    CHECK(service.ask("GET", "/v1/incidents", "", "reader").status == 200);
}

TEST_CASE("an address that others can reach is not listened on without tokens, however the configuration was made") {
    auto config = configuration(quiet);
    config.server.listen.host = "192.0.2.1";  // of no machine: nothing is bound should the check be missing
    App app{config};
    const auto started = app.start();
    REQUIRE_FALSE(started);
    CHECK(started.error().find("no token guards: ingest, read") != std::string::npos);
}

TEST_CASE("a 503 of the store names no file of this machine") {
    const auto refused = store_problem(
        {.kind = incidents::StoreError::Kind::unavailable, .message = "/srv/data/incidentd.db: disk is full"});
    CHECK(refused.status == 503);
    CHECK(refused.body.find("/srv") == std::string::npos);
    CHECK(refused.body.find("cannot be reached, read or written") != std::string::npos);
}

TEST_CASE("a 503 of the store asks for a second of patience at the least") {
    using namespace std::chrono_literals;
    const auto retry_after = [](std::optional<std::chrono::milliseconds> hint) {
        const auto refused =
            store_problem({.kind = incidents::StoreError::Kind::rejected, .message = {}, .retry_after = hint});
        return std::ranges::find(refused.headers, "Retry-After", &std::pair<std::string, std::string>::first)->second;
    };
    CHECK(retry_after(0ms) == "1");  // a breaker that an operator holds open
    CHECK(retry_after(std::nullopt) == "1");
    CHECK(retry_after(1001ms) == "2");
}

TEST_CASE("the mistakes of a query are named up to a bound") {
    Service service;
    std::string query = "/v1/incidents?";
    for (int i = 0; i < 100; ++i) query += "unknown" + std::to_string(i) + "=1&";
    query += std::string(3000, 'y') + "=1";
    const auto answer = service.ask("GET", query);
    CHECK(answer.status == 400);
    CHECK(json::parse(answer.body).at("errors").size() == 20);
    const auto long_name = service.ask("GET", "/v1/incidents?" + std::string(3000, 'y') + "=1");
    CHECK(long_name.status == 400);
    CHECK(long_name.body.size() < 2500);
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
