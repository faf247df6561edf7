#include "api/access.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>

#include "running_service.hpp"

namespace fusebox::test {

using namespace service;
using nlohmann::json;

namespace {

/// What the API's document says of an operation.
struct Promise {
    std::string role;
    bool refused_without_token{};
};
using Document = std::map<std::pair<std::string, std::string>, Promise>;  // by method and path

/// Reads docs/api/incidentd.openapi.yaml line by line: paths are indented by 2, methods by 4, their fields by 6. An
/// enumerated last segment stands for one path each.
Document read_document() {
    const char* source = std::getenv("FUSEBOX_SOURCE_DIR");
    REQUIRE(source);
    std::ifstream in{std::string{source} + "/docs/api/incidentd.openapi.yaml"};
    REQUIRE(in);
    Document document;
    std::string path;
    std::vector<std::string> actions;
    Promise* current = nullptr;
    std::map<std::string, Promise> of_path;  // by method
    const auto finish = [&] {
        for (const auto& [method, promise] : of_path) {
            const std::string_view action = "/{action}";
            if (!path.ends_with(action)) {
                document[{method, path}] = promise;
                continue;
            }
            for (const auto& name : actions)
                document[{method, path.substr(0, path.size() - action.size()) + "/" + name}] = promise;
        }
        of_path.clear();
        current = nullptr;
    };
    for (std::string line; std::getline(in, line) && line != "components:";) {
        const auto after = [&](std::string_view start) { return line.substr(start.size()); };
        if (line.starts_with("  /")) {
            finish();
            path = line.substr(2, line.size() - 3);
        } else if (line == "    get:" || line == "    post:" || line == "    delete:" || line == "    put:") {
            auto method = line.substr(4, line.size() - 5);
            std::ranges::transform(method, method.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
            current = &of_path[method];
        } else if (current && line.starts_with("      x-role: ")) {
            current->role = after("      x-role: ");
        } else if (current && line.starts_with("      x-without-token: ")) {
            CHECK(after("      x-without-token: ") == "refused");
            current->refused_without_token = true;
        } else if (line.starts_with("        schema: {enum: [reset")) {
            std::istringstream words{line.substr(line.find('[') + 1, line.find(']') - line.find('[') - 1)};
            for (std::string word; std::getline(words, word, ',');)
                actions.push_back(word.substr(word.find_first_not_of(' ')));
        }
    }
    finish();
    return document;
}

/// A path of the route that leads to nothing which could change.
std::string example(std::string pattern) {
    for (const auto& [parameter, value] :
         {std::pair<std::string, std::string>{"{id}", "inc_x"}, {"{name}", "nobody"}}) {
        if (const auto at = pattern.find(parameter); at != std::string::npos)
            pattern.replace(at, parameter.size(), value);
    }
    return pattern;
}

ServerConfig server_with(const std::set<std::string>& tokens) {
    ServerConfig server;
    const auto token = [&](const std::string& name) { return tokens.contains(name) ? Secret{name + "-1"} : Secret{}; };
    server.ingest_token = token("ingest");
    server.read_token = token("read");
    server.operator_token = token("operator");
    server.admin_token = token("admin");
    return server;
}

middleware::Request request_with(const std::string& caller, middleware::NameValues headers = {}) {
    headers.emplace_back("Host", "127.0.0.1:8080");
    if (caller != "nobody") headers.emplace_back("Authorization", "Bearer " + caller + "-1");
    return {.method = "GET", .headers = std::move(headers), .remote_address = "127.0.0.1"};
}

const std::set<std::string> every_token{"ingest", "read", "operator", "admin"};
const std::vector<std::string> callers{"nobody", "wrong", "ingest", "read", "operator", "admin"};

/// Who a route lets in, by what the document promises and by which tokens are configured.
std::set<std::string> let_in(const Promise& promise, const std::set<std::string>& tokens) {
    const std::set<std::string> everybody{callers.begin(), callers.end()};
    const std::map<std::string, std::set<std::string>> ladder{{"ingest", {"ingest"}},
                                                              {"read", {"read", "operator", "admin"}},
                                                              {"operator", {"operator", "admin"}},
                                                              {"admin", {"admin"}}};
    if (promise.role == "none") return everybody;
    const bool guarded = tokens.contains(promise.role) || (promise.role == "operator" && tokens.contains("admin"));
    if (!guarded && !promise.refused_without_token) return everybody;
    std::set<std::string> in;
    std::ranges::set_intersection(ladder.at(promise.role), tokens, std::inserter(in, in.end()));
    return in;
}

}  // namespace

TEST_CASE("the document says of every route the role that the table gives it") {
    const auto document = read_document();
    CHECK(document.size() == access_table().size());
    for (const auto& row : access_table()) {
        CAPTURE(row.method, row.pattern);
        const auto promise = document.find({std::string{row.method}, std::string{row.pattern}});
        REQUIRE(promise != document.end());
        CHECK(promise->second.role == to_string(row.role));
        CHECK(promise->second.refused_without_token == (row.without_token == WithoutToken::refused));
    }
}

TEST_CASE("every route lets in whom its role allows, whatever tokens are configured, and nobody else") {
    const auto document = read_document();
    REQUIRE(document.size() > 20);
    for (const auto& tokens : {std::set<std::string>{}, every_token, std::set<std::string>{"admin"},
                               std::set<std::string>{"operator"}, std::set<std::string>{"read", "ingest"}}) {
        auto config = configuration(quiet_config, "");
        const auto listen = config.server.listen;
        config.server = server_with(tokens);
        config.server.listen = listen;
        RunningService service{std::move(config)};
        for (const auto& [route, promise] : document) {
            const auto allowed = let_in(promise, tokens);
            for (const auto& caller : callers) {
                CAPTURE(tokens.size(), route.first, route.second, caller);
                const auto answer =
                    service.ask(route.first, example(route.second), "", caller == "nobody" ? "" : caller + "-1");
                if (allowed.contains(caller)) {
                    CHECK(answer.status != 401);
                    CHECK(answer.status != 403);
                    CHECK(answer.status < 500);
                } else if (allowed.empty()) {
                    CHECK(answer.status == 403);
                } else {
                    CHECK(answer.status == (tokens.contains(caller) ? 403 : 401));
                    CHECK(answer.header("www-authenticate").starts_with("Bearer"));
                }
            }
        }
    }
}

TEST_CASE("off loopback nothing but liveness and readiness is open, whatever token is missing") {
    for (const auto& row : access_table()) {
        CAPTURE(row.method, row.pattern);
        const Access access{server_with({}), false};
        const auto refusal = access.check(row, request_with("nobody"));
        CHECK(refusal.has_value() == (row.role != Role::none));
        if (refusal) CHECK(refusal->status == 403);
    }
}

TEST_CASE("a caller is named by the most powerful token that it brings, and by what it says") {
    const Access access{server_with(every_token), true};
    for (const auto& [caller, name] : std::map<std::string, std::string>{{"nobody", "none"},
                                                                         {"wrong", "none"},
                                                                         {"ingest", "ingest"},
                                                                         {"read", "read"},
                                                                         {"operator", "operator"},
                                                                         {"admin", "admin"}}) {
        CHECK(to_string(access.caller(request_with(caller))) == name);
    }
    CHECK(name_actor(Role::operate, "anna") == "operator:anna");
    CHECK(name_actor(Role::admin, "") == "admin");
    CHECK(name_actor(Role::none, "system") == "none:system");

    auto same = server_with(every_token);
    same.ingest_token = same.read_token = same.operator_token;
    CHECK(Access{same, true}.caller(request_with("operator")) == Role::operate);
    CHECK_FALSE(Access{same, true}.check(*find_access("POST", "/v1/alerts"), request_with("operator")));
}

TEST_CASE("details of health are for who may read") {
    const Access guarded{server_with(every_token), true};
    CHECK_FALSE(guarded.may_see_details(request_with("nobody")));
    CHECK_FALSE(guarded.may_see_details(request_with("ingest")));
    for (const auto* reader : {"read", "operator", "admin"}) CHECK(guarded.may_see_details(request_with(reader)));
    const Access open{server_with({"admin"}), true};
    CHECK(open.may_see_details(request_with("nobody")));
    CHECK_FALSE(open.may_see_details(request_with("nobody", {{"X-Forwarded-For", "203.0.113.7"}})));
    CHECK(open.may_see_details(request_with("admin", {{"X-Forwarded-For", "203.0.113.7"}})));
}

TEST_CASE("a page of another origin can neither post nor read, whatever it sends") {
    RunningService service{configuration(quiet_config, "")};
    const auto own = service.url.substr(std::string_view{"http://"}.size());
    const auto port = own.substr(own.find(':'));
    const std::string alert = R"({"title": "x"})";
    const auto status = [&](const char* method, const std::string& path, const std::string& body,
                            transport::Headers headers) {
        return service.ask(method, path, body, "", std::move(headers)).status;
    };
    for (const auto* path : {"/v1/alerts", "/v1/incidents/inc_x/resolve"}) {
        CAPTURE(path);
        CHECK(status("POST", path, alert, {{"Origin", "https://evil.example"}}) == 403);
        CHECK(status("POST", path, alert, {{"Origin", "null"}}) == 403);
        CHECK(status("POST", path, alert, {{"Origin", "http://127.0.0.1:1"}}) == 403);
        CHECK(status("POST", path, "", {{"Origin", "https://evil.example"}}) == 403);
        CHECK(status("POST", path, "", {{"Sec-Fetch-Site", "cross-site"}}) == 403);
        CHECK(status("POST", path, "", {{"Sec-Fetch-Site", "same-site"}}) == 403);
    }
    for (const auto* path : {"/v1/incidents", "/livez", "/metrics", "/health"}) {
        CAPTURE(path);
        CHECK(status("GET", path, "", {{"Host", "evil.example" + port}}) == 403);
        CHECK(status("GET", path, "", {{"Origin", "https://evil.example"}}) == 403);
        CHECK(status("GET", path, "", {{"Host", "localhost" + port}}) == 200);
        CHECK(status("GET", path, "", {{"Sec-Fetch-Site", "cross-site"}}) == 200);  // a link that somebody followed
    }
    CHECK(status("POST", "/v1/alerts", alert, {{"Origin", "http://" + own}, {"Sec-Fetch-Site", "same-origin"}}) == 200);
    CHECK(service.get("/v1/incidents").at("incidents").size() == 1);
}

TEST_CASE("a write is JSON by its type, or has neither body nor type") {
    const Access access{server_with({}), true};
    const auto status = [&](middleware::NameValues headers) {
        auto request = request_with("nobody", std::move(headers));
        request.method = "POST";
        const auto refusal = access.check(*find_access("POST", "/v1/alerts"), request);
        return refusal ? refusal->status : 0;
    };
    CHECK(status({}) == 0);
    CHECK(status({{"Content-Length", "0"}}) == 0);
    CHECK(status({{"Content-Type", "application/json"}, {"Content-Length", "2"}}) == 0);
    CHECK(status({{"Content-Length", "2"}}) == 415);
    CHECK(status({{"Transfer-Encoding", "chunked"}}) == 415);
    CHECK(status({{"Content-Type", "text/plain"}}) == 415);
    CHECK(status({{"Content-Type", "application/x-www-form-urlencoded"}, {"Content-Length", "2"}}) == 415);
}

TEST_CASE("who acknowledged is on the timeline, with the name of the token") {
    auto config = configuration(quiet_config);
    config.server.operator_token = Secret{"op"};
    RunningService service{std::move(config)};
    const auto alert = json::parse(service.ask("POST", "/v1/alerts", R"({"title": "x"})").body);
    const auto path = "/v1/incidents/" + alert.at("incident_id").get<std::string>();
    CHECK(service.ask("POST", path + "/acknowledge", R"({"actor": "anna"})", "op").status == 200);
    CHECK(service.ask("POST", path + "/notes", R"({"actor": "a\u001b[2J", "note": "x"})", "op").status == 422);
    CHECK(service.ask("POST", path + "/notes", R"({"actor": "a\u202eb", "note": "x"})", "op").status == 422);
    CHECK(service.ask("POST", path + "/notes", R"({"note": "x"})", "admin").status == 200);
    CHECK(service.ask("POST", path + "/resolve", "", "op").status == 200);
    std::vector<std::string> actors;
    const auto incident = service.get(path);
    for (const auto& event : incident.at("timeline")) actors.push_back(event.at("actor"));
    CHECK(actors == std::vector<std::string>{"alert:api", "operator:anna", "admin", "operator"});

    service.ask("POST", "/v1/circuit-breakers/notify:log/trip", R"({"actor": "anna", "reason": "a drill"})", "op");
    CHECK(service.get("/v1/circuit-breakers/notify:log").at("last_report").at("actor") == "operator:anna");
}

}  // namespace fusebox::test
