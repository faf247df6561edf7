#include "config/config_loader.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include <fusebox/core/presets.hpp>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/test_certificate.hpp"

namespace fusebox::test {

using namespace service;
using namespace std::chrono_literals;

namespace {

const std::string webhook_secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

Environment environment(std::map<std::string, std::string> variables = {}) {
    return [variables = std::move(variables)](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional{found->second};
    };
}

/// "LINE FIELD" of each mistake, separated by "; "; "good" where there is none.
std::string mistakes(std::string_view toml, std::map<std::string, std::string> variables = {}) {
    const auto config = load_config(toml, environment(std::move(variables)));
    if (config) return "good";
    std::string text;
    for (const auto& mistake : config.error()) {
        text += (text.empty() ? "" : "; ") + std::to_string(mistake.line) + " " + mistake.field;
    }
    return text;
}

std::string message(std::string_view toml, std::map<std::string, std::string> variables = {}) {
    const auto config = load_config(toml, environment(std::move(variables)));
    REQUIRE_FALSE(config);
    return config.error().front().message;
}

ServiceConfig good(std::string_view toml, std::map<std::string, std::string> variables = {}) {
    auto config = load_config(toml, environment(std::move(variables)));
    if (!config) FAIL(describe(config.error().front(), "config"));
    return std::move(*config);
}

std::string webhook(const std::string& more = "", const std::string& name = "hook") {
    return "[[destinations]]\nname = \"" + name + "\"\ntype = \"webhook\"\nurl = \"https://hooks.example/T0/path\"\n" +
           more;
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

/// A file that goes away with the test.
struct File {
    TemporaryFolder folder;
    std::filesystem::path path = folder.path() / "content";
    explicit File(std::string_view content) { std::ofstream{path} << content; }
};

}  // namespace

TEST_CASE("no configuration at all is a good configuration") {
    const auto config = good("");
    CHECK(to_string(config.server.listen) == "127.0.0.1:8080");
    CHECK(config.store_url == "sqlite:data/incidentd.db");
    REQUIRE(config.destinations.size() == 1);
    CHECK(config.destinations.front().name == "log");
    CHECK(config.routing.default_route == std::vector<std::string>{"log"});
    CHECK(config.server.admin_token.empty());
}

TEST_CASE("every key is read") {
    const TestCertificate pem;
    const auto config = good(R"(
default_route = ["ops"]
[server]
listen = "[::1]:9000"
admin_token = "admin"
operator_token = "operator"
read_token = "read"
ingest_token = "ingest"
allowed_hosts = ["incidents.example"]
max_body_bytes = 2048
threads = 8
breaker_state = "data/breakers.json"
tls_certificate = ")" + pem.certificate_file() +
                             R"("
tls_key = ")" + pem.key_file() +
                             R"("
[store]
url = "memory:"
[log]
format = "json"
level = "debug"
[incidents]
flap_window = "5m"
max_timeline = 50
resend_period = "2m"
close_after = "3d"
[incidents.severity_map]
Spicy = "P1"
[retention]
incidents = "30d"
notifications = "48h"
[delivery]
retry_base = "2s"
retry_factor = 3
retry_cap = "1m"
max_attempts = 7
max_age = "2h"
send_timeout = "3s"
[breakers."store"]
open_timeout = "5s"
[[destinations]]
name = "ops"
type = "webhook"
url = "http://127.0.0.1:9/x"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
allow_private_addresses = true
ca_file = ")" + pem.certificate_file() +
                             R"("
fallback = "log"
fallback_after = "30s"
max_in_flight = 2
rate_limit = "120/m"
[[routes]]
match = { severity = ["P0", "critical"], labels = { team = "llm" }, source = "prometheus" }
to = "ops"
continue = true
)");
    CHECK(config.server.listen == ListenAddress{.host = "::1", .port = 9000});
    CHECK(config.server.admin_token.reveal() == "admin");
    CHECK(config.server.operator_token.reveal() == "operator");
    CHECK(config.server.read_token.reveal() == "read");
    CHECK(config.server.ingest_token.reveal() == "ingest");
    CHECK(config.server.allowed_hosts == std::vector<std::string>{"incidents.example"});
    CHECK(config.server.max_body_bytes == 2048);
    CHECK(config.server.threads == 8);
    CHECK(config.server.breaker_state == "data/breakers.json");
    CHECK(config.server.tls_certificate == pem.certificate_file());
    CHECK(config.server.tls_key == pem.key_file());
    CHECK(config.store_url == "memory:");
    CHECK(config.log == LogConfig{.json = true, .level = "debug"});
    CHECK(config.rules.flap_window == 5min);
    CHECK(config.rules.max_timeline == 50);
    CHECK(config.rules.resend_period == 2min);
    CHECK(config.rules.close_after == 72h);
    CHECK(config.rules.severity_words.find("spicy") == incidents::Severity::p1);
    CHECK(contains(describe(config), "[incidents.severity_map]\n\"spicy\" = \"P1\"\n"));
    CHECK(config.retention == RetentionConfig{.incidents = 30 * 24h, .notifications = 48h});
    CHECK(config.delivery.retry ==
          notifications::RetryPolicy{.base = 2s, .factor = 3, .cap = 1min, .max_attempts = 7, .max_age = 2h});
    CHECK(config.delivery.send_timeout == 3s);
    CHECK(config.breakers.resolve("store").open_timeout == 5s);
    REQUIRE(config.destinations.size() == 2);
    const auto& ops = config.destinations.front();
    CHECK(ops.type == DestinationType::webhook);
    CHECK(ops.url.reveal() == "http://127.0.0.1:9/x");
    CHECK(ops.secrets == std::vector{Secret{webhook_secret}});
    CHECK(ops.allow_private_addresses);
    CHECK(ops.ca_file == pem.certificate_file());
    CHECK(ops.fallback == "log");
    CHECK(ops.fallback_after == 30s);
    CHECK(ops.max_in_flight == 2);
    CHECK(ops.rate_limit == notifications::RateLimit{.permits = 120, .per = 1min});
    CHECK(config.destinations.back().name == "log");
    REQUIRE(config.routing.routes.size() == 1);
    const auto& route = config.routing.routes.front();
    CHECK(route.severities == std::vector{incidents::Severity::p0, incidents::Severity::p0});
    CHECK(route.labels == incidents::Labels{{"team", "llm"}});
    CHECK(route.sources == std::vector<std::string>{"prometheus"});
    CHECK(route.to == std::vector<std::string>{"ops"});
    CHECK(route.continue_matching);
    CHECK(config.routing.default_route == std::vector<std::string>{"ops"});
}

namespace {

/// What the loader says it knows in a table, by giving it a key that it cannot know.
std::vector<std::string> known_keys(const std::string& table) {
    const auto config = load_config(table + "\nqqqqqqqqqqqq = 1\n", environment());
    REQUIRE_FALSE(config);
    for (const auto& mistake : config.error()) {
        const std::string_view marker = "known are ";
        const auto at = mistake.message.find(marker);
        if (at == std::string::npos) continue;
        std::vector<std::string> keys;
        std::istringstream words{mistake.message.substr(at + marker.size())};
        for (std::string word; std::getline(words, word, ',');)
            keys.push_back(word.substr(word.find_first_not_of(' ')));
        return keys;
    }
    FAIL("no list of known keys for " << table);
    return {};
}

}  // namespace

TEST_CASE("docs/configuration.md names every key that is read, and no other") {
    const char* source = std::getenv("FUSEBOX_SOURCE_DIR");
    REQUIRE(source);
    std::ifstream in{std::string{source} + "/docs/configuration.md"};
    const std::string page{std::istreambuf_iterator<char>{in}, {}};
    std::vector<std::string> known;
    for (const char* table : {"", "[server]", "[store]", "[log]", "[incidents]", "[retention]", "[delivery]",
                              "[[destinations]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"http://h\"", "[[routes]]",
                              "[[routes]]\nto = \"log\"\n[routes.match]"}) {
        for (auto key : known_keys(table)) {
            for (const std::string_view suffix : {"_env", "_file"}) {
                if (key.ends_with(suffix) && key != "ca_file") key = key.substr(0, key.rfind(suffix));
            }
            INFO(table << " " << key);
            const bool named = contains(page, "`" + key + "`") || contains(page, key + " = ") ||
                               contains(page, "[" + key) || contains(page, "store." + key);
            CHECK(named);
            known.push_back(std::move(key));
        }
    }
    CHECK(known.size() > 40);
    std::istringstream lines{page};
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("| `")) continue;
        std::istringstream cell{line.substr(2, line.find(" | ") - 2)};
        std::string between;
        for (std::string name; std::getline(cell, between, '`') && std::getline(cell, name, '`');) {
            INFO(line);
            if (!name.starts_with('_')) CHECK(std::ranges::find(known, name) != known.end());
        }
    }
}

TEST_CASE("each mistake is named with its line and its field") {
    const std::pair<std::string, std::string> table[] = {
        {"this is not TOML", "1 (syntax)"},
        {"a = 1\na = 2", "2 (syntax)"},
        {"[server]\nlisten = \"nowhere\"", "2 server.listen"},
        {"[server]\nlisten = \"127.0.0.1:99999\"", "2 server.listen"},
        {"[server]\nlisten = \"::1:80\"", "2 server.listen"},
        {"[server]\nlisten = 8080", "2 server.listen"},
        {"[server]\nlisen = \"127.0.0.1:1\"", "2 server.lisen"},
        {"[server]\nmax_body_bytes = -1", "2 server.max_body_bytes"},
        {"[server]\nmax_body_bytes = \"4MB\"", "2 server.max_body_bytes"},
        {"[server]\nthreads = 0", "2 server.threads"},
        {"[server]\ntls_key = \"/dev/null\"", "2 server.tls_key"},
        {"[server]\ntls_certificate = \"/nonexistent\"\ntls_key = \"/\"", "2 server.tls_certificate; 3 server.tls_key"},
        {"[server]\nadmin_token = \"a b\"", "2 server.admin_token"},
        {"[server]\nadmin_token = \"a\"\nadmin_token_env = \"B\"", "3 server.admin_token_env"},
        {"[server]\nadmin_token_file = \"/nonexistent\"", "2 server.admin_token_file"},
        {"server = 5", "1 server"},
        {"[stor]\nurl = \"memory:\"", "1 stor"},
        {"[store]\nurl = \"mysql://x\"", "2 store.url"},
        {"[store]\nurl = \"sqlite:\"", "2 store.url"},
        {"[log]\nformat = \"xml\"\nlevel = \"loud\"", "2 log.format; 3 log.level"},
        {"[incidents]\nflap_window = \"soon\"", "2 incidents.flap_window"},
        {"[incidents]\nflap_window = 5", "2 incidents.flap_window"},
        {"[incidents]\nmax_timeline = 1", "2 incidents.max_timeline"},
        {"[incidents]\nresend_period = \"0s\"", "2 incidents.resend_period"},
        {"[incidents]\nclose_after = \"366d\"", "2 incidents.close_after"},
        {"[incidents.severity_map]\npage = \"worst\"", "2 incidents.severity_map.page"},
        {"[incidents.severity_map]\npage = 1", "2 incidents.severity_map.page"},
        {"[incidents.severity_map]\np1 = \"P0\"", "2 incidents.severity_map.p1"},
        {"[retention]\nincidents = \"90s\"\nnotifications = \"1m\"",
         "2 retention.incidents; 3 retention.notifications"},
        {"[retention]\nincidents = \"1h\"", "2 retention.incidents"},
        {"[delivery]\nretry_factor = 0.5\nretry_base = \"10s\"\nretry_cap = \"1s\"",
         "2 delivery.retry_factor; 4 delivery.retry_cap"},
        {"[breakers.\"store\"]\nopen_timeout = \"soon\"", "2 breakers.store.open_timeout"},
        {"destinations = 5", "1 destinations"},
        {"[[destinations]]", "1 destinations[0].name; 1 destinations[0].type"},
        {"[[destinations]]\nname = \"a b\"\ntype = \"log\"", "2 destinations[0].name"},
        {"[[destinations]]\nname = \"a\"\ntype = \"webhok\"", "3 destinations[0].type"},
        {"[[destinations]]\nname = \"a\"\ntype = \"log\"\nurl = \"http://x\"", "4 destinations[0].url"},
        {"[[destinations]]\nname = \"a\"\ntype = \"webhook\"", "1 destinations[0].url"},
        {"[[destinations]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"ftp://x/y\"", "4 destinations[0].url"},
        {"[[destinations]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"http:///x\"", "4 destinations[0].url"},
        {webhook("secret = \"short\""), "5 destinations[0].secret"},
        {webhook("secret_env = \"NOT_SET\""), "5 destinations[0].secret_env"},
        {webhook("ca_file = \"/nonexistent\""), "5 destinations[0].ca_file"},
        {webhook("max_in_flight = 0"), "5 destinations[0].max_in_flight"},
        {webhook("rate_limit = \"fast\""), "5 destinations[0].rate_limit"},
        {webhook("fallback = \"nobody\""), "5 destinations[0].fallback"},
        {webhook("fallback = \"hook\""), "5 destinations[0].fallback"},
        {webhook() + webhook(), "6 destinations[1].name"},
        {"[[routes]]", "1 routes[0].to"},
        {"[[routes]]\nto = []", "2 routes[0].to"},
        {"[[routes]]\nto = [\"nobody\"]", "2 routes[0].to"},
        {"[[routes]]\nto = [5]", "2 routes[0].to"},
        {"[[routes]]\nto = \"log\"\nmatch = { severity = \"P9\" }", "3 routes[0].match.severity"},
        {"[[routes]]\nto = \"log\"\nmatch = { labels = { a = 1 } }", "3 routes[0].match.labels.a"},
        {"[[routes]]\nto = \"log\"\nmatch = { label = { a = \"1\" } }", "3 routes[0].match.label"},
        {"[[routes]]\nto = \"log\"\ncontinue = \"yes\"", "3 routes[0].continue"},
        {"default_route = [\"nobody\"]", "1 default_route"},
        {"[server]\nlisten = \"x\"\n[stor]\n[log]\nlevel = 5", "2 server.listen; 3 stor; 5 log.level"},
    };
    for (const auto& [toml, expected] : table) {
        CAPTURE(toml);
        CHECK(mistakes(toml) == expected);
    }
}

TEST_CASE("what a later version brings is refused, not ignored") {
    for (const auto* toml :
         {"[cache]\nurl = \"redis://x\"", "[sentinel]\nurl = \"http://x\"", "[shield]", "[edge_agent]", "[governance]",
          "[[upstreams]]\nname = \"x\"", "[store]\nurl = \"postgresql://u:hunter2@h/d\"",
          "[[destinations]]\nname = \"a\"\ntype = \"slack\"\nwebhook = \"x\"",
          "[[destinations]]\nname = \"a\"\ntype = \"pagerduty\"", "[[destinations]]\nname = \"a\"\ntype = \"email\""}) {
        CAPTURE(toml);
        CHECK(contains(message(toml), "not supported in this version"));
        CHECK_FALSE(contains(message(toml), "hunter2"));
    }
}

TEST_CASE("a spool may be named, and a local store has no use for it") {
    const auto config = good("[store]\nurl = \"memory:\"\nspool = \"data/spool.db\"");
    CHECK(config.store_url == "memory:");
    CHECK(mistakes("[store]\nspool = 5") == "2 store.spool");
}

TEST_CASE("the routes know every destination that there is, whether or not a route leads there") {
    using Names = std::vector<std::string>;
    CHECK(good("").routing.existing == Names{"log"});
    CHECK(good(webhook("", "a") + webhook("", "b") + "[[routes]]\nto = \"a\"").routing.existing ==
          Names{"a", "b", "log"});
    CHECK(good("default_route = []").routing.existing == Names{});
}

TEST_CASE("a word that is nearly right is guessed") {
    CHECK(contains(message("[server]\nlisen = \"x\""), "did you mean 'listen'?"));
    CHECK(contains(message("[serer]"), "did you mean 'server'?"));
    CHECK(contains(message("[[destinations]]\nname = \"a\"\ntype = \"webhok\""), "did you mean 'webhook'?"));
    CHECK(contains(message(webhook() + "[[routes]]\nto = \"hok\""), "did you mean 'hook'?"));
    CHECK(contains(message("[server]\nzzzzzzzz = 1"), "known are listen"));
}

TEST_CASE("texts are expanded from the environment") {
    const std::map<std::string, std::string> variables{{"HOST", "127.0.0.2"}, {"EMPTY", ""}};
    CHECK(good("[server]\nlisten = \"${HOST}:80\"", variables).server.listen.host == "127.0.0.2");
    CHECK(good("[store]\nurl = \"sqlite:${EMPTY}x$${HOST}$\"", variables).store_url == "sqlite:x${HOST}$");
    CHECK(mistakes("[store]\nurl = \"sqlite:${NOT_SET}\"", variables) == "2 store.url");
    CHECK(contains(message("[store]\nurl = \"sqlite:${NOT_SET}\"", variables), "NOT_SET"));
    CHECK(mistakes("[store]\nurl = \"sqlite:${HOST\"", variables) == "2 store.url");
}

TEST_CASE("a secret comes from the text, a variable or a file") {
    const File file{" from-file \n"};
    const std::map<std::string, std::string> variables{{"TOKEN", "from-variable\n"},
                                                       {"INCIDENTD_ADMIN_TOKEN", "by-default"}};
    const auto token = [&](const std::string& line) {
        return good("[server]\n" + line, variables).server.admin_token.reveal();
    };
    CHECK(token("") == "by-default");
    CHECK(token("admin_token = \"literal\"") == "literal");
    CHECK(token("admin_token = \"${INCIDENTD_ADMIN_TOKEN}\"") == "by-default");
    CHECK(token("admin_token_env = \"TOKEN\"") == "from-variable");
    CHECK(token("admin_token_file = \"" + file.path.string() + "\"") == "from-file");
}

TEST_CASE("a token that is named and not there is a mistake, never an open door") {
    const std::map<std::string, std::string> variables{{"EMPTY", ""}, {"BLANK", " \n"}};
    const File blank{" \n"};
    for (const std::string key : {"admin_token", "operator_token", "read_token", "ingest_token"}) {
        const auto found = [&](const std::string& line) { return mistakes("[server]\n" + key + line, variables); };
        CHECK(found("_env = \"NOT_SET\"") == "2 server." + key + "_env");
        CHECK(found("_env = \"EMPTY\"") == "2 server." + key + "_env");
        CHECK(found("_env = \"BLANK\"") == "2 server." + key + "_env");
        CHECK(found("_file = \"" + blank.path.string() + "\"") == "2 server." + key + "_file");
        CHECK(found(" = \"\"") == "2 server." + key);
        CHECK(found(" = \"${EMPTY}\"") == "2 server." + key);
        CHECK(found("_env = \"\"") == "2 server." + key + "_env");
    }
    // The variable that is read without being named may be missing, but not empty.
    for (const std::string name : {"ADMIN", "OPERATOR", "READ", "INGEST"}) {
        const auto variable = "INCIDENTD_" + name + "_TOKEN";
        CHECK(mistakes("[server]", {{variable, ""}}).ends_with("_token_env"));
        CHECK(contains(message("", {{variable, " "}}), variable + " is set but empty"));
    }
    CHECK(mistakes(webhook("secret_env = \"EMPTY\""), variables) == "5 destinations[0].secret_env");
}

TEST_CASE("two secrets sign while one replaces the other") {
    const auto config = good(webhook("secret_env = \"BOTH\""), {{"BOTH", webhook_secret + " " + webhook_secret}});
    CHECK(config.destinations.front().secrets.size() == 2);
}

TEST_CASE("an address that others can reach needs tokens for ingest, for reading and for operating") {
    const std::string open = "[server]\nlisten = \"0.0.0.0:8080\"";
    using Variables = std::map<std::string, std::string>;
    const Variables all{
        {"INCIDENTD_INGEST_TOKEN", "x"}, {"INCIDENTD_READ_TOKEN", "y"}, {"INCIDENTD_OPERATOR_TOKEN", "z"}};
    CHECK(mistakes(open) == "2 server.listen");
    CHECK(mistakes(open, all) == "good");
    for (const auto& [name, value] : all) {
        auto others = all;
        others.erase(name);
        CHECK(mistakes(open, others) == "2 server.listen");
        CHECK(contains(message(open, others), name));
        for (const auto& [other, ignored] : others) CHECK_FALSE(contains(message(open, others), other));
    }
    auto with_admin = all;
    with_admin.erase("INCIDENTD_OPERATOR_TOKEN");
    with_admin["INCIDENTD_ADMIN_TOKEN"] = "a";
    CHECK(mistakes(open, with_admin) == "good");

    CHECK(mistakes("[server]\nlisten = \"[::]:1\"") == "2 server.listen");
    for (const auto* address : {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"}) {
        CHECK(mistakes("[server]\nlisten = \"" + std::string{address} + "\"") == "good");
    }
    for (const auto* address : {"127.evil.example:1", "localhost.evil.example:1", "127.0.0.1.5:1"}) {
        CHECK(mistakes("[server]\nlisten = \"" + std::string{address} + "\"") == "2 server.listen");
    }
    // What the command line says counts, in both directions.
    CHECK(load_config(open, environment(), ListenAddress{}));
    CHECK_FALSE(load_config("", environment(), ListenAddress{.host = "0.0.0.0"}));
    // Where a service runs, its own address counts, whatever the file names by now.
    const ListenAddress everywhere{.host = "0.0.0.0"};
    CHECK_FALSE(load_config("[server]\nlisten = \"127.0.0.1:1\"", environment(), {}, everywhere));
    CHECK(load_config(open, environment(), {}, ListenAddress{}));
}

TEST_CASE("allowed_hosts are names, with or without a port") {
    CHECK(good("[server]\nallowed_hosts = [\"a.example\", \"b.example:8443\", \"[fd00::1]:80\"]")
              .server.allowed_hosts.size() == 3);
    CHECK(good("[server]\nallowed_hosts = \"a.example\"").server.allowed_hosts ==
          std::vector<std::string>{"a.example"});
    for (const auto* host : {"", "http://a.example", "a.example/x", "*.example", "a b"}) {
        CAPTURE(host);
        CHECK(mistakes("[server]\nallowed_hosts = [\"" + std::string{host} + "\"]") == "2 server.allowed_hosts");
    }
}

TEST_CASE("every incident goes somewhere") {
    const auto default_route = [](const std::string& toml) { return good(toml).routing.default_route; };
    using Names = std::vector<std::string>;
    CHECK(default_route(webhook()) == Names{"hook"});
    CHECK(default_route(webhook("fallback = \"b\"\n") + webhook("", "b")) == Names{"hook"});
    CHECK(default_route(webhook() + "[[routes]]\nto = \"hook\"") == Names{"log"});
    CHECK(good(webhook() + "[[routes]]\nto = \"hook\"").destinations.size() == 2);
    CHECK(good(webhook()).destinations.size() == 1);
    CHECK(good("[[destinations]]\nname = \"log\"\ntype = \"log\"\nmax_in_flight = 1\n").destinations.size() == 1);
}

TEST_CASE("what --check prints has no secret and can be loaded again") {
    const std::map<std::string, std::string> variables{{"SECRET", webhook_secret}};
    const auto config = good(
        "[server]\nadmin_token = \"the-admin-token\"\nread_token = \"the-read-token\"\n"
        "allowed_hosts = [\"a.example\"]\n" +
            webhook("secret_env = \"SECRET\"\nfallback = \"log\"\nrate_limit = \"9/h\"") +
            "\n[[routes]]\nto = \"hook\"\nmatch = { severity = \"P0\", labels = { \"a.b\" = \"c\\\"d\" } }\n",
        variables);
    auto text = describe(config);
    for (const auto* part :
         {"listen = \"127.0.0.1:8080\"", "sqlite:data/incidentd.db", "admin_token = \"***\"",
          "operator_token = \"(not set)\"", "read_token = \"***\"", "ingest_token = \"(not set)\"",
          "allowed_hosts = [\"a.example\"]", "https://hooks.example/…", "rate_limit = \"9/h\"", "flap_window = \"10m\"",
          "# [breakers.\"notify:hook\"], as it is in force\n", "# [breakers.\"store\"], as it is in force\n"}) {
        CAPTURE(part);
        CHECK(contains(text, part));
    }
    for (const auto* secret : {"the-admin-token", "the-read-token", "path", "whsec_"}) {
        CAPTURE(secret);
        CHECK_FALSE(contains(text, secret));
    }
    // But for the masks it is a configuration.
    for (const auto* mask : {"admin_token = \"***\"\n", "operator_token = \"(not set)\"\n", "read_token = \"***\"\n",
                             "ingest_token = \"(not set)\"\n", "secret = \"***\"\n"}) {
        REQUIRE(contains(text, mask));
        text.erase(text.find(mask), std::string_view{mask}.size());
    }
    const auto again = good(text);
    CHECK(again.routing.routes.front().labels == config.routing.routes.front().labels);
    CHECK(again.delivery == config.delivery);
}

TEST_CASE("a URL shows its host at most") {
    CHECK(masked_url("https://user:hunter2@hooks.example:8443/T0/secret?token=x") == "https://hooks.example:8443/…");
    CHECK(masked_url("http://host") == "http://host");
    CHECK(masked_url("http://a@b@host/x") == "http://host/…");
    CHECK(masked_url("nonsense") == "***");
    CHECK(masked_url("http://user:pass/word@host/") == "http://…");
}

TEST_CASE("a file that cannot be read is a mistake of its own") {
    const auto config = load_config_file("/nonexistent.toml", environment());
    REQUIRE_FALSE(config);
    CHECK(contains(config.error().front().message, "cannot be read"));
    CHECK_FALSE(load_config_file("/tmp", environment()));
}

TEST_CASE("only regular files of a bounded size are read, and nobody waits for another kind") {
    const TemporaryFolder folder;
    const auto fifo = (folder.path() / "fifo").string();
    REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
    for (const auto& [file, why] : {std::pair<std::string, const char*>{fifo, "is a FIFO"},
                                    {"/dev/zero", "is a device"},
                                    {folder.path().string(), "is a folder"}}) {
        CAPTURE(file);
        CHECK(contains(load_config_file(file, environment()).error().front().message, why));
        for (const auto& toml : {"[server]\nadmin_token_file = \"" + file + "\"",
                                 "[server]\ntls_certificate = \"" + file + "\"", "[server]\ntls_key = \"" + file + "\"",
                                 webhook("secret_file = \"" + file + "\""), webhook("ca_file = \"" + file + "\"")}) {
            CHECK(contains(message(toml), why));
        }
    }
    const File large{std::string(5U << 20U, 'x')};
    CHECK(contains(load_config_file(large.path, environment()).error().front().message, "more than 1048576 bytes"));
    CHECK(contains(message("[server]\nadmin_token_file = \"" + large.path.string() + "\""), "more than 65536 bytes"));
    CHECK(contains(message(webhook("ca_file = \"" + large.path.string() + "\"")), "more than 4194304 bytes"));
}

TEST_CASE("a text that nests too deep is a mistake with its line") {
    std::string dots;
    for (int i = 0; i < 50'000; ++i) dots += "a.";
    CHECK(mistakes("[log]\n" + dots + "a = 1") == "2 (syntax)");
    CHECK(mistakes("\n\n[" + dots + "a]") == "3 (syntax)");
    CHECK(mistakes("a = " + std::string(50'000, '[')) == "1 (syntax)");
}

TEST_CASE("of very many mistakes in a file the first are named and the others counted") {
    std::string toml = "[log]\n";
    for (int i = 0; i < 1000; ++i) toml += "key" + std::to_string(i) + " = 1\n";
    const auto config = load_config(toml, environment());
    REQUIRE_FALSE(config);
    CHECK(config.error().size() == 101);
    CHECK(config.error().front().line == 2);
    CHECK(config.error().back().message == "900 further mistakes follow");
}

TEST_CASE("a certificate and a key must be what they are said to be, and belong together") {
    const TestCertificate one;
    const TestCertificate other;
    const File garbage{"-----BEGIN PRIVATE KEY-----\nZ2FyYmFnZQ==\n-----END PRIVATE KEY-----\n"};
    const auto server = [](const std::string& certificate, const std::string& key) {
        return "[server]\ntls_certificate = \"" + certificate + "\"\ntls_key = \"" + key + "\"\n";
    };
    const auto good_pair = server(one.certificate_file(), one.key_file());
    CHECK(mistakes(good_pair) == "good");
    CHECK(good(good_pair).warnings.empty());
    CHECK(mistakes(server(garbage.path, one.key_file())) == "2 server.tls_certificate");
    CHECK(mistakes(server(one.key_file(), one.key_file())) == "2 server.tls_certificate");
    CHECK(mistakes(server(one.certificate_file(), garbage.path)) == "3 server.tls_key");
    CHECK(mistakes(server(one.certificate_file(), one.certificate_file())) == "3 server.tls_key");
    CHECK(contains(message(server(one.certificate_file(), other.key_file())),
                   "does not belong to the certificate in " + one.certificate_file()));
    CHECK(mistakes(webhook("ca_file = \"" + one.key_file() + "\"")) == "5 destinations[0].ca_file");
}

TEST_CASE("a certificate that has expired is a warning: nobody is helped by a service that does not start") {
    const TestCertificate expired{{.expired = true}};
    const auto config = good("[server]\ntls_certificate = \"" + expired.certificate_file() + "\"\ntls_key = \"" +
                             expired.key_file() + "\"\n");
    REQUIRE(config.warnings.size() == 1);
    CHECK(config.warnings.front().line == 2);
    CHECK(config.warnings.front().field == "server.tls_certificate");
    CHECK(contains(config.warnings.front().message, "expired at 20"));
}

TEST_CASE("what would be refused, never reached or never end is a mistake with its line and field") {
    const std::string route = "[[routes]]\nto = \"hook\"\n";
    const std::pair<std::string, std::string> table[] = {
        {"[[destinations]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9/x\"", "4 destinations[0].url"},
        {"[[destinations]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"http://localhost/\"", "4 destinations[0].url"},
        {"[[destinations]]\nname = \"a\"\ntype = \"webhook\"\nurl = \"http://[::1]/\"\nallow_private_addresses = true",
         "good"},
        {webhook() + route + route, "8 routes[1].to"},
        {webhook() + route + route + "match = { severity = \"P0\" }\n", "9 routes[1].match"},
        {webhook() + route + "continue = true\n" + route, "good"},
        {webhook() + route + "match = { severity = \"P0\" }\n" + route, "good"},
        // What the first one takes is not known, so that nothing is said of the second.
        {webhook() + route + "match = { severity = \"P9\" }\n" + route, "7 routes[0].match.severity"},
        {webhook("fallback = \"b\"\n", "a") + webhook("fallback = \"a\"\n", "b"),
         "5 destinations[0].fallback; 10 destinations[1].fallback"},
        {webhook("fallback = \"log\"\n", "a") + webhook("fallback = \"a\"\n", "b"), "good"},
        {webhook() + "[[routes]]\nto = [\"hook\", \"log\", \"hook\"]", "6 routes[0].to"},
        {"default_route = [\"log\", \"log\"]", "1 default_route"},
        {"[breakers.\"stors\"]\nopen_timeout = \"5s\"", "1 breakers.\"stors\""},
        {"[breakers.\"notify:hook\"]\nopen_timeout = \"5s\"", "1 breakers.\"notify:hook\""},
        {webhook() + "[breakers.\"notify:hook\"]\nopen_timeout = \"5s\"", "good"},
        {"[breakers.\"notify:log\"]\nopen_timeout = \"5s\"\n[breakers.defaults]\nopen_timeout = \"6s\"", "good"},
        {"[breakers.quick]\nopen_timeout = \"5s\"\n[breakers.store]\ninherits = \"quick\"", "good"},
    };
    for (const auto& [toml, expected] : table) {
        CAPTURE(toml);
        CHECK(mistakes(toml) == expected);
    }
    CHECK(contains(message("[breakers.\"stors\"]\n"), "did you mean 'store'?"));
    CHECK(contains(message(webhook() + route + route), "routes[0] in line 5"));
    CHECK(contains(message(webhook("fallback = \"b\"\n", "a") + webhook("fallback = \"a\"\n", "b")), "a → b → a"));
}

TEST_CASE("the store is tried where that is asked for, and nothing is left behind") {
    const TemporaryFolder folder;
    const auto problem = [](const std::filesystem::path& path) {
        const auto config =
            load_config("[store]\nurl = \"sqlite:" + path.string() + "\"", environment(), {}, {}, StoreCheck::yes);
        if (config) return std::string{};
        CHECK(config.error().front().line == 2);
        CHECK(config.error().front().field == "store.url");
        return config.error().front().message;
    };
    CHECK(problem(folder.path() / "new" / "folder" / "incidentd.db").empty());
    CHECK(problem(folder.path() / "incidentd.db").empty());
    CHECK(std::filesystem::is_empty(folder.path()));
    CHECK(load_config("[store]\nurl = \"memory:\"", environment(), {}, {}, StoreCheck::yes));

    CHECK(contains(problem(folder.path()), "is not a regular file"));
    CHECK(contains(problem("/proc/nowhere/x.db"), "no file can be written in /proc"));
    const File text{"this is not a database, and is long enough"};
    CHECK(contains(problem(text.path), "is no SQLite database"));
    CHECK(contains(problem(text.path / "x.db"), "is not a folder"));
    const File empty{""};
    CHECK(problem(empty.path).empty());
    CHECK(load_config("[store]\nurl = \"sqlite:" + text.path.string() + "\"", environment()));
}

TEST_CASE("texts of the configuration are shown without what steers a terminal") {
    const auto text = describe(good("[store]\nurl = \"sqlite:a\\u001b[2J\\u009b\\u202e\\\"\\\\b\""));
    CHECK(contains(text, R"(url = "sqlite:a\u001b[2J\u009b\u202e\"\\b")"));
    const auto config = load_config("\"a\\u001b[2J\" = 1", environment());
    REQUIRE_FALSE(config);
    CHECK(
        contains(describe(config.error().front(), "x\x1b.toml"), R"(x\u001b.toml:1: a\u001b[2J: is not a known key)"));
}

TEST_CASE("a destination that nothing leads to is a warning") {
    const std::string chat = "[[destinations]]\nname = \"chat\"\ntype = \"log\"\n";
    const std::string pager = "[[destinations]]\nname = \"pager\"\ntype = \"log\"\n";
    const std::string to_chat = "[[routes]]\nto = [\"chat\"]\n";
    const auto config = good(chat + pager + to_chat);
    REQUIRE(config.warnings.size() == 1);
    CHECK(config.warnings.front().line == 5);
    CHECK(config.warnings.front().field == "destinations[1].name");
    CHECK(contains(config.warnings.front().message, "leads to 'pager'"));
    // A route, the default route, the implied one and a fallback each lead somewhere.
    CHECK(good(chat + pager + "[[routes]]\nto = [\"chat\", \"pager\"]\n").warnings.empty());
    CHECK(good("default_route = [\"pager\"]\n" + chat + pager + to_chat).warnings.empty());
    CHECK(good(chat + pager).warnings.empty());
    CHECK(good(chat + "fallback = \"pager\"\n" + pager + to_chat).warnings.empty());
}

}  // namespace fusebox::test
