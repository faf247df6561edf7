#include "lane_schedule.hpp"

#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using namespace notifications;
using Kind = LaneAction::Kind;

namespace {

constexpr CircuitView passing{};
constexpr CircuitView probing{.kind = CircuitView::Kind::probing, .wait = {}};
constexpr CircuitView blocked(Duration wait) { return {.kind = CircuitView::Kind::blocked, .wait = wait}; }

struct Lane {
    ManualClock clock;
    LaneSchedule schedule;
    explicit Lane(LaneScheduleSettings settings = {}, RateLimit limit = {})
        : schedule(settings, RateGate{limit, clock}, clock) {}
    [[nodiscard]] LaneAction next(std::size_t in_flight = 0, CircuitView circuit = passing,
                                  bool disabled = false) const {
        return schedule.next(in_flight, circuit, disabled);
    }
};

void check_waits(const LaneAction& action, Duration wait) {
    CHECK(action.kind == Kind::wait);
    CHECK(action.wait == wait);
}
void check_looks(const LaneAction& action, std::size_t slots) {
    CHECK(action.kind == Kind::look);
    CHECK(action.slots == slots);
}

}  // namespace

TEST_CASE("a new lane looks at once, for as many rows as it can send") {
    const Lane lane{{.max_in_flight = 4}};
    check_looks(lane.next(0), 4);
    check_looks(lane.next(3), 1);
    check_waits(lane.next(4), 5s);
}

TEST_CASE("a lane waits until the next row is due, but never longer than its poll") {
    Lane lane{{.poll = 5s}};
    lane.schedule.due_in(3s);
    check_waits(lane.next(), 3s);
    lane.clock.advance(3s);
    CHECK(lane.next().kind == Kind::look);
    lane.schedule.due_in(1h);
    check_waits(lane.next(), 5s);
    lane.schedule.due_in(std::nullopt);
    check_waits(lane.next(), 5s);
    lane.schedule.look_now();
    CHECK(lane.next().kind == Kind::look);
}

TEST_CASE("a lane that leased looks again at once, and one that could not although a row is due takes a breath") {
    Lane lane;
    lane.schedule.leased(2);
    CHECK(lane.next(2).kind == Kind::look);
    lane.schedule.leased(0);
    check_waits(lane.next(2), 200ms);
}

TEST_CASE("nothing is leased while the breaker is open, and one row when it may be probed") {
    const Lane lane;
    check_waits(lane.next(0, blocked(3s)), 3s);
    check_waits(lane.next(0, blocked(1h)), 5s);
    check_waits(lane.next(0, blocked(0s)), 5s);  // forced open: nobody knows for how long
    check_looks(lane.next(0, probing), 1);
    check_waits(lane.next(1, probing), 5s);
}

TEST_CASE("nothing is leased while the gate is closed") {
    Lane lane;
    lane.schedule.gate().close_for(4s);
    check_waits(lane.next(), 4s);
    lane.clock.advance(4s);
    CHECK(lane.next().kind == Kind::look);
}

TEST_CASE("a limited lane leases one row per permit") {
    Lane lane{{}, {.permits = 1, .per = 1s}};
    check_looks(lane.next(), 1);
    lane.schedule.leased(0);
    lane.schedule.look_now();
    check_looks(lane.next(), 1);  // nothing was leased: the permit is still there
    lane.schedule.leased(1);
    check_waits(lane.next(1), 1s);
    lane.clock.advance(1s);
    check_looks(lane.next(1), 1);
}

TEST_CASE("a disabled lane goes on leasing, to turn its rows down") {
    Lane lane;
    lane.schedule.gate().close_for(1h);
    check_looks(lane.next(0, blocked(1h), true), 4);
}

TEST_CASE("a store that fails is left alone for a growing pause, whoever calls") {
    Lane lane{{.poll = 1min}};
    const auto pause = [&] {
        const auto action = lane.next();
        CHECK(action.kind == Kind::wait);
        lane.schedule.look_now();
        CHECK(lane.next().kind == Kind::wait);
        lane.clock.advance(action.wait);
        CHECK(lane.next().kind == Kind::look);
        return action.wait;
    };
    lane.schedule.store_failed({}, 1.0);
    CHECK(pause() == 200ms);
    lane.schedule.store_failed({}, 1.0);
    CHECK(pause() == 400ms);
    lane.schedule.store_failed({}, 0.0);
    CHECK(pause() == 400ms);  // half of 800 ms: the jitter
    for (int i = 0; i < 40; ++i) lane.schedule.store_failed({}, 1.0);
    CHECK(pause() == 10s);
    lane.schedule.due_in(0s);  // it answered
    lane.schedule.store_failed({}, 1.0);
    CHECK(pause() == 200ms);
    lane.schedule.store_failed(3s, 1.0);
    CHECK(pause() == 3s);
}

TEST_CASE("a lane with a fallback watches it at once, since something may have failed before a restart") {
    Lane lane{{.fallback_after = 2min}};
    CHECK(lane.next().kind == Kind::watch_fallback);
    lane.schedule.fallback_watch_begins();
    lane.schedule.fallback_watched(0s, {});
    CHECK(lane.next().kind == Kind::look);
}

TEST_CASE("a failed delivery brings the watch when its fallback is due, and no watch without a fallback") {
    Lane lane{{.poll = 1h, .fallback_after = 2min}};
    lane.schedule.fallback_watch_begins();
    lane.schedule.fallback_watched(0s, {});
    lane.schedule.due_in({});
    check_waits(lane.next(), 1h);
    lane.schedule.fallback_in(2min);
    lane.schedule.fallback_in(3min);
    check_waits(lane.next(), 2min);
    lane.clock.advance(2min);
    CHECK(lane.next().kind == Kind::watch_fallback);
    CHECK(lane.next(4).kind == Kind::watch_fallback);

    Lane without{{.poll = 1h}};
    without.schedule.due_in({});
    without.schedule.fallback_in(2min);
    check_waits(without.next(), 1h);
}

TEST_CASE("a failure that comes while fallbacks are watched is not forgotten") {
    Lane lane{{.poll = 1h, .fallback_after = 2min}};
    lane.schedule.fallback_watch_begins();
    lane.schedule.fallback_in(2min);
    lane.schedule.fallback_watched(0s, {});
    lane.schedule.due_in({});
    check_waits(lane.next(), 2min);
}

TEST_CASE("while the breaker is open new rows are watched for each second, a large backlog less often") {
    Lane lane{{.poll = 1h, .fallback_after = 2min}};
    lane.schedule.fallback_watch_begins();
    lane.schedule.fallback_watched(0s, {});
    check_waits(lane.next(0, blocked(1h)), 1s);
    lane.clock.advance(1s);
    CHECK(lane.next(0, blocked(1h)).kind == Kind::watch_fallback);
    lane.schedule.fallback_watch_begins();
    lane.schedule.fallback_watched(500ms, {});
    check_waits(lane.next(0, blocked(1h)), 10s);
}

}  // namespace fusebox::test
