// Outcomes at the edge of a time slice or of a smaller window: none is forgotten too early (R13, R51).
#include "proof/explore/scenarios.hpp"
#include "proof/explore/scenarios/parts.hpp"

namespace fusebox::test::explore {
namespace {

std::function<void(World&)> just_before(Duration end, std::function<void(World&)> then) {
    return [=](World& world) {
        world.clock.advance(end - 100us);
        then(world);
    };
}

}  // namespace

std::vector<Scenario> window_scenarios() {
    return {
        // Short calls: longer ones take the lock to be timed.
        {.name = "R13: two successes against the end of the slice and a failure after it",
         .big = true,
         .config = by_rate(0.9, 10, TimeWindow{.duration = 1s, .slices = 1}),
         .prepare = just_before(1s, in_flight(3)),
         .threads = {{success(0)}, {success(1)}, {advance(200us), failure(2)}},
         .check =
             [](World& world) {
                 require(world.breaker.metrics().window.total == 3, "R13: never forgotten before");
                 world.clock.advance(1s - 300us);
                 require(world.breaker.metrics().window.total == 3, "R13: never forgotten before");
                 world.clock.advance(1s + 300us);
                 require(world.breaker.metrics().window.total == 0, "R13: forgotten a slice later");
             },
         .serializable = true},
        {.name = "R13: a success in a new slice against the failure that begins it",
         .config = by_rate(0.9, 10, TimeWindow{.duration = 1s, .slices = 1}),
         .prepare = just_before(1s, in_flight(2)),
         .threads = {{advance(200us), success(0)}, {failure(1)}},
         .check =
             [](World& world) {
                 world.clock.advance(1s - 100us);
                 const auto window = world.breaker.metrics().window;
                 require(window.total - window.failures == 1, "R13: never forgotten before");
             },
         .serializable = true},
        {.name = "R13: a success in a new slice against the end of being disabled",
         .config = by_rate(0.9, 10, TimeWindow{.duration = 1s, .slices = 1}),
         .prepare = just_before(1s, [](World& world) { world.breaker.disable(); }),
         .threads = {{reset()},
                     {advance(200us),
                      [](World& world) {
                          if (world.breaker.state() == State::closed) world.call(Outcome::success);
                      }}},
         .check =
             [](World& world) {
                 world.clock.advance(1s - 100us);
                 const auto metrics = world.breaker.metrics();
                 require(metrics.window.total == metrics.totals.successes, "R13: never forgotten before");
             },
         .serializable = false},
        {.name = "R12, R13: successes that reach the minimum against the end of the slice",
         .config = by_rate(0.3, 3, TimeWindow{.duration = 2s, .slices = 2}),
         .prepare = just_before(1s, after_a_failure(2)),
         .threads = {{success(0)}, {success(1)}, {advance(200us)}},
         .check = trips_with(3, 1),
         .serializable = true},
        {.name = "R12, R13: successes against the slice in which the failure is forgotten",
         .config = by_rate(0.3, 3, TimeWindow{.duration = 1s, .slices = 1}),
         .prepare =
             [](World& world) {
                 world.call(Outcome::failure);
                 world.clock.advance(1s);
                 world.call(Outcome::success);
                 world.clock.advance(1s - 100us);
                 admit(world, 2);
             },
         .threads = {{success(0)}, {success(1)}, {advance(200us)}},
         .serializable = true},
        {.name = "R13, R51: a success and a failure against a smaller count window",
         .config = by_rate(0.9, 10, CountWindow{10}),
         .prepare = in_flight(2),
         .threads = {{success(0)}, {failure(1)}, {reconfigure([](auto& config) { config.window = CountWindow{5}; })}},
         .check =
             [](World& world) {
                 require(world.breaker.metrics().window == WindowCounts{2, 1, 0}, "R51: the window is kept");
             },
         .serializable = true},
    };
}

}  // namespace fusebox::test::explore
