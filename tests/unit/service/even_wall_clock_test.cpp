#include "even_wall_clock.hpp"

#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using service::EvenWallClock;

TEST_CASE("the wall clock is believed when it has run evenly for as long as asked") {
    ManualClock clock;
    EvenWallClock wall{clock};
    CHECK_FALSE(wall.even_for(10min));
    clock.advance(10min - 1ns);
    CHECK_FALSE(wall.even_for(10min));
    clock.advance(1ns);
    CHECK(wall.even_for(10min));
    CHECK_FALSE(wall.even_for(1h));
}

TEST_CASE("a step, forwards or backwards, begins the wait anew") {
    for (const auto by : {std::chrono::microseconds{1h}, std::chrono::microseconds{-1h}}) {
        ManualClock clock;
        EvenWallClock wall{clock};
        clock.advance(10min);
        REQUIRE(wall.even_for(10min));
        clock.step_wall(by);
        CHECK_FALSE(wall.even_for(10min));
        clock.advance(10min - 1s);
        CHECK_FALSE(wall.even_for(10min));
        clock.advance(1s);
        CHECK(wall.even_for(10min));
    }
}

TEST_CASE("what NTP corrects little by little is no step") {
    ManualClock clock;
    EvenWallClock wall{clock};
    clock.advance(10min);
    for (int i = 0; i < 100; ++i) {
        clock.advance(1min);
        clock.step_wall(100ms);
        CHECK(wall.even_for(10min));
    }
}

}  // namespace fusebox::test
