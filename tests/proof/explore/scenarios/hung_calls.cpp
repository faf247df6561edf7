// Calls that hang: each is counted once, as hung or as what it became (R17).
#include "proof/explore/scenarios.hpp"
#include "proof/explore/scenarios/parts.hpp"

namespace fusebox::test::explore {
namespace {

CircuitBreakerConfig hanging(CircuitBreakerConfig config) {
    config.hung_call_threshold = 1s;
    return config;
}

}  // namespace

std::vector<Scenario> hung_calls_scenarios() {
    return {
        {.name = "R17: two hung calls settle while a third is admitted",
         .config = hanging(in_a_row(2)),
         .prepare =
             [](World& world) {
                 admit(world, 2);
                 world.clock.advance(1s);
             },
         .threads = {{success(0)}, {failure(1)}, {acquire(2)}},
         .check =
             [](World& world) {
                 const auto metrics = world.breaker.metrics();
                 require(metrics.window.total <= 2 && metrics.window.failures >= 1,
                         "R17: a call that was counted while it hung is not counted again");
                 require(metrics.state == State::open || metrics.window.total == 2, "R17: nor is one forgotten");
             }},
        {.name = "R17: a call settles, another is admitted, as it becomes overdue",
         .config = hanging(in_a_row(1)),
         .prepare = in_flight(1),
         .threads = {{success(0)}, {acquire(1)}, {advance(1s)}},
         .check =
             [](World& world) {
                 const auto metrics = world.breaker.metrics();
                 // The second call hangs as well where it is admitted before the time passes.
                 require(metrics.window.total == 1 || (metrics.window.total == 2 && world.rejected == 0),
                         "R17: a call is counted once, as what it was or because it hung");
                 require((metrics.state == State::open) == (metrics.window.failures != 0),
                         "R17: a call that hangs trips");
             }},
    };
}

}  // namespace fusebox::test::explore
