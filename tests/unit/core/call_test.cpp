#include "support/rig.hpp"

namespace fusebox::test {
namespace remote {

enum class Error { down, bad_request, deadline };

Outcome outcome_of(const Error& error) {
    switch (error) {
        case Error::down:
            return Outcome::failure;
        case Error::bad_request:
            return Outcome::ignored;
        case Error::deadline:
            return Outcome::timeout;
    }
    return Outcome::failure;
}

}  // namespace remote

// A namespace with a function of its own by a name that the breaker uses inside.
namespace crowded {

struct Error {};

template <class T>
bool never_reached(const T& /*error*/) {
    return true;
}

}  // namespace crowded

namespace {

using namespace std::chrono_literals;
using Number = std::expected<int, remote::Error>;
using Unjudged = std::expected<int, std::string>;

TEST_CASE("R32: an operation is handed its deadline and stop token, if it wants them") {
    Rig rig;
    std::stop_source stop;
    auto answer = rig.breaker.call(
        [&](const CallContext& context) {
            CHECK(context.deadline() == rig.clock.now() + 10s);
            CHECK(context.remaining() == 10s);
            CHECK_FALSE(context.expired());
            CHECK_FALSE(context.stop_requested());
            stop.request_stop();
            CHECK(context.stop_requested());
            rig.clock.advance(10s);
            CHECK(context.expired());
            CHECK(context.remaining() == 0s);
            return 1;
        },
        {.stop = stop.get_token()});
    CHECK(answer == 1);
    CHECK(rig.breaker.call([] { return 2; }) == 2);
}

TEST_CASE("R32: the earlier of the caller's deadline and the configured one holds") {
    Rig rig;
    const auto deadline = [](const CallContext& context) { return context.deadline(); };
    const auto now = rig.clock.now();
    CHECK(**rig.breaker.call(deadline, {.deadline = now + 3s}) == now + 3s);
    CHECK(**rig.breaker.call(deadline, {.deadline = now + 30s}) == now + 10s);
    auto config = rig.breaker.config();
    config.operation_timeout.reset();
    rig.breaker.reconfigure(config);
    CHECK(**rig.breaker.call(deadline, {.deadline = now + 30s}) == now + 30s);
    CHECK(*rig.breaker.call(deadline) == std::nullopt);
    CHECK(rig.admit().context().deadline() == std::nullopt);
    rig.breaker.reconfigure({});
    CHECK(rig.admit().context().deadline() == now + 10s);
}

TEST_CASE("R33: a call that returns after its deadline is a timeout, and its value still arrives, flagged late") {
    Rig rig;
    auto late = true;
    CHECK(rig.breaker.call([] { return 1; }, {.late = &late}) == 1);
    CHECK_FALSE(late);
    const auto slow = [&] {
        rig.clock.advance(10s + 1ns);
        return 7;
    };
    SECTION("call") { CHECK(rig.breaker.call(slow, {.late = &late}) == 7); }
    SECTION("run") { CHECK(rig.breaker.run(slow, {.late = &late}) == 7); }
    SECTION("expected") {
        CHECK(rig.breaker.call([&] { return Number{slow()}; }, {.late = &late}) == 7);
    }
    SECTION("a late error stays what it is for the caller") {
        const auto answer = rig.breaker.call(
            [&]() -> Number {
                slow();
                return std::unexpected{remote::Error::bad_request};
            },
            {.late = &late});
        CHECK(*answer.error().operation_error() == remote::Error::bad_request);
    }
    SECTION("a late exception too") {
        CHECK_THROWS_AS(rig.breaker.run(
                            [&] {
                                slow();
                                throw std::runtime_error{"no"};
                            },
                            {.late = &late}),
                        std::runtime_error);
    }
    SECTION("who does not ask is not told") {
        CHECK(rig.breaker.call(slow) == 7);
        late = true;
    }
    CHECK(late);
    const auto totals = rig.breaker.metrics().totals;
    CHECK(totals.timeouts == 1);
    CHECK(totals.successes == 1);
    CHECK(rig.window() == WindowCounts{2, 1, 0});
}

TEST_CASE("R33: at the deadline itself a call is in time") {
    Rig rig;
    auto late = false;
    CHECK(rig.breaker.call(
              [&] {
                  rig.clock.advance(10s);
                  return 1;
              },
              {.late = &late}) == 1);
    CHECK_FALSE(late);
    CHECK(rig.breaker.metrics().totals.timeouts == 0);
}

TEST_CASE("§10: an operation returns T and throws") {
    Rig rig;
    auto answer = rig.breaker.call([]() -> int { throw std::runtime_error{"no"}; });
    REQUIRE_FALSE(answer);
    REQUIRE(answer.error().operation_error());
    CHECK_THROWS_WITH(std::rethrow_exception(*answer.error().operation_error()), "no");
    CHECK(answer.error().counts_as_failure());
    CHECK_FALSE(answer.error().is_circuit_protection());
    CHECK(rig.breaker.metrics().totals.failures == 1);

    auto nothing = rig.breaker.call([] {});
    STATIC_REQUIRE(std::is_same_v<decltype(nothing), std::expected<void, CallError<std::exception_ptr>>>);
    CHECK(nothing);
    auto only_moves = rig.breaker.call([] { return std::make_unique<int>(3); });
    CHECK(**only_moves == 3);
}

TEST_CASE("§10: an operation returns expected, judged by outcome_of where there is one") {
    Rig rig;
    const auto result = [&](Number number) { return rig.breaker.call([&] { return number; }); };
    CHECK(result(3) == 3);
    CHECK(*result(std::unexpected{remote::Error::bad_request}).error().operation_error() == remote::Error::bad_request);
    CHECK(rig.breaker.metrics().totals.ignored == 1);
    (void)result(std::unexpected{remote::Error::down});
    (void)result(std::unexpected{remote::Error::deadline});
    CHECK(rig.breaker.metrics().totals.failures == 1);
    CHECK(rig.breaker.metrics().totals.timeouts == 1);
    (void)rig.breaker.call([]() -> Unjudged { return std::unexpected{"what"}; });
    CHECK(rig.breaker.metrics().totals.failures == 2);
    CHECK(rig.breaker.call([]() -> std::expected<void, remote::Error> { return {}; }));
}

TEST_CASE("§10: functions beside the error's type are asked only by the names that are documented") {
    Rig rig;
    const auto answer =
        rig.breaker.call([]() -> std::expected<int, crowded::Error> { return std::unexpected{crowded::Error{}}; });
    CHECK_FALSE(answer);
    CHECK(rig.breaker.metrics().totals.failures == 1);
}

TEST_CASE("§10: an operation that returns expected and throws: recorded as a failure, passed through") {
    Rig rig;
    CHECK_THROWS_AS(rig.breaker.call([]() -> Number { throw std::logic_error{"bug"}; }), std::logic_error);
    CHECK(rig.breaker.metrics().totals.failures == 1);
    CHECK(rig.breaker.metrics().totals.abandoned == 0);
}

TEST_CASE("§3: exceptions are judged by the classifier, a classifier that throws judges failure") {
    Rig rig{{}, {.classify_exception = [](const std::exception_ptr& error) {
                try {
                    std::rethrow_exception(error);
                } catch (const std::invalid_argument&) {
                    return Outcome::ignored;
                }
                // Anything else flies on.
            }}};
    (void)rig.breaker.call([] { throw std::invalid_argument{"ours"}; });
    CHECK_THROWS_AS(rig.breaker.run([] { throw std::invalid_argument{"ours"}; }), std::invalid_argument);
    CHECK(rig.breaker.metrics().totals.ignored == 2);
    (void)rig.breaker.call([] { throw std::runtime_error{"theirs"}; });
    CHECK(rig.breaker.metrics().totals.failures == 1);
}

TEST_CASE("§3: a result can be judged for one call, values included") {
    Rig rig;
    const auto answer =
        rig.breaker.call_classified([] { return 503; },
                                    [](const std::expected<int, std::exception_ptr>& status) {
                                        return status && *status < 500 ? Outcome::success : Outcome::failure;
                                    });
    CHECK(answer == 503);
    CHECK(rig.breaker.metrics().totals.failures == 1);
    CHECK_THROWS_AS(
        rig.breaker.call_classified([] { return 1; }, [](const auto&) -> Outcome { throw std::logic_error{"bug"}; }),
        std::logic_error);
    CHECK(rig.breaker.metrics().totals.abandoned == 1);  // R9
}

TEST_CASE("§10: a rejection is no failure of the dependency, and the operation does not run") {
    Rig rig;
    rig.breaker.trip();
    auto ran = false;
    const auto answer = rig.breaker.call([&] { ran = true; });
    CHECK_FALSE(ran);
    REQUIRE(answer.error().rejection());
    CHECK(answer.error().rejection()->retry_after == 30s);
    CHECK(answer.error().is_circuit_protection());
    CHECK_FALSE(answer.error().counts_as_failure());
    CHECK_FALSE(answer.error().operation_error());
}

TEST_CASE("§10: the throwing form gives the value, CircuitOpenError, or what the operation threw") {
    Rig rig;
    CHECK(rig.breaker.run([] { return std::string{"value"}; }) == "value");
    rig.breaker.run([] {});
    CHECK_THROWS_WITH(rig.breaker.run([]() -> int { throw std::runtime_error{"mine"}; }), "mine");
    CHECK(rig.breaker.metrics().totals.successes == 2);
    CHECK(rig.breaker.metrics().totals.failures == 1);
    rig.breaker.trip();
    try {
        rig.breaker.run([] {});
        FAIL("it ran");
    } catch (const CircuitOpenError& error) {
        CHECK(error.rejection().retry_after == 30s);
        CHECK(std::string_view{error.what()} == "circuit is open, retry after 30s");
    }
}

TEST_CASE("§10: a fallback runs on rejection, or on any failure where chosen") {
    Rig rig;
    const auto fails = []() -> Number { return std::unexpected{remote::Error::down}; };
    CHECK(*rig.breaker.call_with_fallback(fails, [] { return 9; }).error().operation_error() == remote::Error::down);
    CHECK(rig.breaker.metrics().totals.fallbacks == 0);
    CHECK(rig.breaker.call_with_fallback(fails, [] { return 9; }, FallbackOn::any_failure) == 9);
    CHECK(rig.breaker.metrics().totals.fallbacks == 1);
    rig.breaker.trip();
    CHECK(rig.breaker.call_with_fallback(fails, [](const CallError<remote::Error>& error) {
        CHECK(error.rejection());
        return 10;
    }) == 10);
    CHECK(rig.breaker.call_with_fallback([] {}, [] {}));
    CHECK(rig.breaker.metrics().totals.fallbacks == 3);
    rig.breaker.reset();
    CHECK(rig.breaker.call_with_fallback([] { return 1; }, [] { return 2; }) == 1);
    CHECK(rig.breaker.metrics().totals.fallbacks == 3);
}

TEST_CASE("§10: a fallback that fails says both errors") {
    Rig rig;
    const auto worse = []() -> int { throw std::runtime_error{"cache is empty"}; };
    const auto message = [](const auto& answer) { return std::get<InternalError>(answer.error().variant()).message; };
    CHECK(message(rig.breaker.call_with_fallback([]() -> int { throw std::runtime_error{"server is down"}; }, worse,
                                                 FallbackOn::any_failure)) ==
          "server is down; fallback failed: cache is empty");
    CHECK(message(rig.breaker.call_with_fallback([]() -> Unjudged { return std::unexpected{"server is gone"}; }, worse,
                                                 FallbackOn::any_failure)) ==
          "server is gone; fallback failed: cache is empty");
    rig.breaker.trip();
    const auto answer = rig.breaker.call_with_fallback([] { return 1; }, worse);
    CHECK(message(answer) == "circuit is open, retry after 30s; fallback failed: cache is empty");
    CHECK(answer.error().counts_as_failure());
    CHECK(rig.breaker.metrics().totals.fallbacks == 3);
}

TEST_CASE("R9: a call whose result cannot be moved out leaks nothing") {
    struct Explosive {
        Explosive() = default;
        Explosive(Explosive&&) { throw std::runtime_error{"moved"}; }
    };
    Rig rig;
    CHECK_FALSE(rig.breaker.call([] { return Explosive{}; }));
    CHECK(rig.breaker.metrics().totals.admitted == 1);
}

}  // namespace
}  // namespace fusebox::test
