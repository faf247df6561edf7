// Outcomes that settle while the generation changes: each is counted once, or is stale (R8).
#include "proof/explore/scenarios.hpp"
#include "proof/explore/scenarios/parts.hpp"

namespace fusebox::test::explore {
namespace {

// Slots 0 and 1 then hold calls of the closed circuit, slot 2 holds a probe.
void late_calls_and_a_probe(World& world) {
    admit(world, 2);
    world.breaker.trip();
    world.clock.advance(world.config.open_timeout);
    world.acquire(2);
}

CircuitBreakerConfig in_a_row_probing(std::uint32_t threshold, std::uint32_t most) {
    auto config = probing(most, 1);
    config.failure_rate_threshold = 0;
    config.consecutive_failure_threshold = threshold;
    return config;
}

CircuitBreakerConfig untimed(CircuitBreakerConfig config) {
    config.measure_duration = false;
    config.window = CountWindow{100};
    config.operation_timeout = std::nullopt;
    return config;
}

void nothing_in_the_window(World& world) {
    const auto metrics = world.breaker.metrics();
    require(metrics.state == State::closed && metrics.window == WindowCounts{}, "R16: the window is empty");
    require(metrics.consecutive_failures == 0, "R8: no failure of an older generation is in the run");
}

}  // namespace

std::vector<Scenario> settling_scenarios() {
    return {
        {.name = "R8: a success against a trip",
         .config = in_a_row(1),
         .prepare = in_flight(1),
         .threads = {{success(0)}, {trip()}},
         .check = counted_or_stale(1),
         .serializable = true},
        {.name = "R8: a failure against a reset",
         .config = in_a_row(5),
         .prepare = in_flight(1),
         .threads = {{failure(0)}, {reset()}},
         .check = nothing_in_the_window,
         .serializable = true},
        {.name = "R8: a success and a failure against a trip and a reset",
         .config = in_a_row(5),
         .prepare = in_flight(2),
         .threads = {{success(0)}, {failure(1)}, {trip(), reset()}},
         .check = nothing_in_the_window,
         .serializable = true},
        {.name = "R8: late outcomes of closed against the probe that closes again",
         .config = in_a_row_probing(1, 1),
         .prepare = late_calls_and_a_probe,
         .threads = {{success(0)}, {failure(1)}, {success(2)}},
         .check =
             [](World& world) {
                 const auto metrics = world.breaker.metrics();
                 require(metrics.state == State::closed && metrics.generation == 3, "R20: the probe closes");
                 require(metrics.totals.stale == 2, "R8: both late outcomes are stale");
                 require(metrics.window == WindowCounts{}, "R8: they are in no window");
                 require(metrics.consecutive_failures == 0, "R8: they are in no run");
             },
         .serializable = true},
        {.name = "R8: a late failure and a new success against the probe that closes again",
         .config = in_a_row_probing(1, 1),
         .prepare = late_calls_and_a_probe,
         .threads = {{failure(1)}, {success(2)}, {acquire(3), success(3)}},
         .check =
             [](World& world) {
                 const auto metrics = world.breaker.metrics();
                 require(metrics.totals.stale == 1, "R8: the late outcome is stale");
                 require(metrics.window.total == (world.rejected == 0 ? 1U : 0U), "R8: the new one is not");
             },
         .serializable = true},
        {.name = "R8: a good and a bad probe against a trip",
         .config = probing(2, 1),
         .prepare = probes(2),
         .threads = {{success(0)}, {failure(1)}, {trip()}},
         .serializable = true},
        {.name = "R8: a good probe and a reset, and a call meanwhile",
         .config = probing(1, 1),
         .prepare = probes(1),
         .threads = {{success(0)}, {reset()}, {acquire(1), failure(1)}},
         .serializable = true},
        {.name = "R8: two successes that get into each other's way against a trip",
         .config = in_a_row(5),
         .prepare = in_flight(2),
         .threads = {{success(0)}, {success(1)}, {trip()}},
         .check = counted_or_stale(2),
         .serializable = true,
         .cores = 2},
        {.name = "R8: three successes that nobody times, as the stripes are made",
         .config = untimed(in_a_row(5)),
         .prepare = in_flight(3),
         .threads = {{success(0)}, {success(1)}, {success(2)}},
         .check =
             [](World& world) {
                 require(world.breaker.metrics().window == WindowCounts{3, 0, 0}, "R8: each outcome is counted once");
             },
         .serializable = true,
         .cores = 4},
        {.name = "R8: a success of the old generation and one of the new against two resets",
         .prepare = in_flight(1),
         .threads = {{success(0)}, {acquire(1), success(1)}, {reset(), reset()}},
         .serializable = true},
    };
}

}  // namespace fusebox::test::explore
