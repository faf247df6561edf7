#include <fusebox/incidents/routing.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace incidents;

namespace {

using Names = std::vector<std::string>;

Incident incident(Severity severity, Labels labels = {}, std::string source = "prometheus") {
    Incident made;
    made.severity = severity;
    made.labels = std::move(labels);
    made.source = std::move(source);
    return made;
}

Route route(Names to) {
    Route made;
    made.to = std::move(to);
    return made;
}

}  // namespace

TEST_CASE("with no routes everything goes by the default route") {
    RoutingTable table;
    CHECK(table.destinations_for(incident(Severity::p0)).empty());
    table.default_route = {"log", "mail"};
    CHECK(table.destinations_for(incident(Severity::p0)) == Names{"log", "mail"});
}

TEST_CASE("a route without conditions matches everything, and the default route is not used") {
    RoutingTable table{.routes = {route({"ops"})}, .default_route = {"log"}};
    CHECK(table.destinations_for(incident(Severity::p4)) == Names{"ops"});
}

TEST_CASE("a route matches by any of its severities") {
    RoutingTable table{.routes = {route({"ops"})}, .default_route = {"log"}};
    table.routes[0].severities = {Severity::p0, Severity::p2};
    CHECK(table.destinations_for(incident(Severity::p0)) == Names{"ops"});
    CHECK(table.destinations_for(incident(Severity::p1)) == Names{"log"});
    CHECK(table.destinations_for(incident(Severity::p2)) == Names{"ops"});
}

TEST_CASE("a route matches by any of its sources") {
    RoutingTable table{.routes = {route({"ops"})}, .default_route = {"log"}};
    table.routes[0].sources = {"sentinel", "api"};
    CHECK(table.destinations_for(incident(Severity::p3, {}, "api")) == Names{"ops"});
    CHECK(table.destinations_for(incident(Severity::p3, {}, "prometheus")) == Names{"log"});
}

TEST_CASE("a route matches only with all of its labels, each equal") {
    RoutingTable table{.routes = {route({"ops"})}, .default_route = {"log"}};
    table.routes[0].labels = {{"team", "llm"}, {"env", "prod"}};
    CHECK(table.destinations_for(incident(Severity::p3, {{"env", "prod"}, {"team", "llm"}, {"x", "y"}})) ==
          Names{"ops"});
    CHECK(table.destinations_for(incident(Severity::p3, {{"team", "llm"}})) == Names{"log"});
    CHECK(table.destinations_for(incident(Severity::p3, {{"env", "test"}, {"team", "llm"}})) == Names{"log"});
}

TEST_CASE("all kinds of conditions must hold at once") {
    RoutingTable table{.routes = {route({"ops"})}, .default_route = {"log"}};
    table.routes[0].severities = {Severity::p0};
    table.routes[0].labels = {{"team", "llm"}};
    table.routes[0].sources = {"prometheus"};
    CHECK(table.destinations_for(incident(Severity::p0, {{"team", "llm"}})) == Names{"ops"});
    CHECK(table.destinations_for(incident(Severity::p1, {{"team", "llm"}})) == Names{"log"});
    CHECK(table.destinations_for(incident(Severity::p0, {{"team", "ads"}})) == Names{"log"});
    CHECK(table.destinations_for(incident(Severity::p0, {{"team", "llm"}}, "api")) == Names{"log"});
}

TEST_CASE("the first matching route wins unless it says to go on") {
    RoutingTable table{.routes = {route({"first"}), route({"second"}), route({"third"})}, .default_route = {"log"}};
    table.routes[0].severities = {Severity::p0};
    table.routes[0].continue_matching = true;
    CHECK(table.destinations_for(incident(Severity::p0)) == Names{"first", "second"});
    CHECK(table.destinations_for(incident(Severity::p1)) == Names{"second"});
}

TEST_CASE("a route that goes on where nothing else matches is still a match") {
    RoutingTable table{.routes = {route({"audit"})}, .default_route = {"log"}};
    table.routes[0].continue_matching = true;
    CHECK(table.destinations_for(incident(Severity::p0)) == Names{"audit"});
}

TEST_CASE("a destination is named once, where it first comes") {
    RoutingTable table{.routes = {route({"a", "b", "a"}), route({"c", "b", "d"})}, .default_route = {"log", "log"}};
    table.routes[0].continue_matching = true;
    CHECK(table.destinations_for(incident(Severity::p0)) == Names{"a", "b", "c", "d"});
    table.routes.clear();
    CHECK(table.destinations_for(incident(Severity::p0)) == Names{"log"});
}

TEST_CASE("a route to nowhere silences what it matches") {
    RoutingTable table{.routes = {route({})}, .default_route = {"log"}};
    CHECK(table.destinations_for(incident(Severity::p0)).empty());
}

TEST_CASE("who was told of an incident before is told on, after the routes and once") {
    RoutingTable table{.routes = {route({"ops", "log"})}, .default_route = {}};
    Incident told = incident(Severity::p0);
    told.notified = {"mail", "log", "gone"};
    CHECK(table.destinations_for(told) == Names{"ops", "log", "mail", "gone"});
    table.existing = {"log", "mail", "ops"};
    CHECK(table.destinations_for(told) == Names{"ops", "log", "mail"});
    table.existing.emplace();
    CHECK(table.destinations_for(told) == Names{"ops", "log"});
}

}  // namespace fusebox::test
