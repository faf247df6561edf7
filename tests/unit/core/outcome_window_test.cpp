// What the window promises between two threads, told one step at a time.
#include "outcome_window.hpp"

#include "support/rig.hpp"

namespace fusebox::test {

using namespace detail;
namespace {

using namespace std::chrono_literals;

struct WindowRig {
    explicit WindowRig(const Window& shape) : window{stripes, shape, true, true, start} {}

    /// Of a call that was admitted by `word`.
    OutcomeWindow::Try tried(std::uint64_t admitted_by, Duration after = {}, Duration duration = {}) {
        return window.try_success(
            stripes.own(), word,
            {.admitted_by = admitted_by, .ended = start + after, .measured = true, .duration = duration});
    }
    bool success(std::uint64_t admitted_by, Duration after = {}, Duration duration = {}) {
        return tried(admitted_by, after, duration) == OutcomeWindow::Try::recorded;
    }
    void store_word(std::uint64_t next) {
        window.suspend();
        word.store(next);
    }

    const TimePoint start{1h};
    Atomic<std::uint64_t> word{};
    Stripes stripes;
    OutcomeWindow window;
};

TEST_CASE("R8: without the lock, only a success of the generation that the window is at gets in") {
    WindowRig rig{GENERATE(Window{TimeWindow{}}, Window{CountWindow{10}})};
    CHECK(rig.success(0));
    CHECK_FALSE(rig.success(1));
    rig.store_word(1);
    CHECK_FALSE(rig.success(0));
    CHECK_FALSE(rig.success(1));  // admitted after the transition, which has not got to the window yet
    rig.window.clear(true, rig.start);
    CHECK_FALSE(rig.success(0));
    CHECK(rig.success(1));
    CHECK(rig.window.counts(rig.start).total == 1);
    rig.store_word(2);
    rig.window.seal();
    CHECK_FALSE(rig.success(1));
    CHECK(rig.window.counts(rig.start).total == 1);
    CHECK(rig.success(2));  // as where a breaker goes on from a generation that it has restored
    CHECK(rig.window.counts(rig.start).total == 2);
}

TEST_CASE("R16: a window that does not record counts successes for life and holds none of them") {
    WindowRig rig{GENERATE(Window{TimeWindow{.duration = 10s, .slices = 10}}, Window{CountWindow{10}})};
    rig.store_word(1);
    rig.window.clear(false, rig.start);
    CHECK(rig.success(1));
    CHECK(rig.success(1, 1h));  // no slice ends
    CHECK(rig.window.successes().measured == 2);
    CHECK(rig.window.counts(rig.start).total == 0);
    while (rig.success(1) && rig.window.successes().measured < 100'000) continue;  // until the cell is full
    rig.window.make_room();
    CHECK(rig.success(1));
    CHECK(rig.window.successes().measured == 8193);
    CHECK(rig.window.counts(rig.start).total == 0);

    rig.store_word(2);
    rig.window.clear(true, rig.start);
    CHECK(rig.success(2));
    CHECK(rig.window.counts(rig.start).total == 1);
    CHECK(rig.window.successes().measured == 8194);
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
    WindowRig rig{GENERATE(Window{TimeWindow{}}, Window{CountWindow{100'000}})};
    std::uint64_t recorded = 0;
    while (recorded < 100'000 && rig.success(0)) ++recorded;
    CHECK(recorded == 8192);
    rig.window.add_success();
    CHECK(rig.success(0));
    CHECK(rig.window.counts(rig.start).total == recorded + 2);
    CHECK(rig.window.successes().measured == recorded + 1);  // add_success() counts for the window only
}

TEST_CASE("R13: a cell is full of durations, too, and emptying it loses none of them") {
    WindowRig rig{GENERATE(Window{TimeWindow{}}, Window{CountWindow{100}})};
    const auto duration = GENERATE(1ns, 1ms, SuccessCell::longest);
    for (int round = 1; round <= 3; ++round) {
        std::uint64_t recorded = 0;
        while (recorded < 100'000 && rig.success(0, {}, duration)) ++recorded;
        // The cell is full at 2^23 ns, which is a little more than 8 ms and than 8 times the longest duration.
        CHECK(recorded == (duration == 1ns ? 8192U : 9U));
        CHECK(rig.window.successes().measured == recorded * static_cast<std::uint64_t>(round));
        CHECK(rig.window.successes().durations == duration * static_cast<Duration::rep>(recorded) * round);
        rig.window.make_room();
        CHECK(rig.window.successes().durations == duration * static_cast<Duration::rep>(recorded) * round);
    }
}

TEST_CASE("R13: a cell that is not full is not emptied to make room") {
    WindowRig rig{TimeWindow{}};
    CHECK(rig.success(0));
    const auto before = rig.stripes.own().cell.load();
    rig.window.make_room();
    CHECK(rig.stripes.own().cell.load() == before);
}

TEST_CASE("R41: a success whose duration is unknown does not get among those with known ones, nor the reverse") {
    WindowRig rig{TimeWindow{}};
    const auto unmeasured = [&] {
        return rig.window.try_success(rig.stripes.own(), rig.word, {.ended = rig.start}) ==
               OutcomeWindow::Try::recorded;
    };
    CHECK_FALSE(unmeasured());
    CHECK(rig.success(0, {}, 5us));
    rig.window.set_measured(false);
    CHECK_FALSE(rig.success(0, {}, 5us));
    CHECK(unmeasured());
    CHECK(unmeasured());
    const auto successes = rig.window.successes();
    CHECK(successes.measured == 1);
    CHECK(successes.unmeasured == 2);
    CHECK(successes.durations == 5us);
    CHECK(rig.window.counts(rig.start).total == 3);
}

TEST_CASE("R41: successes that take the mutex are counted for life with their durations") {
    WindowRig rig{TimeWindow{}};
    CHECK(rig.success(0, {}, 5us));
    rig.window.count_success(true, 7us);
    rig.window.count_success(false, {});
    const auto successes = rig.window.successes();
    CHECK(successes.measured == 2);
    CHECK(successes.unmeasured == 1);
    CHECK(successes.durations == 12us);
}

}  // namespace
}  // namespace fusebox::test
