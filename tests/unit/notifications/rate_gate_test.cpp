#include <fusebox/core/manual_clock.hpp>
#include <fusebox/notifications/rate_gate.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using notifications::rate_limit_from_string;
using notifications::RateGate;
using notifications::RateLimit;

TEST_CASE("a gate without a limit passes everything") {
    const ManualClock clock;
    RateGate gate{{}, clock};
    for (int i = 0; i < 1000; ++i) REQUIRE(gate.try_pass());
}

TEST_CASE("one per second passes one, then the next a second later") {
    ManualClock clock;
    RateGate gate{{.permits = 1, .per = 1s}, clock};
    REQUIRE(gate.try_pass());
    CHECK_FALSE(gate.try_pass());
    CHECK(gate.wait() == 1s);
    clock.advance(999ms);
    CHECK(gate.wait() == 1ms);
    CHECK_FALSE(gate.try_pass());
    clock.advance(1ms);
    CHECK(gate.try_pass());
}

TEST_CASE("a limit of ten lets ten go at once and then one at each tenth of its period") {
    ManualClock clock;
    RateGate gate{{.permits = 10, .per = 1s}, clock};
    for (int i = 0; i < 10; ++i) REQUIRE(gate.try_pass());
    CHECK_FALSE(gate.try_pass());
    CHECK(gate.wait() == 100ms);
    clock.advance(250ms);
    CHECK(gate.try_pass());
    CHECK(gate.try_pass());
    CHECK_FALSE(gate.try_pass());
}

TEST_CASE("an idle gate saves up no more than its limit") {
    ManualClock clock;
    RateGate gate{{.permits = 3, .per = 1s}, clock};
    clock.advance(1h);
    int passed = 0;
    while (gate.try_pass()) ++passed;
    CHECK(passed == 3);
}

TEST_CASE("a gate that was closed for a time opens at that time, and a shorter closure changes nothing") {
    ManualClock clock;
    RateGate gate{{}, clock};
    gate.close_for(10s);
    gate.close_for(2s);
    CHECK(gate.wait() == 10s);
    CHECK_FALSE(gate.try_pass());
    clock.advance(10s);
    CHECK(gate.wait() == 0s);
    CHECK(gate.try_pass());
}

TEST_CASE("a step of the wall clock neither opens nor closes a gate") {
    ManualClock clock;
    RateGate gate{{.permits = 1, .per = 1s}, clock};
    gate.close_for(10s);
    clock.step_wall(24h);
    CHECK(gate.wait() == 10s);
    clock.step_wall(-48h);
    CHECK(gate.wait() == 10s);
}

TEST_CASE("a new limit holds at once and leaves a closure alone") {
    ManualClock clock;
    RateGate gate{{.permits = 1, .per = 1h}, clock};
    REQUIRE(gate.try_pass());
    gate.close_for(5s);
    gate.set_limit({.permits = 2, .per = 1s});
    CHECK(gate.wait() == 5s);
    clock.advance(5s);
    CHECK(gate.try_pass());
    CHECK(gate.try_pass());
    CHECK_FALSE(gate.try_pass());
}

TEST_CASE("a rate limit is read from number, slash and unit") {
    CHECK(rate_limit_from_string("1/s") == RateLimit{.permits = 1, .per = 1s});
    CHECK(rate_limit_from_string("120/m") == RateLimit{.permits = 120, .per = 1min});
    CHECK(rate_limit_from_string("10/h") == RateLimit{.permits = 10, .per = 1h});
}

TEST_CASE("what is not a rate limit is refused with what is expected") {
    const auto* text =
        GENERATE("", "1", "/s", "0/s", "-1/s", "1/d", "1 / s", "1/s ", "1.5/s", "1000001/s", "99999999999/s");
    const auto limit = rate_limit_from_string(text);
    REQUIRE_FALSE(limit);
    CHECK(limit.error().find("\"1/s\"") != std::string::npos);
}

}  // namespace fusebox::test
