#include <fusebox/policies/graceful_degradation.hpp>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

using Level = DegradationLevel;

struct Bench {
    explicit Bench(const DegradationConfig& config = {}, std::uint32_t failures = 0)
        : breaker{std::make_shared<CircuitBreaker>(
              "model",
              CircuitBreakerConfig{
                  .consecutive_failure_threshold = failures, .half_open_max_concurrent = 1, .success_threshold = 2},
              BreakerOptions{.clock = &clock})},
          degradation{breaker, config} {}
    void settle(int successes, int failures) {
        for (int i = 0; i < successes; ++i) breaker->try_acquire()->success();
        for (int i = 0; i < failures; ++i) breaker->try_acquire()->failure();
        clock.advance(100ms);  // what was judged before holds no longer
    }
    ManualClock clock;
    std::shared_ptr<CircuitBreaker> breaker;
    GracefulDegradation degradation;
};

}  // namespace

TEST_CASE("§14: the level follows the breaker: normal, critical, degraded, and normal again") {
    Bench bench;
    CHECK(bench.degradation.level() == Level::normal);
    CHECK_FALSE(bench.degradation.is_degraded());
    bench.breaker->trip();
    CHECK(bench.degradation.level() == Level::critical);
    bench.clock.advance(1h);
    CHECK(bench.degradation.level() == Level::critical);  // R5: reading probes nothing
    bench.breaker->try_acquire()->success();
    CHECK(bench.breaker->state() == State::half_open);
    CHECK(bench.degradation.level() == Level::degraded);
    bench.breaker->try_acquire()->success();
    CHECK(bench.degradation.level() == Level::normal);
    bench.breaker->force_open();
    CHECK(bench.degradation.level() == Level::critical);
    bench.breaker->disable();
    CHECK(bench.degradation.level() == Level::normal);
}

TEST_CASE(
    "§14: closed is degraded from the failure rate's mark on, with the minimum in the window, and back below it") {
    Bench bench{{.degraded_failure_rate = 0.25, .minimum_requests = 8}};
    bench.settle(5, 2);
    CHECK(bench.degradation.level() == Level::normal);  // 2 of 7: too few to judge
    bench.settle(1, 0);
    CHECK(bench.degradation.level() == Level::degraded);  // 2 of 8
    CHECK(bench.degradation.is_degraded());
    bench.settle(1, 0);
    CHECK(bench.degradation.level() == Level::normal);  // 2 of 9
}

TEST_CASE("§14: metrics_only is judged by its failure rate like closed") {
    Bench bench{{.degraded_failure_rate = 0.5, .minimum_requests = 1}};
    bench.breaker->metrics_only();
    CHECK(bench.degradation.level() == Level::normal);
    bench.settle(0, 1);
    CHECK(bench.degradation.level() == Level::degraded);
}

TEST_CASE("§14: a judged rate holds for the refresh time, a transition is seen at once") {
    Bench bench{{.degraded_failure_rate = 0.5, .minimum_requests = 1, .refresh = 1s}};
    CHECK(bench.degradation.level() == Level::normal);
    bench.settle(0, 1);  // and a tenth of a second
    CHECK(bench.degradation.level() == Level::normal);
    bench.clock.advance(900ms);
    CHECK(bench.degradation.level() == Level::degraded);
    bench.breaker->reset();
    CHECK(bench.degradation.level() == Level::normal);
}

TEST_CASE("§14: an operation is handed the level, and its outcome counts while the breaker admits it") {
    Bench bench{{}, 1};
    const auto echo = [](Level level) { return level; };
    CHECK(bench.degradation.call(echo).value() == Level::normal);
    CHECK(bench.breaker->metrics().totals.successes == 1);
    CHECK_FALSE(bench.degradation.call([](Level) { return failed(); }));
    CHECK(bench.breaker->state() == State::open);
    // Open: critical, outside of the breaker.
    CHECK(bench.degradation.call(echo).value() == Level::critical);
    CHECK(bench.breaker->metrics().totals.successes == 1);
    // Recovers by the calls alone: the first one after the retry time is a probe.
    bench.clock.advance(1h);
    CHECK(bench.degradation.call(echo).value() == Level::degraded);
    CHECK(bench.degradation.call(echo).value() == Level::degraded);
    CHECK(bench.breaker->state() == State::closed);
    CHECK(bench.degradation.call(echo).value() == Level::normal);
}

TEST_CASE("§14: while every probe slot is taken the operation is critical") {
    Bench bench;
    bench.breaker->trip();
    bench.clock.advance(1h);
    const auto probe = bench.breaker->try_acquire();
    REQUIRE(probe);
    CHECK(bench.degradation.call([](Level level) { return level; }).value() == Level::critical);
}

TEST_CASE("§14: an admitted operation keeps its answer, also where it is a refusal of its own") {
    Bench bench;
    int calls = 0;
    const auto answer = bench.degradation.call([&](Level) -> Answer {
        ++calls;
        return std::unexpected{CallError<Failure>{Rejection{.kind = Rejection::Kind::rate_limited}}};
    });
    CHECK(refusal(answer) == Rejection::Kind::rate_limited);
    CHECK(calls == 1);
}

TEST_CASE("§14: an operation can take the level and the context, and fail in critical") {
    Bench bench;
    bench.breaker->trip();
    const auto context = CallContext::with_timeout(5s, bench.clock);
    const auto left =
        bench.degradation.call([](Level, const CallContext& inner) { return inner.remaining(); }, context);
    CHECK(left.value() == 5s);
    const auto failing = bench.degradation.call([](Level) -> int { throw std::runtime_error{"no cache either"}; });
    REQUIRE_FALSE(failing);
    CHECK(failing.error().operation_error() != nullptr);
}

TEST_CASE("§14: switched off, degradation is the breaker alone") {
    Bench bench;
    auto copy = bench.degradation;
    copy.set_enabled(false);
    CHECK_FALSE(bench.degradation.enabled());
    bench.breaker->trip();
    CHECK(bench.degradation.level() == Level::normal);
    CHECK(refusal(bench.degradation.call([](Level) { return 7; })) == Rejection::Kind::circuit_open);
    copy.set_enabled(true);
    CHECK(bench.degradation.call([](Level level) { return level; }).value() == Level::critical);
}

TEST_CASE("§14: a degradation's configuration error names every bad field") {
    const DegradationConfig bad{.degraded_failure_rate = 0, .minimum_requests = 0, .refresh = -1s};
    CHECK(bad_fields([&] { Bench{bad}; }) == "invalid degradation: degraded_failure_rate minimum_requests refresh");
    CHECK(to_string(Level::degraded) == "degraded");
}

}  // namespace fusebox::test
