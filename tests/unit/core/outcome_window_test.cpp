// What the window promises between two threads, told one step at a time.
#include "outcome_window.hpp"

#include "support/rig.hpp"

namespace fusebox::test {

using namespace detail;
namespace {

using namespace std::chrono_literals;

struct WindowRig {
    explicit WindowRig(const Window& shape) : window{stripes, shape, true, true, start} {}

    bool success(std::uint64_t generation, Duration after = {}) {
        return window.try_success(stripes.own(), generation, true, start + after) != OutcomeWindow::Try::refused;
    }

    const TimePoint start{1h};
    Stripes stripes;
    OutcomeWindow window;
};

TEST_CASE("R8: without the lock, only a success of the generation that the window is at gets in") {
    WindowRig rig{GENERATE(Window{TimeWindow{}}, Window{CountWindow{10}})};
    CHECK(rig.success(0));
    CHECK_FALSE(rig.success(1));  // admitted after the transition, which has not got to the window yet
    rig.window.clear(1, true, rig.start);
    CHECK_FALSE(rig.success(0));
    CHECK(rig.success(1));
    CHECK(rig.window.counts(rig.start).total == 1);
    rig.window.seal(2);
    CHECK_FALSE(rig.success(1));
    CHECK(rig.window.counts(rig.start).total == 1);
}

TEST_CASE("R16: a window that does not record counts successes for life and holds none of them") {
    WindowRig rig{GENERATE(Window{TimeWindow{.duration = 10s, .slices = 10}}, Window{CountWindow{10}})};
    rig.window.clear(1, false, rig.start);
    CHECK(rig.success(1));
    CHECK(rig.success(1, 1h));  // no slice ends
    CHECK(rig.window.successes().measured == 2);
    CHECK(rig.window.counts(rig.start).total == 0);
    while (rig.success(1)) continue;  // until the cell is full
    rig.window.make_room();
    CHECK(rig.success(1));
    CHECK(rig.window.successes().measured == 65536);
    CHECK(rig.window.counts(rig.start).total == 0);

    rig.window.clear(2, true, rig.start);
    CHECK(rig.success(2));
    CHECK(rig.window.counts(rig.start).total == 1);
    CHECK(rig.window.successes().measured == 65537);
}

TEST_CASE("R13: without the lock, no success gets into a slice that has ended") {
    WindowRig rig{TimeWindow{.duration = 10s, .slices = 10}};
    CHECK(rig.success(0, 1s - 1ns));
    CHECK_FALSE(rig.success(0, 1s));
    rig.window.roll(rig.start + 1s);
    CHECK(rig.success(0, 1s));
    CHECK(rig.window.counts(rig.start + 1s).total == 2);
    CHECK(rig.window.counts(rig.start + 11s).total == 1);
    CHECK(rig.window.counts(rig.start + 12s).total == 0);
}

TEST_CASE("R13: a cell that is full refuses, and sealing it loses nothing") {
    WindowRig rig{TimeWindow{}};
    std::uint64_t recorded = 0;
    while (rig.success(0)) ++recorded;
    CHECK(recorded == 65'535);
    rig.window.add_success();
    CHECK(rig.success(0));
    CHECK(rig.window.counts(rig.start).total == recorded + 2);
}

}  // namespace
}  // namespace fusebox::test
