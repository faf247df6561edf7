#include <fusebox/policies/fallback.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <memory>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

Answer refused() { return std::unexpected{CallError<Failure>{Rejection{.kind = Rejection::Kind::bulkhead_full}}}; }

}  // namespace

TEST_CASE("§14: by default a fallback answers for refusals and leaves failures alone") {
    const auto fallback = fallback_value(-1);
    CHECK(call_with(fallback, [] { return 7; }).value() == 7);
    CHECK(call_with(fallback, refused).value() == -1);
    CHECK_FALSE(call_with(fallback, [] { return failed(); }));
    CHECK(fallback.describe() == "fallback(on rejection)");
}

TEST_CASE("§14: a fallback on any failure answers for failures, too, and is handed the error") {
    const Fallback fallback{[](const CallError<Failure>& error) {
                                return error.operation_error() != nullptr ? error.operation_error()->code : -1;
                            },
                            FallbackOn::any_failure};
    CHECK(call_with(fallback, []() -> Result { return 7; }).value() == 7);
    CHECK(call_with(fallback, refused).value() == -1);
    CHECK(call_with(fallback, [] { return failed(503); }).value() == 503);
    CHECK(fallback.describe() == "fallback(on any failure)");
}

TEST_CASE("§14: a fallback that throws gives an internal error that says both errors") {
    const Fallback fallback{[]() -> int { throw std::runtime_error{"cache is empty"}; }, FallbackOn::any_failure};
    const auto answer =
        call_with(fallback, []() -> std::expected<int, std::string> { return std::unexpected{"no route"}; });
    REQUIRE_FALSE(answer);
    REQUIRE(std::holds_alternative<InternalError>(answer.error().variant()));
    CHECK(std::get<InternalError>(answer.error().variant()).message == "no route; fallback failed: cache is empty");
}

TEST_CASE("R36: a fallback that is given a breaker is counted and reported there, also when it fails") {
    CircuitBreaker breaker{"db"};
    std::vector<bool> failed_ones;
    const auto subscription = breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent& event) {
        if (const auto* executed = std::get_if<FallbackExecutedEvent>(&event)) failed_ones.push_back(executed->failed);
    });
    const auto seven = []() -> int { return 7; };
    const Pipeline good{fallback_value(-1, FallbackOn::rejection, BreakerPolicy{breaker}), BreakerPolicy{breaker}};
    const Pipeline bad{
        Fallback{[]() -> int { throw std::runtime_error{"empty"}; }, FallbackOn::rejection, BreakerPolicy{breaker}},
        BreakerPolicy{breaker}};
    CHECK(good.call(seven).value() == 7);
    CHECK(failed_ones.empty());
    breaker.force_open();
    CHECK(good.call(seven).value() == -1);
    CHECK_FALSE(bad.call(seven));
    CHECK(failed_ones == std::vector<bool>{false, true});
    CHECK(breaker.metrics().totals.fallbacks == 2);
}

TEST_CASE("§14: a fallback serves calls without a value, and values that only move") {
    int ran = 0;
    const Fallback nothing{[&] { ++ran; }, FallbackOn::any_failure};
    CHECK(call_with(nothing, []() -> std::expected<void, Failure> { return std::unexpected{Failure{}}; }));
    CHECK(ran == 1);
    const Fallback made{[] { return std::make_unique<int>(1); }, FallbackOn::any_failure};
    CHECK(*call_with(made, []() -> std::unique_ptr<int> { throw std::runtime_error{"x"}; }).value() == 1);
}

TEST_CASE("§14: a fallback stacks with policies whatever its types are") {
    struct Answered {
        std::string text;
    };
    const Pipeline pipeline{fallback_value(Answered{"default"}, FallbackOn::any_failure)};
    CHECK(pipeline.call([]() -> Answered { throw std::runtime_error{"x"}; }).value().text == "default");
}

TEST_CASE("§10: every error of a call describes itself in a sentence") {
    using Error = CallError<std::string>;
    CHECK(describe(Error{OperationFailed<std::string>{"no route"}}) == "no route");
    CHECK(describe(Error{TimeoutError{1500ms}}) == "timed out after 1.5s");
    CHECK(describe(Error{InternalError{"both failed"}}) == "both failed");
    CHECK(describe(Error{Rejection{.kind = Rejection::Kind::bulkhead_full}}) == "no room for another concurrent call");
    CHECK(describe(Error{Rejection{.kind = Rejection::Kind::rate_limited}}) == "rate limit reached");
    CHECK(describe(CallError<Error>{OperationFailed<Error>{TimeoutError{1s}}}) == "timed out after 1s");
    CHECK(describe(CallError<int>{OperationFailed<int>{7}}) == "operation failed");
    CHECK(to_string(Rejection::Kind::bulkhead_full) == "bulkhead_full");
    CHECK(to_string(Rejection::Kind::rate_limited) == "rate_limited");
}

}  // namespace fusebox::test
