// Who is admitted while the circuit is open or half-open: no probe too many, no rejection with a wrong time (R2, R3,
// R4).
#include "proof/explore/scenarios.hpp"
#include "proof/explore/scenarios/parts.hpp"

namespace fusebox::test::explore {
namespace {

void at_retry_time(World& world) {
    world.breaker.trip();
    world.clock.advance(world.config.open_timeout);
}

// Of those who race for the first probes, as many are admitted as may be.
std::function<void(World&)> admits_exactly(unsigned probes) {
    return [=](World& world) {
        require(world.held() == probes, "R4: exactly as many probes as may be in flight");
        require(world.breaker.metrics().probes_in_flight == probes, "R4: the probes in flight are counted");
        require(world.breaker.generation() == 2, "R15: one transition to half-open");
    };
}

}  // namespace

std::vector<Scenario> admission_scenarios() {
    return {
        {.name = "R4: two threads at the retry time, one probe",
         .config = probing(1, 1),
         .prepare = at_retry_time,
         .threads = {{acquire(0)}, {acquire(1)}},
         .check = admits_exactly(1),
         .serializable = true},
        {.name = "R4: three threads at the retry time, one probe",
         .config = probing(1, 1),
         .prepare = at_retry_time,
         .threads = {{acquire(0)}, {acquire(1)}, {acquire(2)}},
         .check = admits_exactly(1),
         .serializable = true},
        {.name = "R4: three threads at the retry time, two probes",
         .config = probing(2, 1),
         .prepare = at_retry_time,
         .threads = {{acquire(0)}, {acquire(1)}, {acquire(2)}},
         .check = admits_exactly(2),
         .serializable = true},
        {.name = "R2, R3: two admissions as the retry time comes",
         .config = probing(1, 1),
         .prepare = [](World& world) { world.breaker.trip(); },
         .threads = {{acquire(0)}, {acquire(1)}, {advance(30s)}},
         .serializable = true},
        {.name = "R2: a rejection against a reset and a trip that opens for a shorter time",
         .prepare =
             [](World& world) {
                 world.acquire(0);
                 world.permits[0]->settle(Outcome::failure, {.retry_after = 5min});
                 world.permits[0].reset();
                 ++world.outcomes[static_cast<std::size_t>(Outcome::failure)];
                 world.breaker.trip();
             },
         .threads = {{acquire(0)}, {reset(), trip()}},
         .check =
             [](World& world) {
                 if (!world.rejection) return;
                 require(world.rejection->generation == 1 || world.rejection->generation == 3,
                         "R6: the generation that rejects is one that is open");
                 require(world.rejection->retry_after == (world.rejection->generation == 1 ? 5min : 30s),
                         "R2: the retry time is that of the generation that rejects");
             },
         .serializable = true},
        {.name = "R2, R15: an admission at the retry time against a second trip",
         .config = probing(1, 1),
         .prepare = at_retry_time,
         .threads = {{acquire(0)}, {trip()}, {acquire(1)}},
         .serializable = true},
    };
}

}  // namespace fusebox::test::explore
