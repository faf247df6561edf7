// What is read while calls settle (R41).
#include "proof/explore/scenarios.hpp"
#include "proof/explore/scenarios/parts.hpp"

namespace fusebox::test::explore {
namespace {

void read_metrics(World& world) {
    const auto metrics = world.breaker.metrics();
    const auto& totals = metrics.totals;
    require(totals.stale <= totals.admitted && totals.probes <= totals.admitted, "R41: no part is above its whole");
    require(metrics.window.total <= totals.successes + totals.failures, "R41: nor is the window");
    require(metrics.durations.count() == totals.successes + totals.failures, "R41: nor are the durations");
}

// Where every success takes 1 ms.
void read_milliseconds(World& world) {
    const auto durations = world.breaker.metrics().durations;
    require(durations.sum == 1ms * static_cast<Duration::rep>(durations.count()),
            "R41: a duration is in the sum if and only if its success is counted");
}
void ten_milliseconds(World& world) {
    read_milliseconds(world);
    require(world.breaker.metrics().durations.count() == 10, "R41: every success is counted");
}
// Each success takes 1 ms. The one that is counted first fills the cell, so the other one has to empty it.
void about_to_fill_the_cell(World& world) {
    for (int successes = 0; successes < 8; ++successes) {
        world.acquire(0);
        world.advance(1ms);
        world.settle(0, Outcome::success);
    }
    admit(world, 2);
    world.advance(1ms);
}

}  // namespace

std::vector<Scenario> reading_scenarios() {
    return {
        {.name = "R41: metrics are read while a success and a failure are counted and one trips",
         .config = in_a_row(1),
         .prepare = in_flight(2),
         .threads = {{success(0)}, {failure(1)}, {read_metrics}}},
        {.name = "R41: durations are read while a success fills a cell and another one empties it",
         .prepare = about_to_fill_the_cell,
         .threads = {{success(0)}, {success(1)}, {read_milliseconds}},
         .check = ten_milliseconds,
         .serializable = true},
        {.name = "R8, R13, R41: a cell is filled and emptied while a reset seals it",
         .prepare = about_to_fill_the_cell,
         .threads = {{success(0)}, {success(1)}, {reset()}},
         .check = ten_milliseconds,
         .serializable = true},
    };
}

}  // namespace fusebox::test::explore
