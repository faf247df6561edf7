// Probes that are dropped or outlive their lease: their slots come back, and the circuit can close (R9, R24, R25).
#include "proof/explore/scenarios.hpp"
#include "proof/explore/scenarios/parts.hpp"

namespace fusebox::test::explore {
namespace {

Operation drop(std::size_t slot) {
    return [=](World& world) { world.drop(slot); };
}

void at_most_one_at_a_time(World& world) { require(world.most_held <= 1, "R4: never two probes at once"); }

}  // namespace

std::vector<Scenario> recovery_scenarios() {
    return {
        {.name = "R24: a probe settles, another is asked for, as the lease runs out",
         .config = probing(1, 1),
         .prepare = probes(1),
         .threads = {{success(0)}, {acquire(1), success(1)}, {advance(60s)}},
         .serializable = true},
        {.name = "R9, R24: a probe is dropped, another is asked for, as the lease runs out",
         .config = probing(1, 1),
         .prepare = probes(1),
         .threads = {{drop(0)}, {acquire(1), drop(1)}, {advance(60s)}},
         .serializable = true},
        {.name = "R24: two leases have run out, three threads come",
         .config = probing(2, 1),
         .prepare =
             [](World& world) {
                 probes(2)(world);
                 world.clock.advance(60s);
             },
         .threads = {{acquire(2)}, {failure(0)}, {success(1)}},
         .check =
             [](World& world) {
                 const auto metrics = world.breaker.metrics();
                 require(metrics.state == State::open && metrics.generation == 3, "R24: it reopens, once");
                 require(metrics.totals.stale == 2, "R24: what settles after its lease is stale");
                 require(world.rejected == 1, "R2: and nobody is admitted");
             }},
        {.name = "R9, R25: two threads take and drop the one probe, twice",
         .config = probing(1, 1),
         .prepare = probes(0),
         .threads = {{acquire(0), drop(0), acquire(0), drop(0)}, {acquire(1), drop(1)}},
         .check = at_most_one_at_a_time,
         .serializable = true},
        {.name = "R25: a dropped probe's slot against a trip and the retry time",
         .config = probing(1, 1),
         .prepare = probes(1),
         .threads = {{drop(0)}, {trip(), advance(30s)}, {acquire(1), success(1)}},
         .serializable = true},
        {.name = "R25, R51: a probe ends, another is asked for, as a second slot is opened",
         .config = probing(1, 2),
         .prepare = probes(1),
         .threads = {{success(0)}, {acquire(1)}, {reconfigure([](auto& config) {
                         config.half_open_max_concurrent = 2;
                     })}},
         .serializable = true},
    };
}

}  // namespace fusebox::test::explore
