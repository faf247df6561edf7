#include <fusebox/middleware/router.hpp>

#include <stdexcept>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;

namespace {

Handler says(std::string text) {
    return
        [text](const Request& request) { return Response{.body = text + std::string{request.path_parameter("name")}}; };
}

std::string answer(const Router& router, const std::string& method, std::string_view target) {
    Request request{.method = method};
    const auto route = router.find(request, target);
    if (!route) return std::to_string(route.error().status);
    auto refusal = (*route)->guard ? (*route)->guard(request) : std::nullopt;
    return refusal ? refusal->body : (*route)->handler(request).body;
}

std::string allow(const Router& router, const std::string& method, std::string_view target) {
    Request request{.method = method};
    const auto route = router.find(request, target);
    REQUIRE_FALSE(route);
    for (const auto& [name, value] : route.error().headers) {
        if (name == "Allow") return value;
    }
    return {};
}

}  // namespace

TEST_CASE("a route is found by its method and its whole path") {
    Router router;
    router.add("GET", "/a", says("list"));
    router.add("GET", "/a/health", says("health"));
    router.add("GET", "/a/{name}", says("one "));
    router.add("POST", "/a/{name}/reset", says("reset "));
    CHECK(answer(router, "GET", "/a") == "list");
    CHECK(answer(router, "HEAD", "/a") == "list");
    CHECK(answer(router, "GET", "/a/x") == "one x");
    CHECK(answer(router, "GET", "/a/health") == "health");
    CHECK(answer(router, "POST", "/a/health/reset") == "reset health");
    for (const auto* target : {"/", "/b", "/a/", "/a/x/y", "//a", "/a/x/reset/", "/A"}) {
        CAPTURE(target);
        CHECK(answer(router, "GET", target) == "404");
    }
}

TEST_CASE("the parameters of a query are decoded, and the first of a name is given") {
    Router router;
    router.add("GET", "/a", says(""));
    Request request{.method = "GET"};
    REQUIRE(router.find(request, "/a?q=caf%C3%A9+au+lait&q=tea&empty=&flag"));
    CHECK(request.query_parameter("q") == "café au lait");
    CHECK(request.query_parameter("empty").empty());
    CHECK(request.query_parameter("flag").empty());
    CHECK(request.query_parameter("Q").empty());
    CHECK(request.query.size() == 4);
}

TEST_CASE("an encoded slash stays inside its segment, and a colon needs no encoding") {
    Router router;
    router.add("GET", "/a/{name}", says(""));
    CHECK(answer(router, "GET", "/a/notify:hook") == "notify:hook");
    CHECK(answer(router, "GET", "/a/http%3A%2F%2Fhost%2Fpath") == "http://host/path");
    CHECK(answer(router, "GET", "/a/caf%C3%A9") == "café");
    CHECK(answer(router, "GET", "/a/a+b") == "a+b");
}

TEST_CASE("a path or query that is not percent-encoded UTF-8 is a bad request") {
    Router router;
    router.add("GET", "/a/{name}", says(""));
    for (const auto* target : {"/a/%", "/a/%4", "/a/%zz", "/a/%ff%fe", "/a/%00", "/a/x%0a", "/a/x?q=%ff", "/a/x?%=1",
                               "a/x", "*", "http://host/a/x"}) {
        CAPTURE(target);
        CHECK(answer(router, "GET", target) == "400");
    }
}

TEST_CASE("query parameters keep their order and their repeats") {
    Router router;
    router.add("GET", "/a", says(""));
    Request request{.method = "GET"};
    REQUIRE(router.find(request, "/a?x=1&y=a+b%26&x=2&flag&&=v"));
    CHECK(request.query == NameValues{{"x", "1"}, {"y", "a b&"}, {"x", "2"}, {"flag", ""}, {"", "v"}});
    CHECK(request.path == "/a");
}

TEST_CASE("a path that takes other methods says which") {
    Router router;
    router.add("GET", "/a/{name}", says(""));
    router.add("POST", "/a/{name}", says(""));
    CHECK(answer(router, "DELETE", "/a/x") == "405");
    CHECK(allow(router, "DELETE", "/a/x") == "GET, HEAD, OPTIONS, POST");
    CHECK(answer(router, "OPTIONS", "/a/x") == "204");
    CHECK(allow(router, "OPTIONS", "/a/x") == "GET, HEAD, OPTIONS, POST");
    CHECK(answer(router, "OPTIONS", "/b") == "404");
}

TEST_CASE("a route that could never be found or run is refused") {
    Router router;
    router.add("GET", "/a", says(""));
    router.add("GET", "/b/{id}", says(""));
    const auto refused = [&](std::string method, std::string pattern, Handler handler) {
        CAPTURE(method, pattern);
        CHECK_THROWS_AS(router.add(std::move(method), std::move(pattern), std::move(handler)), std::invalid_argument);
    };
    refused("GET", "/a", says(""));
    refused("GET", "/b/{name}", says(""));  // matches the same paths
    refused("GET", "a", says(""));
    refused("GET", "", says(""));
    refused("get", "/c", says(""));
    refused("", "/c", says(""));
    refused("HEAD", "/c", says(""));  // is answered by the route of GET
    refused("GET", "/c", {});
    refused("GET", "/c/{}", says(""));
    refused("GET", "/c/{id", says(""));
    refused("GET", "/c/x{id}", says(""));
    refused("GET", "/c/{{id}}", says(""));
    refused("GET", "/c/{id}/{id}", says(""));
    // What is near to them is taken.
    router.add("POST", "/a", says(""));
    router.add("GET", "/b/{id}/{name}", says(""));
    router.add("GET", "/b/id", says(""));
    router.add("GET", "/", says(""));
}

TEST_CASE("each route can be given its guard by a table") {
    Router router;
    router.add("GET", "/open", says("in"));
    router.add("POST", "/shut/{name}", says("in"), [](const Request&) { return std::nullopt; });
    std::vector<std::string> seen;
    router.for_each([&](Route& route) {
        seen.push_back(route.method + " " + route.pattern);
        if (route.method == "POST") route.guard = [](const Request&) { return Response{.body = "kept out"}; };
    });
    CHECK(seen == std::vector<std::string>{"GET /open", "POST /shut/{name}"});
    CHECK(answer(router, "GET", "/open") == "in");
    CHECK(answer(router, "POST", "/shut/x") == "kept out");
}

}  // namespace fusebox::test
