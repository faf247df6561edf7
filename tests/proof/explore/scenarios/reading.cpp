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

}  // namespace

std::vector<Scenario> reading_scenarios() {
    return {
        {.name = "R41: metrics are read while a success and a failure are counted and one trips",
         .config = in_a_row(1),
         .prepare = in_flight(2),
         .threads = {{success(0)}, {failure(1)}, {read_metrics}}},
    };
}

}  // namespace fusebox::test::explore
