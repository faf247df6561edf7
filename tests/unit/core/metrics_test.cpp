#include <numeric>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("R41: the snapshot is exact when no call is in flight") {
    CircuitBreakerConfig config;
    config.slow_call_duration_threshold = 1s;
    config.half_open_max_concurrent = 1;
    Rig rig{config};
    CHECK(rig.breaker.metrics().success_rate == 1.0);
    CHECK(rig.breaker.metrics().average_duration == 0s);

    rig.succeed(6, 100ms);
    rig.succeed(2, 2s);
    rig.settle(Outcome::timeout, 1, 300ms);
    rig.settle(Outcome::ignored, 3, 5s);
    {
        const auto dropped = rig.admit();
    }
    rig.fail(1, 100ms);
    auto metrics = rig.breaker.metrics();
    CHECK(metrics.window == WindowCounts{10, 2, 2});
    CHECK(metrics.failure_rate == Approx(0.2));
    CHECK(metrics.success_rate == Approx(0.8));
    CHECK(metrics.slow_call_rate == Approx(0.2));
    CHECK(metrics.consecutive_failures == 2);
    CHECK(metrics.durations.count() == 10);
    CHECK(metrics.durations.sum == 5s);
    CHECK(metrics.average_duration == 500ms);
    CHECK(metrics.durations.buckets[5] == 7);  // up to 0.1 s
    CHECK(metrics.durations.buckets[7] == 1);  // up to 0.5 s
    CHECK(metrics.durations.buckets[9] == 2);  // up to 2.5 s

    rig.fail(3);
    const auto opened = rig.clock.now();
    REQUIRE(rig.state() == State::open);
    for (int i = 0; i < 4; ++i) (void)rig.rejection();
    rig.clock.advance(10s);
    metrics = rig.breaker.metrics();
    CHECK(metrics.last_change == opened);
    CHECK(metrics.last_change_wall == rig.clock.wall_now() - 10s);
    CHECK(metrics.next_attempt == opened + 30s);
    CHECK(metrics.retry_after == 20s);
    CHECK(metrics.open_duration == 10s);
    rig.clock.advance(25s);
    CHECK(rig.breaker.metrics().retry_after == 0s);
    auto probe = rig.admit();
    CHECK(rig.rejection().kind == Rejection::Kind::too_many_probes);
    CHECK(rig.breaker.metrics().probes_in_flight == 1);
    probe.success();

    metrics = rig.breaker.metrics();
    const auto& totals = metrics.totals;
    CHECK(totals.successes == 9);
    CHECK(totals.failures == 4);
    CHECK(totals.timeouts == 1);
    CHECK(totals.ignored == 3);
    CHECK(totals.abandoned == 1);
    CHECK(totals.admitted == 18);
    CHECK(totals.rejected_open == 4);
    CHECK(totals.rejected_probes == 1);
    CHECK(totals.rejected == 5);
    CHECK(totals.requests == 23);
    CHECK(totals.probes == 1);
    CHECK(totals.slow == 5);
    CHECK(totals.stale == 0);
    CHECK(metrics.open_duration == 35s);
    CHECK(metrics.trip_count == 1);
    CHECK(metrics.consecutive_successes == 1);
    CHECK(metrics.transitions[0][1] == 1);
    CHECK(metrics.transitions[1][2] == 1);
    CHECK(metrics.config_version == 1);
}

TEST_CASE("R41: a duration on a bound belongs to its bucket, one beyond the last bound to the last bucket") {
    Rig rig;
    rig.admit().settle(Outcome::success, {.duration = 1ms});
    rig.admit().settle(Outcome::success, {.duration = 1ms + 1ns});
    rig.admit().settle(Outcome::success, {.duration = 60s});
    rig.admit().settle(Outcome::success, {.duration = 60s + 1ns});
    rig.admit().settle(Outcome::success, {.duration = -5s});
    const auto buckets = rig.breaker.metrics().durations.buckets;
    CHECK(buckets[0] == 2);
    CHECK(buckets[1] == 1);
    CHECK(buckets[13] == 1);
    CHECK(buckets[14] == 1);
}

TEST_CASE("R41: time spent open adds up over open and forced open") {
    Rig rig;
    rig.breaker.trip();
    rig.clock.advance(5s);
    rig.breaker.force_open();
    rig.clock.advance(7s);
    CHECK(rig.breaker.metrics().open_duration == 12s);
    rig.breaker.reset();
    rig.clock.advance(1h);
    CHECK(rig.breaker.metrics().open_duration == 12s);
    rig.breaker.trip();
    rig.clock.advance(30s);
    (void)rig.admit();
    rig.clock.advance(10s);
    CHECK(rig.breaker.metrics().open_duration == 42s);
}

TEST_CASE("R41: what was counted before the circuit opened is counted after it") {
    Rig rig;
    for (int i = 0; i < 3; ++i) REQUIRE(rig.breaker.call([&] { rig.clock.advance(100us); }).has_value());
    rig.breaker.force_open();
    rig.rejection();
    rig.breaker.reset();
    for (int i = 0; i < 3; ++i) {
        INFO(i);
        const auto metrics = rig.breaker.metrics();
        CHECK(metrics.totals.successes == 3);
        CHECK(metrics.durations.sum == 300us);
        CHECK(metrics.totals.rejected_open == 1);
        rig.breaker.trip();  // from here on every core may have counters of its own
    }
}

// Stands where the test puts it, as the time of a thread that read it and then waited for another.
struct HeldClock : Clock {
    [[nodiscard]] TimePoint now() const noexcept override { return time; }
    [[nodiscard]] WallTime wall_now() const noexcept override { return {}; }
    TimePoint time{1h};
};

TEST_CASE("R41: the open time that was told does not go back when who ends it read the clock before") {
    HeldClock clock;
    CircuitBreaker breaker{"late", {}, {.clock = &clock}};
    breaker.trip();
    clock.time += 10s;
    REQUIRE(breaker.metrics().open_duration == 10s);
    clock.time -= 1s;
    breaker.reset();
    CHECK(breaker.metrics().open_duration == 10s);
}

TEST_CASE("R41: no part is above its whole and no counter goes back while calls are made") {
    CircuitBreakerConfig config;
    config.window = CountWindow{50};
    config.slow_call_duration_threshold = 1ms;
    config.open_timeout = 1us;
    config.success_threshold = 1;
    CircuitBreaker breaker{"busy", config};
    std::atomic<bool> stop = false;
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller) {
        callers.emplace_back([&breaker, &stop, caller] {
            for (unsigned i = static_cast<unsigned>(caller); !stop; ++i) {
                auto permit = breaker.try_acquire();
                if (!permit) continue;
                if (i % 11 == 0) breaker.reset();  // makes it stale
                permit->settle(static_cast<Outcome>(i % 7 % 5), {.duration = i % 3 == 0 ? 2ms : 1us});
            }
        });
    }
    CircuitBreakerMetrics last;
    for (int i = 0; i < 3000; ++i) {
        const auto metrics = breaker.metrics();
        const auto& totals = metrics.totals;
        REQUIRE(totals.admitted ==
                totals.successes + totals.failures + totals.timeouts + totals.ignored + totals.abandoned);
        REQUIRE(totals.requests == totals.admitted + totals.rejected);
        REQUIRE(totals.stale <= totals.admitted);
        REQUIRE(totals.slow <= totals.admitted);
        REQUIRE(totals.probes <= totals.admitted);
        REQUIRE(metrics.durations.count() == totals.successes + totals.failures + totals.timeouts);
        REQUIRE(metrics.window.total <= 50);
        REQUIRE(metrics.window.failures <= metrics.window.total);
        REQUIRE(metrics.window.slow <= metrics.window.total);
        REQUIRE(metrics.window.failures <= totals.failures + totals.timeouts);
        REQUIRE(metrics.failure_rate <= 1);
        std::uint64_t transitions = 0;
        for (const auto& from : metrics.transitions)
            transitions = std::accumulate(from.begin(), from.end(), transitions);
        REQUIRE(transitions == metrics.generation);
        REQUIRE(metrics.trip_count <= transitions);
        for (const auto counter : {&LifetimeTotals::requests, &LifetimeTotals::admitted, &LifetimeTotals::successes,
                                   &LifetimeTotals::failures, &LifetimeTotals::timeouts, &LifetimeTotals::ignored,
                                   &LifetimeTotals::abandoned, &LifetimeTotals::stale, &LifetimeTotals::slow,
                                   &LifetimeTotals::rejected, &LifetimeTotals::probes}) {
            REQUIRE(totals.*counter >= last.totals.*counter);
        }
        REQUIRE(metrics.open_duration >= last.open_duration);
        REQUIRE(metrics.durations.sum >= last.durations.sum);
        REQUIRE(metrics.generation >= last.generation);
        last = metrics;
    }
    stop = true;
    for (auto& caller : callers) caller.join();
}

}  // namespace
}  // namespace fusebox::test
