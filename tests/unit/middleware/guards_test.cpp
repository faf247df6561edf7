#include <fusebox/middleware/access.hpp>
#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;
using namespace std::chrono_literals;

namespace {

Request with_authorization(std::string value) { return {.headers = {{"authorization", std::move(value)}}}; }

int status_of(const std::optional<Response>& refusal) { return refusal ? refusal->status : 0; }

int json_status(std::string body, std::string type = "application/json") {
    return status_of(check_json_body({.headers = {{"Content-Type", std::move(type)}}, .body = std::move(body)}));
}

}  // namespace

TEST_CASE("only the very token opens") {
    const auto guard = require_token("s3cret", "set it");
    CHECK(status_of(guard(with_authorization("Bearer s3cret"))) == 0);
    CHECK(status_of(guard(with_authorization("bearer  s3cret"))) == 0);
    for (const auto* value : {"Bearer s3cre", "Bearer s3cret2", "Bearer S3cret", "Bearer ", "Bearer", "Basic s3cret",
                              "s3cret", "Bearer s3cret "}) {
        CAPTURE(value);
        const auto refusal = guard(with_authorization(value));
        CHECK(status_of(refusal) == 401);
        CHECK(refusal->headers.back() ==
              std::pair<std::string, std::string>{"WWW-Authenticate", R"(Bearer error="invalid_token")"});
        CHECK(refusal->body.find("s3cret") == std::string::npos);
    }
    const auto missing = guard({});
    CHECK(status_of(missing) == 401);
    CHECK(missing->headers.back().second == "Bearer");
}

TEST_CASE("without a configured token nobody gets in, an empty token included") {
    const auto guard = require_token("", "set THE_VARIABLE");
    CHECK(status_of(guard({})) == 403);
    const auto refusal = guard(with_authorization("Bearer "));
    CHECK(status_of(refusal) == 403);
    CHECK(refusal->body.find("THE_VARIABLE") != std::string::npos);
    CHECK_FALSE(carries_token(with_authorization("Bearer "), ""));
}

TEST_CASE("comparison is exact") {
    CHECK(constant_time_equal("", ""));
    CHECK(constant_time_equal("abc", "abc"));
    CHECK_FALSE(constant_time_equal("abc", "abd"));
    CHECK_FALSE(constant_time_equal("abc", "bbc"));
    CHECK_FALSE(constant_time_equal("abc", "ab"));
}

TEST_CASE("a bearer token has only characters that a header can carry") {
    CHECK(is_bearer_token("aZ09-._~+/="));
    for (const auto* text : {"", "a b", "a%41", "a\n", "ä", "a\"b"}) {
        CAPTURE(text);
        CHECK_FALSE(is_bearer_token(text));
    }
}

TEST_CASE("a caller behind a proxy is not local") {
    CHECK(is_local_caller({.remote_address = "127.0.0.1"}));
    CHECK(is_local_caller({.remote_address = "::1"}));
    CHECK_FALSE(is_local_caller({.remote_address = "10.0.0.1"}));
    CHECK_FALSE(is_local_caller({.headers = {{"X-Forwarded-For", "1.2.3.4"}}, .remote_address = "127.0.0.1"}));
    CHECK_FALSE(is_local_caller({.headers = {{"forwarded", "for=1.2.3.4"}}, .remote_address = "127.0.0.1"}));
}

TEST_CASE("brackets inside strings are not nesting") {
    CHECK(measure_json("1").depth == 0);
    CHECK(measure_json("[]").depth == 1);
    CHECK(measure_json(R"({"a": [{}]})").depth == 3);
    CHECK(measure_json(R"(["[[[[", "\"[[["])").depth == 1);
    CHECK(measure_json("]]]][").depth == 1);
}

TEST_CASE("every value of a JSON text is counted, names of members too") {
    for (const auto& [text, values] : {std::pair{"", 0U},
                                       {" \n", 0U},
                                       {"1", 1U},
                                       {"\"a,b\"", 1U},
                                       {"[]", 1U},
                                       {"[{},{},{}]", 4U},
                                       {R"({"a":1,"b":[true,null,-1.5e3]})", 8U},
                                       {R"(["\"", "\\", ","])", 4U},
                                       {"[1,2 ,3\n]", 4U},
                                       {"[[[[", 4U},
                                       {"\"open", 1U},
                                       {"\"open\\", 1U}}) {
        CAPTURE(text);
        CHECK(measure_json(text).values == values);
    }
}

TEST_CASE("a JSON body has a budget of values before anything is built from it") {
    const auto bodies = [](std::size_t objects) {
        std::string text = "[";
        for (std::size_t i = 0; i < objects; ++i) text += i == 0 ? "{}" : ",{}";
        return text + "]";
    };
    const auto check = [](std::string body, std::size_t most) {
        return check_json_body({.headers = {{"Content-Type", "application/json"}}, .body = std::move(body)}, false,
                               most);
    };
    const auto status = [&](std::string body, std::size_t most) { return status_of(check(std::move(body), most)); };
    CHECK(status(bodies(9), 10) == 0);
    CHECK(status(bodies(10), 10) == 413);
    CHECK(json_status(bodies(max_json_values - 1)) == 0);
    CHECK(json_status(bodies(max_json_values)) == 413);
    const auto refusal = check(bodies(10), 10);
    REQUIRE(refusal);
    CHECK(refusal->body.find("11 JSON values") != std::string::npos);
    CHECK(refusal->body.find("10 are taken") != std::string::npos);
}

TEST_CASE("a JSON body is checked before it is parsed") {
    CHECK(json_status("{}") == 0);
    CHECK(json_status("{}", "") == 415);
    CHECK(json_status("{}", "application/json; charset=utf-8") == 0);
    CHECK(json_status("{}", "application/vnd.alert+json") == 0);
    CHECK(json_status("") == 400);
    CHECK(status_of(check_json_body({}, true)) == 0);
    CHECK(status_of(check_json_body({.headers = {{"Content-Type", "text/plain"}}}, true)) == 415);
    CHECK(json_status("{}", "text/plain") == 415);
    CHECK(json_status("{}", "application/x-www-form-urlencoded") == 415);
    CHECK(json_status("{}", "application/jsonp") == 415);
    CHECK(json_status("\"\xff\"") == 400);
    CHECK(json_status(std::string(max_json_depth, '[')) == 0);
    CHECK(json_status(std::string(max_json_depth + 1, '[')) == 400);
}

TEST_CASE("the type of a body is judged by the head, before the body is read") {
    const auto status = [](NameValues headers) { return status_of(check_json_type({.headers = std::move(headers)})); };
    CHECK(status({}) == 0);
    CHECK(status({{"Content-Length", "0"}}) == 0);
    CHECK(status({{"Content-Length", "7"}}) == 415);
    CHECK(status({{"Content-Length", "70"}, {"Content-Type", "Application/JSON;charset=utf-8"}}) == 0);
    CHECK(status({{"Transfer-Encoding", "chunked"}}) == 415);
    CHECK(status({{"Content-Type", "text/plain; application/json"}}) == 415);
}

TEST_CASE("a problem is bounded, whatever it quotes") {
    Problem problem{.status = 422, .detail = std::string(50'000, 'd')};
    for (int i = 0; i < 1000; ++i) problem.errors.push_back({std::string(200'000, 'f'), std::string(10'000, 'm')});
    const auto response = problem_response(problem);
    CHECK(response.body.size() < 80'000);
    CHECK(response.body.find(std::string(ProblemLimits::field, 'f') + "…\"") != std::string::npos);
    CHECK(response.body.find(std::string(ProblemLimits::field + 1, 'f')) == std::string::npos);
    const auto whole = problem_response(Problem{.status = 422, .detail = std::string(ProblemLimits::detail, 'd')});
    CHECK(whole.body.find("…") == std::string::npos);
}

TEST_CASE("a problem says everything a program needs") {
    const auto response = problem_response(
        Problem{.status = 503, .detail = "the store rests", .errors = {{"a[0].b", "is wrong"}}, .retry_after = 1200ms});
    CHECK(response.status == 503);
    CHECK(response.content_type == "application/problem+json");
    CHECK(response.headers == NameValues{{"Retry-After", "2"}});
    CHECK(response.body ==
          R"({"type":"about:blank","title":"Service Unavailable","status":503,"detail":"the store rests",)"
          R"("errors":[{"field":"a[0].b","message":"is wrong"}],"retry_after_seconds":1.2})");
}

TEST_CASE("a problem with bytes that are not UTF-8 is still JSON") {
    const auto response = problem_response(400, "what is \xff");
    CHECK(response.body.find("what is \xEF\xBF\xBD") != std::string::npos);
}

}  // namespace fusebox::test
