#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/resilient_executor.hpp>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

using Strategy = ResilienceStrategy<int>;

struct Bench {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    std::shared_ptr<CircuitBreaker> breaker{
        std::make_shared<CircuitBreaker>("db", CircuitBreakerConfig{}, BreakerOptions{.clock = &clock})};
    ResilientExecutor<int> executor(Strategy strategy) {
        return {breaker, std::move(strategy), {.clock = &clock, .sleeper = &sleeper, .seed = 1}};
    }
};

}  // namespace

TEST_CASE("§14: fail_fast gives the breaker's answer as it is") {
    Bench bench;
    const auto executor = bench.executor(Strategy::fail_fast());
    CHECK(executor.execute([] { return 7; }).value() == 7);
    CHECK_FALSE(executor.execute([] { return failed(); }));
    bench.breaker->trip();
    CHECK(refusal(executor.execute([] { return 7; })) == Rejection::Kind::circuit_open);
    CHECK(executor.describe() == "breaker(db)");
}

TEST_CASE("§14: fallback(value) answers while the circuit is open, and only then") {
    Bench bench;
    const auto executor = bench.executor(Strategy::fallback(-1));
    CHECK(executor.execute([] { return 7; }).value() == 7);
    CHECK_FALSE(executor.execute([] { return failed(); }));
    bench.breaker->trip();
    CHECK(executor.execute([] { return 7; }).value() == -1);
    CHECK(bench.breaker->metrics().totals.fallbacks == 1);
    CHECK(executor.describe() == "fallback(on rejection) > breaker(db)");
}

TEST_CASE("§14: retry_with_breaker sends each attempt through the breaker, with a growing pause") {
    Bench bench;
    const auto executor = bench.executor(Strategy::retry_with_breaker({.max_attempts = 4, .delay = 1s, .jitter = 0}));
    Script script{bench.clock, {failed(), failed(), failed(), 7}};
    CHECK(executor.execute(script).value() == 7);
    CHECK(bench.breaker->metrics().totals.failures == 3);
    CHECK(bench.breaker->metrics().totals.successes == 1);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{1s, 2s, 4s});
}

TEST_CASE("§14: retry_with_breaker ends when the breaker opens, and gives the refusal") {
    Bench bench;
    const auto executor = bench.executor(Strategy::retry_with_breaker(20, 10ms));
    Script script{bench.clock, {failed()}};
    CHECK(refusal(executor.execute(script)) == Rejection::Kind::circuit_open);
    CHECK(script.calls() == 5);
}

TEST_CASE("§14: retry_with_breaker takes a backoff above the usual longest pause") {
    Bench bench;
    const auto executor = bench.executor(Strategy::retry_with_breaker(2, 1min));
    Script script{bench.clock, {failed(), 7}};
    CHECK(executor.execute(script).value() == 7);
    REQUIRE(bench.sleeper.waits().size() == 1);
    CHECK(bench.sleeper.waits().front() >= 48s);
    CHECK_THROWS_AS(bench.executor(Strategy::retry_with_breaker(0, 1s)), InvalidConfig);
}

TEST_CASE("§14: a resilient executor hands on the context") {
    Bench bench;
    const auto executor = bench.executor(Strategy::fail_fast());
    const auto left =
        executor.execute([](const CallContext& context) { return static_cast<int>(context.remaining()->count()); },
                         CallContext::with_timeout(5ns, bench.clock));
    CHECK(left.value() == 5);
}

}  // namespace fusebox::test
