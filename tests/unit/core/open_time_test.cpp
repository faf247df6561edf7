#include <set>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

/// The open times of a first trip and of `failed_recoveries` after it.
std::vector<Duration> open_times(const CircuitBreakerConfig& config, int failed_recoveries, std::uint64_t seed = 1) {
    Rig rig{config, {.seed = seed}};
    rig.breaker.trip();
    std::vector<Duration> times{rig.rejection().retry_after};
    for (int i = 0; i < failed_recoveries; ++i) {
        rig.clock.advance(times.back());
        rig.fail();
        times.push_back(rig.rejection().retry_after);
    }
    return times;
}

CircuitBreakerConfig with(const Backoff& backoff) {
    CircuitBreakerConfig config;
    config.open_timeout = 10s;
    config.backoff = backoff;
    return config;
}

TEST_CASE("R26: the attempt grows with every failed recovery, and closing clears it") {
    Rig rig{with(Backoff::exponential(3.0))};
    rig.fail(5);
    CHECK(rig.breaker.metrics().attempt == 0);
    CHECK(rig.breaker.metrics().next_attempt == rig.clock.now() + 10s);
    rig.clock.advance(10s);
    rig.fail();
    CHECK(rig.breaker.metrics().attempt == 1);
    CHECK(rig.breaker.metrics().next_attempt == rig.clock.now() + 30s);
    rig.clock.advance(30s);
    rig.fail();
    CHECK(rig.breaker.metrics().attempt == 2);
    CHECK(rig.breaker.last_trip()->open_for == 90s);
    rig.clock.advance(90s);
    rig.succeed(3);
    CHECK(rig.breaker.metrics().attempt == 0);
    CHECK_FALSE(rig.breaker.metrics().next_attempt);
}

TEST_CASE("R27: fixed, linear and exponential, each capped") {
    CHECK(open_times(with(Backoff::fixed()), 3) == std::vector<Duration>{10s, 10s, 10s, 10s});

    auto linear = Backoff::linear(5s);
    linear.max_open_timeout = 18s;
    CHECK(open_times(with(linear), 3) == std::vector<Duration>{10s, 15s, 18s, 18s});

    auto exponential = Backoff::exponential(2.0);
    exponential.max_open_timeout = 70s;
    CHECK(open_times(with(exponential), 4) == std::vector<Duration>{10s, 20s, 40s, 70s, 70s});
}

TEST_CASE("R27: overflow is capped, too") {
    auto exponential = Backoff::exponential(100.0);
    exponential.max_open_timeout = 24h;
    const auto times = open_times(with(exponential), 400);
    CHECK(times.back() == 24h);
    CHECK(std::is_sorted(times.begin(), times.end()));
    auto linear = Backoff::linear(24h * 3650);
    linear.max_open_timeout = 24h * 3650;
    CHECK(open_times(with(linear), 10).back() == 24h * 3650);
}

TEST_CASE("R27: a fixed open time may be longer than the cap, which then is for hints only") {
    CircuitBreakerConfig config;
    config.open_timeout = 1h;
    CHECK(open_times(config, 2) == std::vector<Duration>{1h, 1h, 1h});
}

TEST_CASE("R28: jitter spreads the open time around it, by a seed") {
    auto backoff = Backoff::fixed();
    backoff.jitter = 0.2;
    const auto config = with(backoff);
    CHECK(open_times(config, 20, 7) == open_times(config, 20, 7));
    CHECK(open_times(config, 20, 7) != open_times(config, 20, 8));

    std::set<Duration> different;
    Duration sum{};
    for (std::uint64_t seed = 0; seed < 500; ++seed) {
        const auto time = open_times(config, 0, seed).front();
        CHECK(time >= 8s);
        CHECK(time <= 12s);
        different.insert(time);
        sum += time;
    }
    CHECK(different.size() > 490);
    CHECK(*different.begin() < 8100ms);
    CHECK(*different.rbegin() > 11900ms);
    CHECK(sum / 500 > 9800ms);
    CHECK(sum / 500 < 10200ms);
}

TEST_CASE("R28: at the cap a fleet is still spread, and never above the cap") {
    auto backoff = Backoff::exponential(10.0);
    backoff.max_open_timeout = 60s;
    backoff.jitter = 0.5;
    std::set<Duration> different;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const auto time = open_times(with(backoff), 3, seed).back();
        CHECK(time >= 30s);
        CHECK(time <= 60s);
        different.insert(time);
    }
    CHECK(different.size() > 190);
}

TEST_CASE("R28: without a seed two breakers draw differently") {
    auto backoff = Backoff::fixed();
    backoff.jitter = 0.5;
    Rig one{with(backoff)};
    Rig other{with(backoff)};
    one.breaker.trip();
    other.breaker.trip();
    CHECK(one.rejection().retry_after != other.rejection().retry_after);
}

TEST_CASE("R29: a hint lengthens the open time, up to the cap") {
    Rig rig;
    SECTION("given with the failure that trips") {
        rig.fail(4);
        rig.admit().settle(Outcome::failure, {.retry_after = 90s});
        CHECK(rig.rejection().retry_after == 90s);
    }
    SECTION("given before, by a neutral outcome") {
        rig.admit().settle(Outcome::ignored, {.retry_after = 90s});
        CHECK(rig.window() == WindowCounts{});
        rig.clock.advance(30s);
        rig.fail(5);
        CHECK(rig.rejection().retry_after == 60s);
    }
    SECTION("a shorter one changes nothing") {
        rig.fail(4);
        rig.admit().settle(Outcome::failure, {.retry_after = 5s});
        CHECK(rig.rejection().retry_after == 30s);
    }
    SECTION("a negative one changes nothing") {
        rig.fail(4);
        rig.admit().settle(Outcome::failure, {.retry_after = Duration::min()});
        CHECK(rig.rejection().retry_after == 30s);
    }
    SECTION("a very long one is capped") {
        rig.fail(4);
        rig.admit().settle(Outcome::failure, {.retry_after = Duration::max()});
        CHECK(rig.rejection().retry_after == 10min);
    }
    SECTION("given by a probe") {
        rig.half_open();
        rig.admit().settle(Outcome::failure, {.retry_after = 2min});
        CHECK(rig.rejection().retry_after == 2min);
        rig.clock.advance(2min);
        rig.fail();
        CHECK(rig.rejection().retry_after == 30s);
    }
    SECTION("given by a stale outcome it is not heard") {
        auto stale = rig.admit();
        rig.breaker.reset();
        stale.settle(Outcome::failure, {.retry_after = 5min});
        rig.fail(5);
        CHECK(rig.rejection().retry_after == 30s);
    }
}

TEST_CASE("R23: closing forgets what the dependency asked for before") {
    Rig rig;
    rig.admit().settle(Outcome::ignored, {.retry_after = 5min});
    rig.breaker.reset();
    rig.fail(5);
    CHECK(rig.rejection().retry_after == 30s);
}

TEST_CASE("R29: with jitter no one comes back before the hint") {
    auto backoff = Backoff::fixed();
    backoff.jitter = 0.5;
    std::set<Duration> different;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Rig rig{with(backoff), {.seed = seed}};
        rig.fail(4);
        rig.admit().settle(Outcome::failure, {.retry_after = 1min});
        CHECK(rig.rejection().retry_after >= 1min);
        different.insert(rig.rejection().retry_after);
    }
    CHECK(different.size() > 90);
}

}  // namespace
}  // namespace fusebox::test
