#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

CircuitBreakerConfig rate_mode(std::uint32_t minimum_probes, double success_rate) {
    CircuitBreakerConfig config;
    config.half_open_rate = HalfOpenRate{.minimum_probes = minimum_probes, .success_rate = success_rate};
    return config;
}

TEST_CASE("R20: strict, one bad probe reopens") {
    CircuitBreakerConfig config;
    config.slow_call_duration_threshold = 1s;
    Rig rig{config};
    rig.half_open();
    rig.succeed(2);
    SECTION("a failed one") {
        rig.admit().settle(Outcome::failure, {.message = "connection refused"});
        CHECK(rig.breaker.last_trip()->note == "connection refused");
    }
    SECTION("one that timed out") { rig.settle(Outcome::timeout); }
    SECTION("a slow one") { rig.succeed(1, 1s); }
    CHECK(rig.state() == State::open);
    const auto report = *rig.breaker.last_trip();
    CHECK(report.reason == TransitionReason::probe_failed);
    CHECK(report.from == State::half_open);
    CHECK(report.window.total == 3);
    CHECK(report.attempt == 1);
    CHECK(rig.rejection().retry_after == 30s);
}

TEST_CASE("R20: strict, success_threshold good probes in a row close") {
    Rig rig;
    rig.half_open();
    rig.succeed();
    CHECK(rig.breaker.metrics().consecutive_successes == 1);
    rig.succeed();
    CHECK(rig.state() == State::half_open);
    rig.succeed();
    CHECK(rig.state() == State::closed);
    const auto report = rig.breaker.reports().front();
    CHECK(report.reason == TransitionReason::success_threshold_met);
    CHECK(report.observed == 3);
    CHECK(report.window == WindowCounts{3, 0, 0});
}

TEST_CASE("R20: without the slow rule a long probe is a good one") {
    Rig rig;
    rig.half_open();
    rig.succeed(3, 20s);
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R21: rate mode judges after minimum_probes") {
    Rig rig{rate_mode(5, 0.6)};
    rig.half_open();
    rig.fail(2);
    rig.succeed(2);
    CHECK(rig.state() == State::half_open);
    SECTION("at the success rate it closes") {
        rig.succeed();
        CHECK(rig.state() == State::closed);
        CHECK(rig.breaker.reports().front().reason == TransitionReason::probe_success_rate);
        CHECK(rig.breaker.reports().front().observed == Approx(0.6));
    }
    SECTION("below it reopens") {
        rig.fail();
        CHECK(rig.state() == State::open);
        CHECK(rig.breaker.last_trip()->reason == TransitionReason::probe_success_rate);
        CHECK(rig.breaker.last_trip()->observed == Approx(0.4));
        CHECK(rig.breaker.last_trip()->window == WindowCounts{5, 3, 0});
    }
}

TEST_CASE("R21: rate mode counts a slow probe as a bad one") {
    auto config = rate_mode(2, 1.0);
    config.slow_call_duration_threshold = 1s;
    Rig rig{config};
    rig.half_open();
    rig.succeed();
    rig.succeed(1, 1s);
    CHECK(rig.state() == State::open);
}

TEST_CASE("R22: neutral probes free their slot, count for neither side and never close") {
    auto config = GENERATE(CircuitBreakerConfig{}, rate_mode(3, 0.5));
    config.half_open_max_concurrent = 1;
    Rig rig{config};
    rig.half_open();
    for (int i = 0; i < 50; ++i) {
        rig.settle(Outcome::ignored);
        rig.settle(Outcome::abandoned);
    }
    CHECK(rig.state() == State::half_open);
    CHECK(rig.breaker.metrics().consecutive_successes == 0);
    rig.succeed(2);
    rig.settle(Outcome::ignored);
    CHECK(rig.state() == State::half_open);
    rig.succeed();
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R23: closing clears the window, the run of failures and the attempt") {
    CircuitBreakerConfig config;
    config.backoff = Backoff::exponential(2.0);
    Rig rig{config};
    rig.fail(5);
    rig.clock.advance(30s);
    rig.fail();
    rig.clock.advance(60s);
    CHECK(rig.breaker.metrics().attempt == 1);
    rig.succeed(3);
    REQUIRE(rig.state() == State::closed);
    const auto metrics = rig.breaker.metrics();
    CHECK(metrics.attempt == 0);
    CHECK(metrics.window == WindowCounts{});
    CHECK(metrics.consecutive_failures == 0);
    rig.fail(5);
    CHECK(rig.rejection().retry_after == 30s);
}

TEST_CASE("R24: a probe that does not settle within its lease has failed, and is stale when it settles") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 1;
    config.success_threshold = 1;
    Rig rig{config};
    rig.half_open();
    auto lost = rig.admit();
    rig.clock.advance(60s - 1ns);
    CHECK(rig.rejection().kind == Rejection::Kind::too_many_probes);
    rig.clock.advance(1ns);

    const auto rejection = rig.rejection();
    CHECK(rejection.kind == Rejection::Kind::circuit_open);
    CHECK(rejection.retry_after == 30s);
    CHECK(rig.breaker.last_trip()->reason == TransitionReason::probe_lease_expired);
    CHECK(rig.breaker.last_trip()->threshold == 60);
    CHECK(describe(*rig.breaker.last_trip()) == "half_open → open: a probe did not settle within 1m");

    const auto before = rig.breaker.metrics();
    lost.success();
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.metrics().totals.stale == before.totals.stale + 1);
    CHECK(rig.breaker.metrics().totals.successes == before.totals.successes + 1);
    rig.clock.advance(30s);
    rig.succeed();
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R24: the lease is looked at when a probe settles, too") {
    CircuitBreakerConfig config;
    config.success_threshold = 1;
    Rig rig{config};
    rig.half_open();
    auto lost = rig.admit();
    rig.clock.advance(30s);
    auto good = rig.admit();
    SECTION("by itself: too late is stale") {
        rig.clock.advance(30s);
        lost.success();
    }
    SECTION("by another one: the lost probe reopens first") {
        rig.clock.advance(30s);
        good.success();
    }
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.metrics().totals.stale == 1);
}

TEST_CASE("R24: in rate mode a lost probe is one failure and its slot is free") {
    auto config = rate_mode(3, 0.6);
    config.half_open_max_concurrent = 2;
    Rig rig{config};
    rig.half_open();
    auto lost = rig.admit();
    auto other = rig.admit();
    rig.clock.advance(59s);
    other.success();
    rig.clock.advance(1s);
    auto next = rig.admit();  // takes the lost one's slot
    auto one_more = rig.admit();
    CHECK(rig.rejection().kind == Rejection::Kind::too_many_probes);
    lost.failure();  // stale: neither counted again nor does it free anything
    CHECK(rig.breaker.metrics().probes_in_flight == 2);
    next.success();
    CHECK(rig.state() == State::closed);  // 2 of 3
    one_more.failure();
    CHECK(rig.window() == WindowCounts{});
}

TEST_CASE("R24: whatever its callers do, a breaker leaves half-open when the dependency is well") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 2;
    Rig rig{config};
    rig.half_open();
    std::vector<Permit> leaked;
    for (int round = 0; round < 20; ++round) {
        while (auto permit = rig.breaker.try_acquire()) leaked.push_back(*std::move(permit));
        rig.clock.advance(45s);
    }
    leaked.clear();
    rig.clock.advance(30s);
    rig.succeed(3);
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R25: with little traffic half-open waits and rejects nobody") {
    Rig rig;
    rig.half_open();
    for (int i = 0; i < 3; ++i) {
        CHECK(rig.state() == State::half_open);
        rig.clock.advance(24h);
        rig.succeed();
    }
    CHECK(rig.state() == State::closed);
    CHECK(rig.breaker.metrics().totals.rejected_probes == 0);
}

TEST_CASE("R8: outcomes of the window do not count in half-open, and probes do not enter the window") {
    Rig rig;
    rig.succeed(10);
    rig.fail(5);
    const auto window = rig.window();
    rig.clock.advance(30s);
    rig.succeed(2);
    CHECK(rig.window() == window);
    CHECK(rig.breaker.metrics().totals.probes == 2);
}

TEST_CASE("R4: more probe slots can be given at run time, and fewer") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 1;
    Rig rig{config};
    rig.half_open();
    std::vector<Permit> probes;
    probes.push_back(rig.admit());
    CHECK(rig.rejection().kind == Rejection::Kind::too_many_probes);
    config.half_open_max_concurrent = 3;
    rig.breaker.reconfigure(config);
    probes.push_back(rig.admit());
    probes.push_back(rig.admit());
    CHECK(rig.rejection().kind == Rejection::Kind::too_many_probes);
    config.half_open_max_concurrent = 1;
    rig.breaker.reconfigure(config);
    probes[0].ignore();
    probes[1].ignore();
    CHECK(rig.rejection().kind == Rejection::Kind::too_many_probes);
    probes[2].ignore();
    CHECK(rig.admit().is_probe());
}

}  // namespace
}  // namespace fusebox::test
