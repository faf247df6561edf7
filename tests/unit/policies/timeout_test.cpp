#include <fusebox/core/manual_clock.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/timeout.hpp>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

TEST_CASE("R32: a timeout hands its deadline to the operation, or an earlier one from outside") {
    ManualClock clock;
    const Timeout timeout{2s, clock};
    std::optional<Duration> left;
    const auto look = [&](const CallContext& context) {
        left = context.remaining();
        return 1;
    };
    CHECK(call_with(timeout, look));
    CHECK(left == 2s);
    CHECK(call_with(timeout, look, CallContext::with_timeout(1s, clock)));
    CHECK(left == 1s);
    CHECK(call_with(timeout, look, CallContext::with_timeout(3s, clock)));
    CHECK(left == 2s);
    CHECK(call_with(Pipeline{timeout, Timeout{500ms, clock}}, look));
    CHECK(left == 500ms);
}

TEST_CASE("R33: a late value still reaches the caller, flagged late") {
    ManualClock clock;
    const Timeout timeout{2s, clock};
    bool late = false;
    const auto context = CallContext{clock, std::nullopt}.with_late_flag(&late);
    const auto takes = [&](Duration time) {
        return call_with(
            timeout,
            [&] {
                clock.advance(time);
                return 7;
            },
            context);
    };
    CHECK(takes(2s).value() == 7);
    CHECK_FALSE(late);
    CHECK(takes(2s + 1ns).value() == 7);
    CHECK(late);
    // Without a flag nobody is told, and the value comes all the same.
    CHECK(call_with(timeout, [&] { return clock.advance(3s), 7; }).value() == 7);
}

TEST_CASE("R33: a late error is a timeout, a punctual one stays what it is") {
    ManualClock clock;
    const Timeout timeout{2s, clock};
    const auto fails_after = [&](Duration time) {
        return call_with(timeout, [&] {
            clock.advance(time);
            return failed(504);
        });
    };
    const auto punctual = fails_after(2s);
    REQUIRE(punctual.error().operation_error() != nullptr);
    CHECK(punctual.error().operation_error()->code == 504);
    const auto late = fails_after(2001ms);
    REQUIRE(std::holds_alternative<TimeoutError>(late.error().variant()));
    CHECK(std::get<TimeoutError>(late.error().variant()).after == 2s);
    CHECK(late.error().counts_as_failure());
}

TEST_CASE("§14: a refusal that comes late stays a refusal") {
    ManualClock clock;
    const auto answer = call_with(Timeout{1s, clock}, [&]() -> Answer {
        clock.advance(2s);
        return std::unexpected{CallError<Failure>{Rejection{.kind = Rejection::Kind::bulkhead_full}}};
    });
    CHECK(refusal(answer) == Rejection::Kind::bulkhead_full);
}

TEST_CASE("§14: a timeout says when its limit is out of range") {
    CHECK_THROWS_AS(Timeout{0s}, InvalidConfig);
    CHECK_THROWS_AS(Timeout{-1s}, InvalidConfig);
    CHECK(bad_fields([] { Timeout{24h * 4000}; }) == "invalid timeout: limit");
    CHECK(Timeout{1500ms}.describe() == "timeout(1.5s)");
    CHECK(Timeout{1500ms}.limit() == 1500ms);
}

}  // namespace fusebox::test
