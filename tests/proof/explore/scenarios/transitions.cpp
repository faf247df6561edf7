// Transitions that race: one per generation, heard in their order (R15, R37).
#include "proof/explore/scenarios.hpp"
#include "proof/explore/scenarios/parts.hpp"

namespace fusebox::test::explore {
namespace {

Operation force_open() {
    return [](World& world) { world.breaker.force_open(); };
}

}  // namespace

std::vector<Scenario> transitions_scenarios() {
    return {
        {.name = "R15: three failures that each trip",
         .config = in_a_row(1),
         .prepare = in_flight(3),
         .threads = {{failure(0)}, {failure(1)}, {failure(2)}},
         .check =
             [](World& world) {
                 const auto metrics = world.breaker.metrics();
                 require(metrics.generation == 1 && metrics.trip_count == 1, "R15: one of them trips");
                 require(metrics.totals.stale == 2, "R8: the others are stale");
             },
         .serializable = true},
        {.name = "R15, R37: a trip, a reset and a forced opening, heard by a listener",
         .threads = {{trip()}, {reset()}, {force_open()}},
         .check = [](World& world) { require(world.breaker.generation() == 3, "R15: each is a transition"); },
         .serializable = true,
         .listening = true},
        {.name = "R15, R37: two failures that each trip and a reset, heard by a listener",
         .config = in_a_row(1),
         .prepare = in_flight(2),
         .threads = {{failure(0)}, {failure(1)}, {reset()}},
         .serializable = true,
         .listening = true},
        {.name = "R15, R37: a probe that closes, one that reopens, a trip, heard by a listener",
         .config = probing(2, 1),
         .prepare = probes(2),
         .threads = {{success(0)}, {failure(1)}, {trip()}},
         .serializable = true,
         .listening = true},
    };
}

}  // namespace fusebox::test::explore
