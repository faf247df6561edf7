#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("R8: an outcome from an older generation changes nothing but the lifetime totals") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 1;
    config.success_threshold = 1;
    Rig rig{config};
    const auto late = GENERATE(Outcome::success, Outcome::failure, Outcome::timeout, Outcome::ignored);
    auto from_closed = rig.admit();
    auto another = rig.admit();
    rig.fail(5);
    rig.clock.advance(30s);
    auto probe = rig.admit();
    const auto before = rig.breaker.metrics();

    from_closed.settle(late);
    auto after = rig.breaker.metrics();
    CHECK(after.state == State::half_open);
    CHECK(after.generation == before.generation);
    CHECK(after.probes_in_flight == 1);  // frees no slot of a later generation
    CHECK(after.window == before.window);
    CHECK(after.totals.stale == before.totals.stale + 1);
    CHECK(after.totals.admitted == before.totals.admitted + 1);
    CHECK(rig.rejection().kind == Rejection::Kind::too_many_probes);

    probe.success();
    REQUIRE(rig.state() == State::closed);
    another.settle(late);
    after = rig.breaker.metrics();
    CHECK(after.window == WindowCounts{});
    CHECK(after.consecutive_failures == 0);
    CHECK(after.totals.stale == before.totals.stale + 2);
}

TEST_CASE("R8: late successes do not close the circuit, late failures do not reopen it") {
    Rig rig;
    std::vector<Permit> old;
    for (int i = 0; i < 20; ++i) old.push_back(rig.admit());
    rig.fail(5);
    for (int i = 0; i < 5; ++i) old[static_cast<std::size_t>(i)].success();
    CHECK(rig.state() == State::open);
    rig.clock.advance(30s);
    auto probe = rig.admit();
    for (std::size_t i = 5; i < 10; ++i) old[i].success();
    CHECK(rig.state() == State::half_open);
    for (std::size_t i = 10; i < 20; ++i) old[i].failure();
    CHECK(rig.state() == State::half_open);
    probe.ignore();
}

TEST_CASE("R9: a permit settles once, and dropped unsettled it is abandoned and frees its slot") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 1;
    Rig rig{config};
    {
        auto permit = rig.admit();
        permit.success();
        permit.failure();
        permit.settle(Outcome::timeout);
    }
    auto metrics = rig.breaker.metrics();
    CHECK(metrics.totals.admitted == 1);
    CHECK(metrics.totals.successes == 1);

    rig.half_open();
    const auto abandoned = rig.breaker.metrics().totals.abandoned;
    {
        auto probe = rig.admit();
        CHECK(rig.rejection().kind == Rejection::Kind::too_many_probes);
    }
    CHECK(rig.breaker.metrics().totals.abandoned == abandoned + 1);
    CHECK(rig.admit().is_probe());
    CHECK(rig.state() == State::half_open);
}

TEST_CASE("R9: a moved permit settles once, and assignment drops what was held") {
    Rig rig;
    auto first = rig.admit();
    auto second = std::move(first);
    first.success();  // NOLINT(bugprone-use-after-move): that it does nothing is the point
    CHECK(rig.breaker.metrics().totals.admitted == 0);
    auto third = rig.admit();
    third = std::move(second);
    CHECK(rig.breaker.metrics().totals.abandoned == 1);
    third.success();
    CHECK(rig.breaker.metrics().totals.successes == 1);
}

TEST_CASE("R9: neither an exception nor an early return leaks a probe slot") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 1;
    Rig rig{config};
    rig.half_open();
    for (int i = 0; i < 10; ++i) {
        try {
            const auto probe = rig.admit();
            throw std::runtime_error{"between admission and settling"};
        } catch (const std::runtime_error&) {
        }
    }
    CHECK(rig.breaker.metrics().probes_in_flight == 0);
}

TEST_CASE("R10: neutral outcomes are in no total that a rate is taken over") {
    Rig rig{rates_only(0.5, 2, TimeWindow{})};
    rig.fail();
    rig.settle(Outcome::ignored, 100);
    rig.settle(Outcome::abandoned, 100);
    CHECK(rig.window() == WindowCounts{1, 1, 0});
    CHECK(rig.state() == State::closed);
    CHECK(rig.breaker.metrics().totals.ignored == 100);
    CHECK(rig.breaker.metrics().totals.abandoned == 100);
    CHECK(rig.breaker.metrics().durations.count() == 1);
    rig.succeed();
    CHECK(rig.state() == State::open);
}

TEST_CASE("R10: a timeout that does not count as a failure is neutral") {
    CircuitBreakerConfig config;
    config.count_timeout_as_failure = false;
    Rig rig{config};
    rig.settle(Outcome::timeout, 50);
    CHECK(rig.state() == State::closed);
    CHECK(rig.window() == WindowCounts{});
    CHECK(rig.breaker.metrics().totals.timeouts == 50);
    rig.half_open();
    rig.settle(Outcome::timeout, 50);
    CHECK(rig.state() == State::half_open);
}

TEST_CASE("R11: a success ends the run of failures, a neutral outcome does not") {
    Rig rig{rates_only(0, 1, TimeWindow{})};
    auto config = rig.breaker.config();
    config.consecutive_failure_threshold = 5;
    rig.breaker.reconfigure(config);
    rig.fail(4);
    rig.succeed();
    CHECK(rig.breaker.metrics().consecutive_failures == 0);
    rig.fail(4);
    rig.settle(Outcome::ignored);
    CHECK(rig.breaker.metrics().consecutive_failures == 4);
    CHECK(rig.state() == State::closed);
    rig.settle(Outcome::timeout);
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.last_trip()->reason == TransitionReason::consecutive_failures);
    CHECK(rig.breaker.last_trip()->observed == 5);
    CHECK(rig.breaker.last_trip()->threshold == 5);
}

TEST_CASE("R11: a slow success ends the run as well") {
    CircuitBreakerConfig config;
    config.slow_call_duration_threshold = 1s;
    Rig rig{config};
    rig.fail(4);
    rig.succeed(1, 2s);
    CHECK(rig.breaker.metrics().consecutive_failures == 0);
}

TEST_CASE("R11: a run whose latest failure is older than the time window is forgotten") {
    Rig rig{[] {
        CircuitBreakerConfig config;
        config.failure_rate_threshold = 0;
        config.window = TimeWindow{.duration = 10s, .slices = 10};
        return config;
    }()};
    rig.fail(4);
    SECTION("exactly as old as the window it still counts") {
        rig.clock.advance(10s);
        CHECK(rig.breaker.metrics().consecutive_failures == 4);
        rig.fail();
        CHECK(rig.state() == State::open);
    }
    SECTION("older it does not") {
        rig.clock.advance(10s + 1ns);
        CHECK(rig.breaker.metrics().consecutive_failures == 0);
        rig.fail();
        CHECK(rig.state() == State::closed);
        CHECK(rig.breaker.metrics().consecutive_failures == 1);
        rig.fail(4);
        CHECK(rig.state() == State::open);
    }
    SECTION("each failure keeps the run alive") {
        rig.clock.advance(9s);
        rig.succeed();
        for (int i = 0; i < 4; ++i) {
            rig.fail();
            rig.clock.advance(9s);
        }
        rig.fail();
        CHECK(rig.state() == State::open);
    }
}

TEST_CASE("R11: a count window forgets no run by time") {
    CircuitBreakerConfig config;
    config.window = CountWindow{100};
    Rig rig{config};
    rig.fail(4);
    rig.clock.advance(1000h);
    rig.fail();
    CHECK(rig.state() == State::open);
}

TEST_CASE("R12: failures in a row are judged first, then the failure rate, then the slow rate") {
    CircuitBreakerConfig config;
    config.minimum_requests = 5;
    config.slow_call_duration_threshold = 1s;
    config.slow_call_rate_threshold = 0.5;
    SECTION("all three at once") {
        Rig rig{config};
        rig.fail(5, 2s);
        CHECK(rig.breaker.last_trip()->reason == TransitionReason::consecutive_failures);
    }
    SECTION("both rates at once") {
        config.consecutive_failure_threshold = 0;
        Rig rig{config};
        rig.fail(5, 2s);
        CHECK(rig.breaker.last_trip()->reason == TransitionReason::failure_rate);
        CHECK(rig.breaker.last_trip()->observed == 1.0);
    }
    SECTION("slow successes") {
        config.consecutive_failure_threshold = 0;
        Rig rig{config};
        rig.succeed(5, 2s);
        CHECK(rig.breaker.last_trip()->reason == TransitionReason::slow_call_rate);
        CHECK(rig.breaker.last_trip()->window == WindowCounts{5, 0, 5});
        CHECK(describe(*rig.breaker.last_trip()) == "closed → open: 100 % of 5 calls were slow (threshold 50 %)");
    }
    SECTION("a call exactly as long as the threshold is slow, a shorter one is not") {
        Rig rig{config};
        rig.succeed(1, 1s);
        rig.succeed(1, 1s - 1ns);
        CHECK(rig.window() == WindowCounts{2, 0, 1});
    }
}

TEST_CASE("R12: rates are judged with minimum_requests in the window, and the threshold itself trips") {
    Rig rig{rates_only(0.3, 10, TimeWindow{})};
    rig.fail(3);
    rig.succeed(6);
    CHECK(rig.state() == State::closed);
    SECTION("a plain success brings the window to its minimum, and trips") {
        rig.succeed();
        CHECK(rig.state() == State::open);
        CHECK(rig.breaker.last_trip()->window == WindowCounts{10, 3, 0});
        CHECK(rig.breaker.last_trip()->observed == Approx(0.3));
        CHECK(describe(*rig.breaker.last_trip()) == "closed → open: 30 % of 10 calls failed (threshold 30 %)");
    }
    SECTION("one neutral call does not") {
        rig.settle(Outcome::ignored);
        CHECK(rig.state() == State::closed);
    }
}

TEST_CASE("R12: a success trips when older successes have just been forgotten") {
    Rig rig{rates_only(0.5, 4, TimeWindow{.duration = 10s, .slices = 10})};
    rig.succeed(10);
    rig.clock.advance(5s);
    rig.fail(4);
    CHECK(rig.state() == State::closed);
    rig.clock.advance(7s);  // the successes are gone, the failures are not
    SECTION("at once") {}
    SECTION("after a neutral outcome has moved the window on") {
        rig.admit().settle(Outcome::ignored, {.retry_after = 1s});
        CHECK(rig.state() == State::closed);
    }
    rig.succeed();
    REQUIRE(rig.state() == State::open);
    CHECK(rig.breaker.last_trip()->window == WindowCounts{5, 4, 0});
}

TEST_CASE("R12: rules that are off do not trip") {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 0;
    config.failure_rate_threshold = 0;
    Rig rig{config};
    rig.fail(1000, 1min);
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R14: only success, failure and timeout enter the window") {
    Rig rig{rates_only(0, 1, TimeWindow{})};
    rig.succeed(3);
    rig.fail(2);
    rig.settle(Outcome::timeout, 4);
    rig.settle(Outcome::ignored, 8);
    rig.settle(Outcome::abandoned, 16);
    CHECK(rig.window() == WindowCounts{9, 6, 0});
}

TEST_CASE("R15: each transition begins one generation, and its report carries the number") {
    Rig rig;
    rig.fail(5);
    rig.clock.advance(30s);
    rig.succeed(3);
    rig.breaker.trip();
    rig.breaker.reset();
    const auto reports = rig.breaker.reports();
    REQUIRE(reports.size() == 5);
    for (std::size_t i = 0; i < reports.size(); ++i) CHECK(reports[i].sequence == reports.size() - i);
    CHECK(rig.breaker.generation() == 5);
    for (std::size_t i = 1; i < reports.size(); ++i) CHECK(reports[i].to == reports[i - 1].from);
}

TEST_CASE("R16: nothing in the window survives the way round, lifetime totals do") {
    Rig rig;
    rig.succeed(20);
    rig.fail(5);
    CHECK(rig.window() == WindowCounts{25, 5, 0});  // still there to be looked at
    CHECK(rig.breaker.metrics().consecutive_failures == 5);
    rig.clock.advance(30s);
    rig.succeed(3);
    REQUIRE(rig.state() == State::closed);
    const auto metrics = rig.breaker.metrics();
    CHECK(metrics.window == WindowCounts{});
    CHECK(metrics.consecutive_failures == 0);
    CHECK(metrics.failure_rate == 0);
    CHECK(metrics.success_rate == 1);
    CHECK(metrics.totals.successes == 23);
    CHECK(metrics.totals.failures == 5);
    rig.fail(4);
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R30: no step of the wall clock changes a decision") {
    const auto step = GENERATE(-1000000h, -1h, 1h, 1000000h);
    Rig rig;
    rig.fail(4);
    rig.clock.step_wall(step);
    rig.fail();
    REQUIRE(rig.state() == State::open);
    rig.clock.step_wall(step);
    CHECK(rig.rejection().retry_after == 30s);
    rig.clock.advance(30s);
    auto probe = rig.admit();
    rig.clock.step_wall(-step);
    CHECK(rig.breaker.metrics().open_duration == 30s);
    probe.success();
    rig.succeed(2);
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R13: a breaker on which all was well for 200 000 calls still counts each one") {
    // More than fit into the lock-free cell at once.
    Rig rig{rates_only(0.5, 10, CountWindow{65'536})};
    rig.succeed(200'000);
    CHECK(rig.window() == WindowCounts{65'536, 0, 0});
    CHECK(rig.breaker.metrics().totals.successes == 200'000);
    Rig timed{rates_only(0.5, 10, TimeWindow{})};
    timed.succeed(200'000);
    CHECK(timed.window() == WindowCounts{200'000, 0, 0});
}

// A thread reads the clock, another one is quicker to the breaker: it gets an earlier time after a later one.
class SetClock final : public Clock {
public:
    [[nodiscard]] TimePoint now() const noexcept override { return time; }
    [[nodiscard]] WallTime wall_now() const noexcept override { return {}; }
    TimePoint time{1h};
};

TEST_CASE("R11, R30: an end that is reported late makes the latest failure no older") {
    SetClock clock;
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 3;
    config.window = TimeWindow{10s, 10};
    CircuitBreaker breaker{"late", config, {.clock = &clock}};
    const auto fail_at = [&](Duration offset) {
        clock.time = TimePoint{1h + offset};
        breaker.try_acquire().value().failure();
    };
    fail_at(10s);
    fail_at(5s);
    CHECK(breaker.metrics().consecutive_failures == 2);
    fail_at(18s);  // 8 s after the latest failure
    CHECK(breaker.state() == State::open);
}

}  // namespace
}  // namespace fusebox::test
