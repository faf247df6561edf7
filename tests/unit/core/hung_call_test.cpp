#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

CircuitBreakerConfig watching() {
    CircuitBreakerConfig config;
    config.hung_call_threshold = 5s;
    return config;
}

TEST_CASE("R17: a dependency that hangs trips the breaker before its calls return") {
    Rig rig{watching()};
    std::vector<Permit> hanging;
    for (int i = 0; i < 5; ++i) hanging.push_back(rig.admit());
    rig.clock.advance(5s - 1ns);
    {
        auto in_time = rig.admit();
        in_time.ignore();
    }
    CHECK(rig.state() == State::closed);
    rig.clock.advance(1ns);
    SECTION("at the next admission") { CHECK(rig.rejection().kind == Rejection::Kind::circuit_open); }
    SECTION("without the threshold nothing would have been seen") {
        rig.breaker.reset();
        auto config = rig.breaker.config();
        config.hung_call_threshold.reset();
        rig.breaker.reconfigure(config);
        CHECK(rig.admit().generation() == rig.breaker.generation());
        return;
    }
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.last_trip()->reason == TransitionReason::consecutive_failures);
    CHECK(rig.breaker.last_trip()->window == WindowCounts{5, 5, 5});
    for (auto& call : hanging) call.success();
    CHECK(rig.breaker.metrics().totals.stale == 5);
}

TEST_CASE("R17: hung calls are judged when another call is recorded") {
    auto config = watching();
    config.consecutive_failure_threshold = 0;
    config.minimum_requests = 4;
    Rig rig{config};
    auto a = rig.admit();
    auto b = rig.admit();
    rig.clock.advance(4s);
    auto c = rig.admit();
    auto d = rig.admit();
    const auto outcome = GENERATE(Outcome::success, Outcome::failure);
    rig.clock.advance(1s);
    c.settle(outcome);
    CHECK(rig.state() == State::closed);
    d.settle(outcome);
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.last_trip()->window.total == 4);
    a.ignore();
    b.ignore();
}

TEST_CASE("R17: even a neutral outcome has hung calls judged") {
    Rig rig{watching()};
    std::vector<Permit> hanging;
    for (int i = 0; i < 5; ++i) hanging.push_back(rig.admit());
    auto neutral = rig.admit();
    hanging.push_back(rig.admit());
    rig.clock.advance(5s);
    neutral.ignore();
    CHECK(rig.state() == State::open);
}

TEST_CASE("R17: a call from before the watching began has hung calls judged, too") {
    Rig rig;
    auto unwatched = rig.admit();
    rig.breaker.reconfigure(watching());
    std::vector<Permit> hanging;
    for (int i = 0; i < 5; ++i) hanging.push_back(rig.admit());
    rig.clock.advance(5s);
    unwatched.settle(GENERATE(Outcome::ignored, Outcome::success, Outcome::failure));
    CHECK(rig.state() == State::open);
}

TEST_CASE("R10: a neutral outcome with a hint opens nothing where no call hangs") {
    auto config = rates_only(0, 1, CountWindow{10});
    config.hung_call_threshold = 5s;
    Rig rig{config};
    auto neutral = rig.admit();
    rig.fail();
    config.failure_rate_threshold = 0.5;
    rig.breaker.reconfigure(config);
    neutral.settle(Outcome::ignored, {.retry_after = 1s});
    CHECK(rig.state() == State::closed);
    rig.fail();
    CHECK(rig.state() == State::open);
}

TEST_CASE("R8: a hanging call of an older generation does not have the window judged") {
    auto config = rates_only(0.5, 1, TimeWindow{2s, 2});
    config.hung_call_threshold = 3s;
    Rig rig{config};
    auto old = rig.admit();
    rig.breaker.reset();
    rig.succeed(3);
    rig.clock.advance(1s);
    rig.fail();
    rig.clock.advance(2s);
    REQUIRE(rig.window() == WindowCounts{1, 1, 0});  // the successes are forgotten, and nothing was recorded since
    rig.admit().ignore();
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R17: a hung call that settles is not counted twice") {
    Rig rig{watching()};
    auto hanging = rig.admit();
    rig.clock.advance(6s);
    rig.succeed();
    REQUIRE(rig.window() == WindowCounts{2, 1, 1});
    REQUIRE(rig.breaker.metrics().consecutive_failures == 0);
    SECTION("as a success") {
        hanging.success();
        CHECK(rig.breaker.metrics().totals.successes == 2);
    }
    SECTION("as a failure") {
        hanging.failure();
        CHECK(rig.breaker.metrics().totals.failures == 1);
    }
    SECTION("not at all") {
        {
            const auto dropped = std::move(hanging);
        }
        CHECK(rig.breaker.metrics().totals.abandoned == 1);
    }
    CHECK(rig.window() == WindowCounts{2, 1, 1});
    CHECK(rig.breaker.metrics().consecutive_failures == 0);
    CHECK(rig.breaker.metrics().totals.stale == 0);
}

TEST_CASE("R17: calls settle in any order, and those that still hang are still found") {
    Rig rig{watching()};
    auto first = rig.admit();
    rig.clock.advance(3s);
    auto second = rig.admit();
    auto third = rig.admit();
    rig.clock.advance(2s);
    auto fourth = rig.admit();  // finds the first one hung
    CHECK(rig.window() == WindowCounts{1, 1, 1});
    second.success();
    first.success();
    rig.clock.advance(3s);
    auto fifth = rig.admit();  // and the third one
    CHECK(rig.window() == WindowCounts{3, 2, 2});
    rig.clock.advance(2s);
    auto sixth = rig.admit();  // and the fourth one
    CHECK(rig.window() == WindowCounts{4, 3, 3});
    third.success();
    fourth.success();
    fifth.success();
    sixth.success();
    CHECK(rig.window() == WindowCounts{6, 3, 3});
}

TEST_CASE("R17: calls that return in time are counted as they ended") {
    auto config = watching();
    config.failure_rate_threshold = 0.6;
    Rig rig{config};
    for (int i = 0; i < 100; ++i) {
        auto early = rig.admit();
        auto late = rig.admit();
        rig.clock.advance(10ms);
        late.success();
        early.failure();
    }
    CHECK(rig.window() == WindowCounts{200, 100, 0});
}

TEST_CASE("R17: a hung call of an older generation says nothing about the new one") {
    Rig rig{watching()};
    std::vector<Permit> hanging;
    for (int i = 0; i < 10; ++i) hanging.push_back(rig.admit());
    rig.breaker.reset();
    rig.clock.advance(1h);
    rig.succeed(3);
    CHECK(rig.window() == WindowCounts{3, 0, 0});
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R12: a success is judged although a hung call of an older generation has moved the window on before it") {
    auto config = rates_only(0.5, 4, TimeWindow{.duration = 10s, .slices = 10});
    config.hung_call_threshold = 20s;
    Rig rig{config};
    auto old = rig.admit();
    rig.breaker.reset();
    rig.clock.advance(9s);
    rig.succeed(10);
    rig.clock.advance(5s);
    rig.fail(4);
    rig.clock.advance(7s);  // the successes are gone, the failures are not
    auto next = rig.admit();
    CHECK(rig.state() == State::closed);
    next.success();
    CHECK(rig.state() == State::open);
    old.ignore();
}

TEST_CASE("R17: more calls in flight than are watched still settle once each") {
    auto config = watching();
    config.consecutive_failure_threshold = 0;
    config.failure_rate_threshold = 0;
    config.slow_call_rate_threshold = 1.0;
    config.minimum_requests = 5000;
    Rig rig{config};
    std::vector<Permit> calls;
    for (int i = 0; i < 1500; ++i) calls.push_back(rig.admit());
    rig.clock.advance(5s);
    rig.succeed();
    CHECK(rig.window() == WindowCounts{1025, 1024, 1024});
    for (auto& call : calls) call.success();
    CHECK(rig.window() == WindowCounts{1025 + 476, 1024, 1024});
    CHECK(rig.breaker.metrics().totals.successes == 1501);
}

TEST_CASE("R17: a probe that hangs is given up at the threshold") {
    Rig rig{watching()};
    rig.half_open();
    auto probe = rig.admit();
    rig.clock.advance(5s);
    CHECK(rig.rejection().kind == Rejection::Kind::circuit_open);
    probe.success();
    CHECK(rig.state() == State::open);
}

TEST_CASE("R51: watching can be switched on and off while calls are in flight") {
    Rig rig;
    auto unwatched = rig.admit();
    rig.breaker.reconfigure(watching());
    auto watched = rig.admit();
    rig.clock.advance(6s);
    rig.succeed();
    CHECK(rig.window() == WindowCounts{2, 1, 1});
    rig.breaker.reconfigure({});
    watched.success();
    unwatched.success();
    CHECK(rig.window() == WindowCounts{3, 1, 1});
    CHECK(rig.breaker.metrics().totals.successes == 3);
}

}  // namespace
}  // namespace fusebox::test
