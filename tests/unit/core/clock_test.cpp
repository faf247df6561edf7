#include <fusebox/core/call_context.hpp>
#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("R31: a manual clock moves only when told to, and its wall clock can be moved alone") {
    ManualClock clock;
    const auto start = clock.now();
    const auto wall = clock.wall_now();
    CHECK(start.time_since_epoch() == 1h);
    CHECK(clock.now() == start);
    clock.advance(5s);
    CHECK(clock.now() == start + 5s);
    CHECK(clock.wall_now() == wall + 5s);
    clock.step_wall(-24h);
    CHECK(clock.now() == start + 5s);
    CHECK(clock.wall_now() == wall + 5s - 24h);
}

TEST_CASE("R30: the shared steady clock never goes back") {
    auto last = steady_clock().now();
    for (int i = 0; i < 1000; ++i) {
        const auto now = steady_clock().now();
        REQUIRE(now >= last);
        last = now;
    }
    CHECK(&steady_clock() == &steady_clock());
}

TEST_CASE("R32: a context without a deadline never expires") {
    const CallContext context;
    CHECK_FALSE(context.deadline());
    CHECK_FALSE(context.remaining());
    CHECK_FALSE(context.expired());
    CHECK_FALSE(context.stop_requested());
    ManualClock clock;
    const auto limited = CallContext::with_timeout(2s, clock);
    CHECK(limited.remaining() == 2s);
    clock.advance(3s);
    CHECK(limited.remaining() == 0s);
    CHECK(limited.expired());
}

}  // namespace
}  // namespace fusebox::test
