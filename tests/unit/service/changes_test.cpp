#include "config/changes.hpp"

#include "config/config_loader.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace service;
using Names = std::vector<std::string>;

namespace {

ServiceConfig config(const std::string& toml) {
    auto loaded = load_config(toml, [](const std::string&) { return std::optional<std::string>{}; });
    if (!loaded) FAIL(describe(loaded.error().front(), "config"));
    return std::move(*loaded);
}

Names changes(const std::string& before, const std::string& after) {
    return changed_names(config(before), config(after));
}

std::string hook(const std::string& more = "", const std::string& path = "T0") {
    return "[[destinations]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"https://hooks.example/" + path + "\"\n" +
           more;
}

}  // namespace

TEST_CASE("the same configuration, written in another way, has not changed") {
    CHECK(changes("", "").empty());
    CHECK(changes("[log]\nlevel = \"info\"\n[delivery]\nretry_base = \"1s\"", "[delivery]\nretry_base = \"1000ms\"")
              .empty());
    CHECK(changes(hook(), hook("max_in_flight = 4")).empty());
}

TEST_CASE("changed fields are named, in the order of the alphabet") {
    CHECK(changes("[log]\nlevel = \"debug\"", "[incidents]\nflap_window = \"1m\"") ==
          Names{"incidents.flap_window", "log.level"});
    CHECK(changes("", "default_route = []\n[server]\nbreaker_state = \"x\"") ==
          Names{"default_route", "server.breaker_state", "destinations.log removed"});
}

TEST_CASE("bytes that are not UTF-8, from a variable of the environment, can be compared") {
    auto before = config("");
    before.store_url = "sqlite:/data/caf\xe9/x.db";
    auto after = before;
    CHECK(changed_names(before, after).empty());
    after.store_url = "sqlite:/data/caf\xe8/x.db";
    CHECK(changed_names(before, after) == Names{"store.url"});
}

TEST_CASE("a secret that is replaced is named and not shown") {
    CHECK(changes("[server]\nadmin_token = \"one\"\ningest_token = \"a\"", "[server]\nadmin_token = \"two\"") ==
          Names{"server.admin_token", "server.ingest_token"});
    CHECK(changes(hook(), hook("", "T1")) == Names{"destinations.hook changed"});
}

TEST_CASE("destinations, routes and breakers are named") {
    const std::string store = "[breakers.\"store\"]\nopen_timeout = \"7s\"\n";
    CHECK(changes(hook() + "[[routes]]\nto = \"hook\"", "") == Names{"destinations.hook removed", "routes"});
    CHECK(changes("", store) == Names{"breakers.store"});
    // Without a preset of its own the breaker has the one that incidentd gives it.
    CHECK(changes("", "[breakers.\"store\"]\npreset = \"standard\"\n") == Names{"breakers.store"});
    CHECK(changes("", "[breakers.\"store\"]\npreset = \"database\"\noperation_timeout = \"4s\"\n").empty());
    CHECK(changes(store, "[breakers.\"store\"]\nopen_timeout = \"7s\"\ncriticality = \"optional\"") ==
          Names{"breakers.store"});
    CHECK(changes("default_route = [\"log\"]", "default_route = [\"log\"]\n" + hook()) ==
          Names{"destinations.hook added"});
}

}  // namespace fusebox::test
