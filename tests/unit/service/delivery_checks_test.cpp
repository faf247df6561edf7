#include "config/delivery_checks.hpp"

#include "support/catch.hpp"

namespace fusebox::test {

using namespace service;
using incidents::Route;
using incidents::Severity;

namespace {

Route on(std::vector<Severity> severities, incidents::Labels labels = {}, std::vector<std::string> sources = {}) {
    Route route;
    route.severities = std::move(severities);
    route.labels = std::move(labels);
    route.sources = std::move(sources);
    return route;
}

}  // namespace

TEST_CASE("a route is hidden by an earlier one that takes all that it matches") {
    const Route all;
    const auto worst = on({Severity::p0, Severity::p1});
    const auto p0 = on({Severity::p0});
    const auto team = on({}, {{"team", "llm"}});
    const auto team_p0 = on({Severity::p0}, {{"team", "llm"}, {"zone", "eu"}});
    const auto source = on({}, {}, {"prometheus", "grafana"});
    const auto one_source = on({}, {}, {"grafana"});
    const auto each = on({Severity::p0, Severity::p1, Severity::p2, Severity::p3, Severity::p4});
    const auto hides = [](Route earlier, const Route& later) {
        const std::vector<Route> routes{earlier, later};
        const bool hidden = hidden_by(routes, 1).has_value();
        earlier.continue_matching = true;
        CHECK_FALSE(hidden_by(std::vector<Route>{earlier, later}, 1));
        return hidden;
    };
    for (const auto& later : {all, worst, p0, team, team_p0, source, one_source, each}) {
        CHECK(hides(all, later));
        CHECK(hides(each, later));
        CHECK(hides(later, later));
    }
    CHECK(hides(worst, p0));
    CHECK(hides(worst, team_p0));
    CHECK(hides(team, team_p0));
    CHECK(hides(source, one_source));
    CHECK_FALSE(hides(p0, worst));
    CHECK_FALSE(hides(worst, all));
    CHECK_FALSE(hides(team_p0, team));
    CHECK_FALSE(hides(team, on({}, {{"team", "web"}})));
    CHECK_FALSE(hides(one_source, source));
    CHECK_FALSE(hides(one_source, all));
    CHECK_FALSE(hides(team, source));
}

TEST_CASE("the first route that hides another is the one that is named") {
    const std::vector<Route> routes{on({Severity::p0}), {}, {}, on({Severity::p0})};
    CHECK_FALSE(hidden_by(routes, 0));
    CHECK_FALSE(hidden_by(routes, 1));
    CHECK(hidden_by(routes, 2) == 1U);
    CHECK(hidden_by(routes, 3) == 0U);
}

TEST_CASE("fallbacks that come back are a circle, and those that lead into one are not") {
    const std::vector<DestinationConfig> destinations{{.name = "a", .fallback = "b"},
                                                      {.name = "b", .fallback = "c"},
                                                      {.name = "c", .fallback = "b"},
                                                      {.name = "d", .fallback = "nobody"},
                                                      {.name = "e"}};
    CHECK(fallback_circle(destinations, "b") == "b → c → b");
    CHECK(fallback_circle(destinations, "c") == "c → b → c");
    for (const auto* name : {"a", "d", "e", "nobody"}) CHECK(fallback_circle(destinations, name).empty());
}

TEST_CASE("a name that is there twice is found") {
    CHECK_FALSE(named_twice(std::vector<std::string>{}));
    CHECK_FALSE(named_twice(std::vector<std::string>{"a", "b"}));
    CHECK(named_twice(std::vector<std::string>{"a", "b", "a"}) == "a");
}

TEST_CASE("literal addresses that the guard refuses are found in every form") {
    for (const auto* url :
         {"http://127.0.0.1/x", "http://127.0.0.1:9", "https://user:pass@10.1.2.3/", "http://[::1]:80/",
          "http://[fe80::1]/", "http://169.254.169.254/latest", "http://localhost:9/", "http://LOCALHOST",
          "http://a.localhost/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://127.0.0.1./",
          "http://0.0.0.0?x", "http://[::ffff:10.0.0.1]/", "http://192.168.0.1#x"}) {
        CAPTURE(url);
        CHECK_FALSE(refused_host(url).empty());
    }
    for (const auto* url : {"https://hooks.example/T0/127.0.0.1", "http://8.8.8.8/", "http://[2606:4700::1111]/",
                            "http://127.0.0.1.example/", "http://localhost.example", "", "nonsense", "http://",
                            "http://[", "http://[]", "http://host:127.0.0.1"}) {
        CAPTURE(url);
        CHECK(refused_host(url).empty());
    }
    CHECK(refused_host("https://user:pass@10.1.2.3:8443/secret") == "10.1.2.3");
}

}  // namespace fusebox::test
