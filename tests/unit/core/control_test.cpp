#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("R50: each control is a transition with who and why, from any state") {
    Rig rig;
    std::vector<TransitionReport> heard;
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent& event) {
        if (const auto* transition = std::get_if<StateTransitionEvent>(&event)) heard.push_back(transition->report);
    });
    const std::vector<std::pair<State, void (CircuitBreaker::*)(std::string_view, std::string_view)>> controls{
        {State::closed, &CircuitBreaker::reset},
        {State::forced_open, &CircuitBreaker::force_open},
        {State::open, &CircuitBreaker::trip},
        {State::disabled, &CircuitBreaker::disable},
        {State::metrics_only, &CircuitBreaker::metrics_only}};
    for (const auto& [from, first] : controls) {
        for (const auto& [to, second] : controls) {
            (rig.breaker.*first)("setup", "");
            heard.clear();
            (rig.breaker.*second)("ada", "because");
            CHECK(rig.state() == to);
            REQUIRE(heard.size() == 1);
            CHECK(heard[0].from == from);
            CHECK(heard[0].to == to);
            CHECK(heard[0].actor == "ada");
            CHECK(heard[0].note == "because");
            CHECK(heard[0].reason == TransitionReason::operator_request);
        }
    }
    CHECK(describe(heard[0]) == "metrics_only → metrics_only: requested by ada: because");
}

TEST_CASE("R50: trip opens with normal recovery") {
    Rig rig;
    rig.breaker.trip("ada", "drill");
    CHECK(rig.breaker.metrics().trip_count == 1);
    CHECK(rig.rejection().retry_after == 30s);
    rig.clock.advance(20s);
    rig.breaker.trip();  // the open time starts anew
    CHECK(rig.rejection().retry_after == 30s);
    rig.clock.advance(30s);
    rig.succeed(3);
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R50: reset empties the window, and makes what is in flight stale") {
    Rig rig;
    rig.fail(4);
    auto old = rig.admit();
    rig.breaker.reset();
    old.failure();
    CHECK(rig.window() == WindowCounts{});
    CHECK(rig.breaker.metrics().totals.stale == 1);
    rig.fail(4);
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R50: reset does not switch on what the configuration switched off") {
    CircuitBreakerConfig config;
    config.enabled = false;
    Rig rig{config};
    CHECK(rig.state() == State::disabled);
    rig.breaker.force_open();
    rig.breaker.reset();
    CHECK(rig.state() == State::disabled);
}

TEST_CASE("R51: a new configuration keeps state, window and permits in flight") {
    Rig rig;
    rig.fail(3);
    rig.succeed(3);
    rig.fail(2);
    auto in_flight = rig.admit();
    auto config = rig.breaker.config();
    config.consecutive_failure_threshold = 3;
    config.failure_rate_threshold = 0.9;
    rig.breaker.reconfigure(config, "ada", "stricter");
    CHECK(rig.breaker.config() == config);
    CHECK(rig.breaker.metrics().config_version == 2);
    CHECK(rig.state() == State::closed);
    CHECK(rig.breaker.generation() == 0);
    CHECK(rig.window() == WindowCounts{8, 5, 0});
    CHECK(rig.breaker.metrics().consecutive_failures == 2);
    in_flight.failure();
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.last_trip()->observed == 3);
    CHECK(rig.breaker.last_trip()->config_version == 2);
}

TEST_CASE("R51: new thresholds are judged with the next outcome, even a success") {
    Rig rig{rates_only(0.9, 10, TimeWindow{})};
    rig.fail(5);
    rig.succeed(15);
    auto config = rig.breaker.config();
    config.failure_rate_threshold = 0.2;
    rig.breaker.reconfigure(config);
    CHECK(rig.state() == State::closed);
    rig.succeed();
    CHECK(rig.state() == State::open);
}

TEST_CASE("R51: a promised retry time stays, the next open time is by the new configuration") {
    Rig rig;
    rig.fail(5);
    auto config = rig.breaker.config();
    config.open_timeout = 5s;
    rig.breaker.reconfigure(config);
    CHECK(rig.rejection().retry_after == 30s);
    rig.clock.advance(30s);
    rig.fail();
    CHECK(rig.rejection().retry_after == 5s);
}

TEST_CASE("R51: a probe in flight stays valid") {
    Rig rig;
    rig.half_open();
    auto probe = rig.admit();
    auto config = rig.breaker.config();
    config.success_threshold = 1;
    config.half_open_max_concurrent = 100;
    rig.breaker.reconfigure(config);
    CHECK(rig.breaker.metrics().probes_in_flight == 1);
    probe.success();
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R51: a time window keeps its outcomes when its length changes") {
    Rig rig{rates_only(0, 1, TimeWindow{.duration = 60s, .slices = 10})};
    rig.fail(3);
    rig.clock.advance(20s);
    rig.succeed(4);
    auto config = rig.breaker.config();
    SECTION("longer") {
        config.window = TimeWindow{.duration = 120s, .slices = 5};
        rig.breaker.reconfigure(config);
        CHECK(rig.window() == WindowCounts{7, 3, 0});
        rig.clock.advance(95s);
        CHECK(rig.window() == WindowCounts{7, 3, 0});
        rig.clock.advance(100s);
        CHECK(rig.window() == WindowCounts{});
    }
    SECTION("shorter") {
        config.window = TimeWindow{.duration = 10s, .slices = 10};
        rig.breaker.reconfigure(config);
        CHECK(rig.window() == WindowCounts{4, 0, 0});
        rig.succeed();
        CHECK(rig.window() == WindowCounts{5, 0, 0});
        rig.clock.advance(20s);
        CHECK(rig.window() == WindowCounts{});
    }
    SECTION("of another kind it begins anew") {
        config.window = CountWindow{10};
        rig.breaker.reconfigure(config);
        CHECK(rig.window() == WindowCounts{});
        rig.fail(12);
        CHECK(rig.window() == WindowCounts{10, 10, 0});
        config.window = TimeWindow{};
        rig.breaker.reconfigure(config);
        rig.succeed();
        CHECK(rig.window() == WindowCounts{1, 0, 0});
    }
}

TEST_CASE("R51: a count window keeps its last outcomes when its size changes") {
    Rig rig{rates_only(0, 1, CountWindow{10})};
    rig.fail(8);
    rig.succeed(7);
    REQUIRE(rig.window() == WindowCounts{10, 3, 0});
    auto config = rig.breaker.config();
    SECTION("larger: what was forgotten stays forgotten") {
        config.window = CountWindow{20};
        rig.breaker.reconfigure(config);
        CHECK(rig.window() == WindowCounts{10, 3, 0});
        rig.succeed(10);
        CHECK(rig.window() == WindowCounts{20, 3, 0});
        rig.succeed();
        CHECK(rig.window() == WindowCounts{20, 2, 0});
    }
    SECTION("smaller") {
        config.window = CountWindow{8};
        rig.breaker.reconfigure(config);
        CHECK(rig.window() == WindowCounts{8, 1, 0});
        rig.fail(2);
        CHECK(rig.window() == WindowCounts{8, 2, 0});
    }
}

TEST_CASE("R11, R51: a run of failures that was forgotten does not come back with a longer window") {
    CircuitBreakerConfig config;
    config.window = TimeWindow{10s, 10};
    Rig rig{config};
    rig.fail(4);
    rig.clock.advance(10s + 1ns);
    REQUIRE(rig.breaker.metrics().consecutive_failures == 0);
    config.window = GENERATE(Window{TimeWindow{60s, 10}}, Window{CountWindow{100}});
    rig.breaker.reconfigure(config);
    CHECK(rig.breaker.metrics().consecutive_failures == 0);
    rig.fail();
    CHECK(rig.state() == State::closed);
    CHECK(rig.breaker.metrics().consecutive_failures == 1);
}

TEST_CASE("R51: turning enabled off and on is a transition by configuration") {
    Rig rig;
    rig.fail(5);
    auto config = rig.breaker.config();
    config.enabled = false;
    rig.breaker.reconfigure(config, "ada", "off for now");
    CHECK(rig.state() == State::disabled);
    CHECK(rig.breaker.reports().front().reason == TransitionReason::configuration);
    CHECK(rig.breaker.reports().front().actor == "ada");
    config.enabled = true;
    rig.breaker.reconfigure(config);
    CHECK(rig.state() == State::closed);
    // What an operator has set is left to the operator.
    rig.breaker.force_open();
    config.enabled = false;
    rig.breaker.reconfigure(config);
    CHECK(rig.state() == State::forced_open);
}

TEST_CASE("R51: a bad configuration changes nothing") {
    Rig rig;
    const auto before = rig.breaker.config();
    auto bad = before;
    bad.open_timeout = 0s;
    bad.consecutive_failure_threshold = 1;
    CHECK_THROWS_AS(rig.breaker.reconfigure(bad), InvalidConfig);
    CHECK(rig.breaker.config() == before);
    CHECK(rig.breaker.metrics().config_version == 1);
}

}  // namespace
}  // namespace fusebox::test
