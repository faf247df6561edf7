#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

CircuitBreakerConfig untimed() {
    CircuitBreakerConfig config;
    config.window = CountWindow{10};
    config.operation_timeout.reset();
    config.measure_duration = false;
    return config;
}

// Counts how often it is read.
class CountingClock final : public Clock {
public:
    [[nodiscard]] TimePoint now() const noexcept override {
        ++reads;
        return clock.now();
    }
    [[nodiscard]] WallTime wall_now() const noexcept override { return clock.wall_now(); }
    ManualClock clock;
    mutable int reads = 0;
};

TEST_CASE("R41: with measure_duration off a call reads no clock, is counted, and is in no histogram") {
    CountingClock clock;
    CircuitBreaker breaker{"x", untimed(), {.clock = &clock}};
    clock.reads = 0;
    for (int i = 0; i < 25; ++i) REQUIRE(breaker.call([&] { clock.clock.advance(1s); }).has_value());
    auto permit = breaker.try_acquire();
    permit->success();
    CHECK(clock.reads == 0);

    auto metrics = breaker.metrics();
    CHECK(metrics.totals.successes == 26);
    CHECK(metrics.window.total == 10);
    CHECK(metrics.durations.count() == 0);
    CHECK(metrics.average_duration == 0s);

    // A failure is judged as ever, and its time is known to the report.
    for (int i = 0; i < 5; ++i) REQUIRE_FALSE(breaker.call([] { throw 1; }).has_value());
    metrics = breaker.metrics();
    CHECK(metrics.state == State::open);
    CHECK(metrics.totals.failures == 5);
    CHECK(metrics.durations.count() == 0);
    CHECK(breaker.last_trip()->at == clock.clock.now());
}

TEST_CASE("R41: with measure_duration off probes are in no histogram either") {
    ManualClock clock;
    auto config = untimed();
    config.success_threshold = 3;
    CircuitBreaker breaker{"x", config, {.clock = &clock}};
    breaker.trip();
    clock.advance(1h);
    for (int probe = 0; probe < 3; ++probe) REQUIRE(breaker.call([&] { clock.advance(2s); }).has_value());
    const auto metrics = breaker.metrics();
    CHECK(metrics.state == State::closed);
    CHECK(metrics.totals.probes == 3);
    CHECK(metrics.durations.count() == 0);
    CHECK(metrics.durations.sum == 0s);
}

TEST_CASE("R33: with measure_duration off a deadline that the caller gives still counts") {
    ManualClock clock;
    CircuitBreaker breaker{"x", untimed(), {.clock = &clock}};
    bool late = false;
    const auto late_call = breaker.call([&] { clock.advance(2s); }, {.deadline = clock.now() + 1s, .late = &late});
    CHECK(late_call.has_value());
    CHECK(late);
    CHECK(breaker.metrics().totals.timeouts == 1);
}

TEST_CASE("R51: calls in flight are counted once when measure_duration is turned on or off") {
    ManualClock clock;
    auto timed = untimed();
    timed.measure_duration = true;
    CircuitBreaker breaker{"x", untimed(), {.clock = &clock}};
    auto before = breaker.try_acquire();
    breaker.reconfigure(timed);
    before->success();
    auto between = breaker.try_acquire();
    clock.advance(20ms);
    breaker.reconfigure(untimed());
    between->success();
    REQUIRE(breaker.call([] {}).has_value());

    const auto metrics = breaker.metrics();
    CHECK(metrics.totals.successes == 3);
    CHECK(metrics.window.total == 3);
    CHECK(metrics.durations.count() == 1);
    CHECK(metrics.durations.sum == 20ms);
}

TEST_CASE("R51: a call admitted untimed is recorded at the time of its end where a time window has come meanwhile") {
    ManualClock clock;
    CircuitBreaker breaker{"x", untimed(), {.clock = &clock}};
    auto permit = breaker.try_acquire();
    auto timed = CircuitBreakerConfig{};
    timed.window = TimeWindow{10s, 10};
    breaker.reconfigure(timed);
    clock.advance(30s);
    permit->success();
    CHECK(breaker.metrics().window.total == 1);
    clock.advance(10s);
    CHECK(breaker.metrics().window.total == 1);
    clock.advance(1s);
    CHECK(breaker.metrics().window.total == 0);
}

TEST_CASE("R41: the histogram keeps its calls when measure_duration is turned off and on") {
    ManualClock clock;
    auto timed = untimed();
    timed.measure_duration = true;
    CircuitBreaker breaker{"x", timed, {.clock = &clock}};
    const auto calls = [&](int count) {
        for (int i = 0; i < count; ++i) REQUIRE(breaker.call([] {}).has_value());
        return breaker.metrics().durations.count();
    };
    CHECK(calls(3) == 3);
    breaker.reconfigure(untimed());
    CHECK(calls(4) == 3);
    breaker.reconfigure(timed);
    CHECK(calls(5) == 8);
    CHECK(breaker.metrics().totals.successes == 12);
}

TEST_CASE("measure_duration cannot be off where something needs the time") {
    const auto bad = [](auto change) {
        auto config = untimed();
        change(config);
        const auto errors = validate(config);
        REQUIRE(errors.size() == 1);
        CHECK(errors[0].field == "measure_duration");
        CHECK(errors[0].message.find("operation_timeout") != std::string::npos);
    };
    CHECK(validate(untimed()).empty());
    bad([](CircuitBreakerConfig& config) { config.window = TimeWindow{}; });
    bad([](CircuitBreakerConfig& config) { config.operation_timeout = 1s; });
    bad([](CircuitBreakerConfig& config) { config.slow_call_duration_threshold = 1s; });
    bad([](CircuitBreakerConfig& config) { config.hung_call_threshold = 1s; });
}

}  // namespace
}  // namespace fusebox::test
