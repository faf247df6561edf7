// Outcomes that together reach a threshold: the outcome that reaches it trips (R11, R12).
#include "proof/explore/scenarios.hpp"
#include "proof/explore/scenarios/parts.hpp"

namespace fusebox::test::explore {

std::vector<Scenario> judging_scenarios() {
    return {
        {.name = "R12: one failure, two successes, together the minimum",
         .config = by_rate(0.3, 3),
         .prepare = in_flight(3),
         .threads = {{failure(0)}, {success(1)}, {success(2)}},
         .check = trips_with(3, 1),
         .serializable = true},
        {.name = "R12: one failure, two successes on other stripes, together the minimum",
         .config = by_rate(0.3, 3),
         .prepare =
             [](World& world) {
                 world.breaker.trip();  // makes the stripes, wherever they come late
                 world.breaker.reset();
                 admit(world, 3);
             },
         .threads = {{failure(0)}, {success(1)}, {success(2)}},
         .check =
             [](World& world) {
                 require(world.breaker.metrics().window == WindowCounts{3, 1, 0}, "R8: each outcome is counted once");
                 require(world.breaker.state() == State::open, "R12: the one that reaches the minimum trips");
             },
         .serializable = true,
         .cores = 4},
        {.name = "R12: two failures and a success, together the minimum of a count window",
         .config = by_rate(0.6, 3, CountWindow{3}),
         .prepare = in_flight(3),
         .threads = {{failure(0)}, {success(1)}, {failure(2)}},
         .check = trips_with(3, 2),
         .serializable = true},
        {.name = "R12: a failure before, three successes around the minimum",
         .big = true,
         .config = by_rate(0.3, 3),
         .prepare = after_a_failure(3),
         .threads = {{success(0)}, {success(1)}, {success(2)}},
         // The third outcome alone trips; the fourth may be in the window before the third is judged.
         .check =
             [](World& world) {
                 const auto metrics = world.breaker.metrics();
                 require(metrics.window.total + metrics.totals.stale == 4, "R8: each outcome is counted once or stale");
                 require(metrics.state == State::open || metrics.window.total == 4,
                         "R12: the one that reaches the minimum trips");
             }},
        {.name = "R12: a failure before, a success and a failure around the minimum",
         .config = by_rate(0.5, 2),
         .prepare = after_a_failure(2),
         .threads = {{success(0)}, {failure(1)}},
         .check = counted_or_stale(3)},
        {.name = "R11: two failures in a row, a success anywhere",
         .config = in_a_row(2),
         .prepare = in_flight(3),
         .threads = {{failure(0), failure(1)}, {success(2)}},
         .serializable = true},
        {.name = "R11: a failure after another, and a success",
         .config = in_a_row(5),
         .prepare = after_a_failure(2),
         .threads = {{failure(0)}, {success(1)}},
         .check =
             [](World& world) {
                 require(world.breaker.metrics().consecutive_failures <= 1,
                         "R11: whichever comes first, the success parts the two failures");
             },
         .serializable = true},
        {.name = "R11: two failures of two threads, a success anywhere",
         .config = in_a_row(2),
         .prepare = in_flight(3),
         .threads = {{failure(0)}, {failure(1)}, {success(2)}},
         .serializable = true},
        {.name = "R11: a success that ends a run, against a trip, a reset and a new run",
         .config = in_a_row(3),
         .prepare = after_a_failure(1),
         .threads = {{success(0)}, {trip(), reset(), acquire(2), failure(2)}},
         .check =
             [](World& world) {
                 require(world.breaker.metrics().consecutive_failures == 1,
                         "R8: a late success ends no run of a later generation");
             },
         .serializable = true},
        {.name = "R12, R51: two successes against a lower minimum",
         .big = true,
         .config = by_rate(0.3, 10),
         .prepare = after_a_failure(2),
         .threads = {{success(0)}, {success(1)}, {reconfigure([](auto& config) { config.minimum_requests = 2; })}},
         .serializable = true},
    };
}

}  // namespace fusebox::test::explore
