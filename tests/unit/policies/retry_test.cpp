#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/retry.hpp>
#include <numeric>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

struct Bench {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    RetryOptions options() { return {.clock = &clock, .sleeper = &sleeper, .seed = 1}; }
};

constexpr RetryConfig plain{.max_attempts = 3, .delay = 100ms, .multiplier = 2, .max_delay = 10s, .jitter = 0};

}  // namespace

TEST_CASE("§14: a retry calls again after a failure and gives the first value") {
    Bench bench;
    Retry retry{plain, bench.options()};
    Script script{bench.clock, {failed(), failed(), 7}};
    CHECK(call_with(retry, script).value() == 7);
    CHECK(script.calls() == 3);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{100ms, 200ms});
    CHECK(retry.metrics().retries == 2);
    CHECK(retry.metrics().exhausted == 0);
}

TEST_CASE("§14: a retry gives the last error after max_attempts") {
    Bench bench;
    Retry retry{plain, bench.options()};
    Script script{bench.clock, {failed(500), failed(501), failed(502), 7}};
    const auto answer = call_with(retry, script);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().operation_error()->code == 502);
    CHECK(script.calls() == 3);
    CHECK(retry.metrics().exhausted == 1);
}

TEST_CASE("§14: one attempt is no retry") {
    Bench bench;
    auto config = plain;
    config.max_attempts = 1;
    Script script{bench.clock, {failed()}};
    CHECK_FALSE(call_with(Retry{config, bench.options()}, script));
    CHECK(script.calls() == 1);
    CHECK(bench.sleeper.waits().empty());
}

TEST_CASE("§14: pauses grow up to max_delay, or stay the same with a multiplier of 1") {
    Bench bench;
    Script script{bench.clock, {failed()}};
    std::ignore = call_with(
        Retry{{.max_attempts = 5, .delay = 1s, .multiplier = 3, .max_delay = 5s, .jitter = 0}, bench.options()},
        script);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{1s, 3s, 5s, 5s});

    Bench fixed;
    std::ignore =
        call_with(Retry{{.max_attempts = 4, .delay = 1s, .multiplier = 1, .jitter = 0}, fixed.options()}, script);
    CHECK(fixed.sleeper.waits() == std::vector<Duration>{1s, 1s, 1s});
}

TEST_CASE("§14: jitter spreads each pause within its ratio, and the same seed spreads it the same way") {
    const auto pauses = [](std::uint64_t seed) {
        Bench bench;
        auto options = bench.options();
        options.seed = seed;
        Script script{bench.clock, {failed()}};
        options.budget = RetryBudget{{.minimum_per_second = 1000}, bench.clock};
        std::ignore =
            call_with(Retry{{.max_attempts = 100, .delay = 1s, .multiplier = 1, .jitter = 0.25}, options}, script);
        return bench.sleeper.waits();
    };
    const auto first = pauses(1);
    REQUIRE(first.size() == 99);
    const auto [low, high] = std::minmax_element(first.begin(), first.end());
    CHECK(*low >= 750ms);
    CHECK(*low < 800ms);
    CHECK(*high <= 1250ms);
    CHECK(*high > 1200ms);
    CHECK(pauses(1) == first);
    CHECK(pauses(2) != first);
}

TEST_CASE("§14: jitter never lifts a pause above max_delay") {
    Bench bench;
    Script script{bench.clock, {failed()}};
    std::ignore = call_with(
        Retry{{.max_attempts = 9, .delay = 1s, .multiplier = 1, .max_delay = 1s, .jitter = 1}, bench.options()},
        script);
    for (const auto pause : bench.sleeper.waits()) CHECK(pause <= 1s);
}

TEST_CASE("§14: a hint of the error lengthens the pause") {
    Bench bench;
    Script script{bench.clock, {std::unexpected{Failure{503, 30s}}, std::unexpected{Failure{503, 1ms}}, 7}};
    CHECK(call_with(Retry{plain, bench.options()}, script).value() == 7);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{30s, 200ms});
}

TEST_CASE("§14: a hint beyond max_retry_after ends the call") {
    Bench bench;
    Retry retry{plain, bench.options()};
    Script script{bench.clock, {std::unexpected{Failure{503, 61s}}, 7}};
    CHECK_FALSE(call_with(retry, script));
    CHECK(script.calls() == 1);
    CHECK(retry.metrics().out_of_time == 1);
}

TEST_CASE("§14: an error that says nothing about the dependency is not retried") {
    Bench bench;
    Script script{bench.clock, {failed(404), 7}};
    CHECK_FALSE(call_with(Retry{plain, bench.options()}, script));
    CHECK(script.calls() == 1);
}

TEST_CASE("§14: a predicate on the operation's error decides what is retried") {
    Bench bench;
    Retry retry{plain, bench.options(), [](const Failure& failure) { return failure.code == 404; }};
    Script not_found{bench.clock, {failed(404), 7}};
    CHECK(call_with(retry, not_found).value() == 7);
    Script broken{bench.clock, {failed(500), 7}};
    CHECK_FALSE(call_with(retry, broken));

    // Timeouts are no errors of the operation: retried.
    std::size_t calls = 0;
    const auto slow = [&]() -> Answer {
        if (++calls == 1) return std::unexpected{CallError<Failure>{TimeoutError{1s}}};
        return 7;
    };
    CHECK(call_with(retry, slow).value() == 7);
}

TEST_CASE("§14: a predicate on the whole error decides on timeouts, too") {
    Bench bench;
    Retry retry{plain, bench.options(),
                [](const CallError<Failure>& error) { return error.operation_error() != nullptr; }};
    std::size_t calls = 0;
    const auto slow = [&]() -> Answer {
        ++calls;
        return std::unexpected{CallError<Failure>{TimeoutError{1s}}};
    };
    CHECK_FALSE(call_with(retry, slow));
    CHECK(calls == 1);
}

TEST_CASE("§14: exceptions of an operation that throws are retried") {
    Bench bench;
    std::size_t calls = 0;
    const auto answer = call_with(Retry{plain, bench.options()}, [&] {
        if (++calls < 3) throw std::runtime_error{"not yet"};
        return 7;
    });
    CHECK(answer.value() == 7);
    CHECK(calls == 3);
}

TEST_CASE("§14: an exception of an operation that returns expected passes through a retry") {
    Bench bench;
    std::size_t calls = 0;
    const auto thrower = [&]() -> Result {
        ++calls;
        throw std::runtime_error{"bug"};
    };
    CHECK_THROWS_AS(call_with(Retry{plain, bench.options()}, thrower), std::runtime_error);
    CHECK(calls == 1);
}

TEST_CASE("§14: a rejection is never retried, whatever the predicate says") {
    Bench bench;
    Retry retry{plain, bench.options(), [](const CallError<Failure>&) { return true; }};
    using Kind = Rejection::Kind;
    for (const auto kind : {Kind::circuit_open, Kind::too_many_probes, Kind::bulkhead_full, Kind::rate_limited}) {
        std::size_t calls = 0;
        const auto refused = [&]() -> Answer {
            ++calls;
            return std::unexpected{CallError<Failure>{Rejection{.kind = kind}}};
        };
        CHECK(refusal(call_with(retry, refused)) == kind);
        CHECK(calls == 1);
    }
    CHECK(bench.sleeper.waits().empty());
}

TEST_CASE("§14: a retry around a breaker stops when the breaker opens") {
    Bench bench;
    CircuitBreaker breaker{"db", {.consecutive_failure_threshold = 2}, {.clock = &bench.clock}};
    Pipeline pipeline{Retry{{.max_attempts = 10, .jitter = 0}, bench.options()}, BreakerPolicy{breaker}};
    Script script{bench.clock, {failed()}};
    CHECK(refusal(pipeline.call(script)) == Rejection::Kind::circuit_open);
    CHECK(script.calls() == 2);
    CHECK(breaker.state() == State::open);
}

TEST_CASE("§14: a retry never sleeps past the deadline of its context") {
    Bench bench;
    Retry retry{plain, bench.options()};
    Script script{bench.clock, {failed(), failed(), 7}};
    // The first pause fits, the second would end exactly at the deadline.
    const auto answer = call_with(retry, script, CallContext::with_timeout(300ms, bench.clock));
    CHECK_FALSE(answer);
    CHECK(script.calls() == 2);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{100ms});
    CHECK(retry.metrics().out_of_time == 1);

    Script again{bench.clock, {failed(), failed(), 7}};
    CHECK(call_with(retry, again, CallContext::with_timeout(301ms, bench.clock)).value() == 7);
}

TEST_CASE("§14: a stop request ends the pause and the retrying") {
    Bench bench;
    std::stop_source stop;
    bench.sleeper.on_wait([&](Duration) { stop.request_stop(); });
    Retry retry{plain, bench.options()};
    Script script{bench.clock, {failed(), 7}};
    CHECK_FALSE(call_with(retry, script, CallContext{bench.clock, std::nullopt, stop.get_token()}));
    CHECK(script.calls() == 1);
    CHECK(retry.metrics().out_of_time == 1);
    // Stopped before: no pause at all.
    CHECK_FALSE(
        call_with(retry, Script{bench.clock, {failed()}}, CallContext{bench.clock, std::nullopt, stop.get_token()}));
    CHECK(bench.sleeper.waits().size() == 1);
}

TEST_CASE("§14: an internal error is not retried") {
    Bench bench;
    std::size_t calls = 0;
    const auto broken = [&]() -> Answer {
        ++calls;
        return std::unexpected{CallError<Failure>{InternalError{"fallback failed"}}};
    };
    CHECK_FALSE(call_with(Retry{plain, bench.options()}, broken));
    CHECK(calls == 1);
}

TEST_CASE("§14: a retry's configuration error names every bad field") {
    const RetryConfig bad{
        .max_attempts = 0, .delay = -1ms, .multiplier = 0.5, .max_delay = 48h, .jitter = 1.5, .max_retry_after = -1s};
    CHECK(bad_fields([&] { Retry{bad}; }) ==
          "invalid retry: max_attempts delay multiplier max_delay jitter max_retry_after");
    CHECK_THROWS_WITH((Retry{{.delay = 20s}}),
                      "invalid retry configuration: max_delay is 10s, must be at least delay (20s) and at most 1d");
    // A delay that is no delay is no bound.
    CHECK_THROWS_WITH((Retry{{.delay = -1ms, .max_delay = -1s}}),
                      "invalid retry configuration: delay is -1ms, must be at least 0s and at most 1d; "
                      "max_delay is -1s, must be at least 0s and at most 1d");
}

TEST_CASE("§14: a retry describes itself") {
    CHECK(Retry{}.describe() == "retry(3 attempts, 100ms × 2)");
    CHECK(Retry{{.max_attempts = 2, .delay = 1s, .multiplier = 1}}.describe() == "retry(2 attempts, 1s)");
}

}  // namespace fusebox::test
