#include "scenarios.hpp"

#include <set>

namespace fusebox::test::explore {
namespace {

using namespace std::chrono_literals;

// ---- operations ----

Operation acquire(std::size_t slot) {
    return [=](World& world) { world.acquire(slot); };
}
Operation settle(std::size_t slot, Outcome outcome) {
    return [=](World& world) { world.settle(slot, outcome); };
}
Operation success(std::size_t slot) { return settle(slot, Outcome::success); }
Operation failure(std::size_t slot) { return settle(slot, Outcome::failure); }
Operation drop(std::size_t slot) {
    return [=](World& world) { world.drop(slot); };
}
Operation advance(Duration by) {
    return [=](World& world) { world.advance(by); };
}
Operation trip() {
    return [](World& world) { world.breaker.trip(); };
}
Operation reset() {
    return [](World& world) { world.breaker.reset(); };
}
Operation force_open() {
    return [](World& world) { world.breaker.force_open(); };
}

Operation reconfigure(const std::function<void(CircuitBreakerConfig&)>& change) {
    return [=](World& world) {
        auto config = world.config;
        change(config);
        world.breaker.reconfigure(config);
    };
}
void read_metrics(World& world) {
    const auto metrics = world.breaker.metrics();
    const auto& totals = metrics.totals;
    require(totals.stale <= totals.admitted && totals.probes <= totals.admitted, "R41: no part is above its whole");
    require(metrics.window.total <= totals.successes + totals.failures, "R41: nor is the window");
    require(metrics.durations.count() == totals.successes + totals.failures, "R41: nor are the durations");
}

// ---- preparations ----

void admit(World& world, std::size_t count) {
    for (std::size_t slot = 0; slot < count; ++slot) world.acquire(slot);
}
std::function<void(World&)> in_flight(std::size_t count) {
    return [=](World& world) { admit(world, count); };
}
std::function<void(World&)> after_a_failure(std::size_t in_flight) {
    return [=](World& world) {
        world.call(Outcome::failure);
        admit(world, in_flight);
    };
}
std::function<void(World&)> probes(std::size_t count) {
    return [=](World& world) {
        world.half_open();
        admit(world, count);
    };
}
std::function<void(World&)> just_before(Duration end, std::function<void(World&)> then) {
    return [=](World& world) {
        world.clock.advance(end - 100us);
        then(world);
    };
}
// 0 and 1 are calls of the closed circuit, 2 is a probe.
void late_calls_and_a_probe(World& world) {
    admit(world, 2);
    world.breaker.trip();
    world.clock.advance(world.config.open_timeout);
    world.acquire(2);
}
void at_retry_time(World& world) {
    world.breaker.trip();
    world.clock.advance(world.config.open_timeout);
}

// ---- configurations ----

CircuitBreakerConfig probing(std::uint32_t most, std::uint32_t successes) {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = most;
    config.success_threshold = successes;
    return config;
}
CircuitBreakerConfig in_a_row(std::uint32_t threshold) {
    CircuitBreakerConfig config;
    config.failure_rate_threshold = 0;
    config.consecutive_failure_threshold = threshold;
    return config;
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
CircuitBreakerConfig hanging(CircuitBreakerConfig config) {
    config.hung_call_threshold = 1s;
    return config;
}
CircuitBreakerConfig by_rate(double rate, std::uint32_t minimum, Window window = TimeWindow{}) {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 0;
    config.failure_rate_threshold = rate;
    config.minimum_requests = minimum;
    config.window = window;
    return config;
}

// ---- checks ----

// Of those who race for the first probes, as many are admitted as may be.
std::function<void(World&)> admits_exactly(unsigned probes) {
    return [=](World& world) {
        require(world.held() == probes, "R4: exactly as many probes as may be in flight");
        require(world.breaker.metrics().probes_in_flight == probes, "R4: the probes in flight are counted");
        require(world.breaker.generation() == 2, "R15: one transition to half-open");
    };
}

// After a trip: each of the outcomes is in the window that was judged, or stale.
std::function<void(World&)> counted_or_stale(std::uint64_t outcomes) {
    return [=](World& world) {
        const auto metrics = world.breaker.metrics();
        require(metrics.state == State::open && metrics.generation == 1, "R12: it trips, once");
        require(metrics.window.total + metrics.totals.stale == outcomes, "R8: each outcome is counted once or stale");
    };
}
std::function<void(World&)> trips_with(std::uint64_t total, std::uint64_t failures) {
    return [=](World& world) {
        const auto metrics = world.breaker.metrics();
        require(metrics.state == State::open && metrics.generation == 1, "R12: the one that reaches the minimum trips");
        require(metrics.window == WindowCounts{total, failures, 0}, "R8: each outcome is counted once");
        const auto report = world.breaker.last_trip();
        require(report && report->window == metrics.window, "R40: the report says what was judged");
    };
}
void nothing_in_the_window(World& world) {
    const auto metrics = world.breaker.metrics();
    require(metrics.state == State::closed && metrics.window == WindowCounts{}, "R16: the window is empty");
    require(metrics.consecutive_failures == 0, "R8: no failure of an older generation is in the run");
}
void at_most_one_at_a_time(World& world) { require(world.most_held <= 1, "R4: never two probes at once"); }

std::vector<Scenario> make_scenarios() {
    std::vector<Scenario> all;

    // ---- R4: admission in half-open ----
    all.push_back({.name = "R4: two threads at the retry time, one probe",
                   .config = probing(1, 1),
                   .prepare = at_retry_time,
                   .threads = {{acquire(0)}, {acquire(1)}},
                   .check = admits_exactly(1),
                   .explained = true});
    all.push_back({.name = "R4: three threads at the retry time, one probe",
                   .config = probing(1, 1),
                   .prepare = at_retry_time,
                   .threads = {{acquire(0)}, {acquire(1)}, {acquire(2)}},
                   .check = admits_exactly(1),
                   .explained = true});
    all.push_back({.name = "R4: three threads at the retry time, two probes",
                   .config = probing(2, 1),
                   .prepare = at_retry_time,
                   .threads = {{acquire(0)}, {acquire(1)}, {acquire(2)}},
                   .check = admits_exactly(2),
                   .explained = true});

    // ---- R8: outcomes that come late ----
    all.push_back({.name = "R8: a success against a trip",
                   .config = in_a_row(1),
                   .prepare = in_flight(1),
                   .threads = {{success(0)}, {trip()}},
                   .check = counted_or_stale(1),
                   .explained = true});
    all.push_back({.name = "R8: a failure against a reset",
                   .config = in_a_row(5),
                   .prepare = in_flight(1),
                   .threads = {{failure(0)}, {reset()}},
                   .check = nothing_in_the_window,
                   .explained = true});
    all.push_back({.name = "R8: a success and a failure against a trip and a reset",
                   .config = in_a_row(5),
                   .prepare = in_flight(2),
                   .threads = {{success(0)}, {failure(1)}, {trip(), reset()}},
                   .check = nothing_in_the_window,
                   .explained = true});
    all.push_back({.name = "R8: late outcomes of closed against the probe that closes again",
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
                   .explained = true});
    all.push_back({.name = "R8: a late failure and a new success against the probe that closes again",
                   .config = in_a_row_probing(1, 1),
                   .prepare = late_calls_and_a_probe,
                   .threads = {{failure(1)}, {success(2)}, {acquire(3), success(3)}},
                   .check =
                       [](World& world) {
                           const auto metrics = world.breaker.metrics();
                           require(metrics.totals.stale == 1, "R8: the late outcome is stale");
                           require(metrics.window.total == (world.rejected == 0 ? 1U : 0U), "R8: the new one is not");
                       },
                   .explained = true});
    all.push_back({.name = "R8: a good and a bad probe against a trip",
                   .config = probing(2, 1),
                   .prepare = probes(2),
                   .threads = {{success(0)}, {failure(1)}, {trip()}},
                   .explained = true});
    all.push_back({.name = "R8: a good probe and a reset, and a call meanwhile",
                   .config = probing(1, 1),
                   .prepare = probes(1),
                   .threads = {{success(0)}, {reset()}, {acquire(1), failure(1)}},
                   .explained = true});

    // ---- R15: one transition per generation ----
    all.push_back({.name = "R15: three failures that each trip",
                   .config = in_a_row(1),
                   .prepare = in_flight(3),
                   .threads = {{failure(0)}, {failure(1)}, {failure(2)}},
                   .check =
                       [](World& world) {
                           const auto metrics = world.breaker.metrics();
                           require(metrics.generation == 1 && metrics.trip_count == 1, "R15: one of them trips");
                           require(metrics.totals.stale == 2, "R8: the others are stale");
                       },
                   .explained = true});
    all.push_back({.name = "R15, R37: a trip, a reset and a forced opening, heard by a listener",
                   .threads = {{trip()}, {reset()}, {force_open()}},
                   .check = [](World& world) { require(world.breaker.generation() == 3, "R15: each is a transition"); },
                   .explained = true,
                   .listening = true});
    all.push_back({.name = "R15, R37: two failures that each trip and a reset, heard by a listener",
                   .config = in_a_row(1),
                   .prepare = in_flight(2),
                   .threads = {{failure(0)}, {failure(1)}, {reset()}},
                   .explained = true,
                   .listening = true});
    all.push_back({.name = "R15, R37: a probe that closes, one that reopens, a trip, heard by a listener",
                   .config = probing(2, 1),
                   .prepare = probes(2),
                   .threads = {{success(0)}, {failure(1)}, {trip()}},
                   .explained = true,
                   .listening = true});

    // ---- R11, R12: judging ----
    all.push_back({.name = "R12: one failure, two successes, together the minimum",
                   .config = by_rate(0.3, 3),
                   .prepare = in_flight(3),
                   .threads = {{failure(0)}, {success(1)}, {success(2)}},
                   .check = trips_with(3, 1),
                   .explained = true});
    all.push_back({.name = "R12: one failure, two successes on other stripes, together the minimum",
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
                           require(world.breaker.metrics().window == WindowCounts{3, 1, 0},
                                   "R8: each outcome is counted once");
                           require(world.breaker.state() == State::open, "R12: the one that reaches the minimum trips");
                       },
                   .explained = true,
                   .cores = 4});
    all.push_back({.name = "R8: two successes that get into each other's way against a trip",
                   .config = in_a_row(5),
                   .prepare = in_flight(2),
                   .threads = {{success(0)}, {success(1)}, {trip()}},
                   .check = counted_or_stale(2),
                   .explained = true,
                   .cores = 2});
    all.push_back({.name = "R8: three successes that nobody times, as the stripes are made",
                   .config = untimed(in_a_row(5)),
                   .prepare = in_flight(3),
                   .threads = {{success(0)}, {success(1)}, {success(2)}},
                   .check =
                       [](World& world) {
                           require(world.breaker.metrics().window == WindowCounts{3, 0, 0},
                                   "R8: each outcome is counted once");
                       },
                   .explained = true,
                   .cores = 4});
    all.push_back({.name = "R12: two failures and a success, together the minimum of a count window",
                   .config = by_rate(0.6, 3, CountWindow{3}),
                   .prepare = in_flight(3),
                   .threads = {{failure(0)}, {success(1)}, {failure(2)}},
                   .check = trips_with(3, 2),
                   .explained = true});
    all.push_back({.name = "R12: a failure before, three successes around the minimum",
                   .big = true,
                   .config = by_rate(0.3, 3),
                   .prepare = after_a_failure(3),
                   .threads = {{success(0)}, {success(1)}, {success(2)}},
                   // The third outcome alone trips; the fourth may be in the window before the third is judged.
                   .check = [](World& world) {
                       const auto metrics = world.breaker.metrics();
                       require(metrics.window.total + metrics.totals.stale == 4,
                               "R8: each outcome is counted once or stale");
                       require(metrics.state == State::open || metrics.window.total == 4,
                               "R12: the one that reaches the minimum trips");
                   }});
    all.push_back({.name = "R12: a failure before, a success and a failure around the minimum",
                   .config = by_rate(0.5, 2),
                   .prepare = after_a_failure(2),
                   .threads = {{success(0)}, {failure(1)}},
                   .check = counted_or_stale(3)});
    all.push_back({.name = "R11: two failures in a row, a success anywhere",
                   .config = in_a_row(2),
                   .prepare = in_flight(3),
                   .threads = {{failure(0), failure(1)}, {success(2)}},
                   .explained = true});
    all.push_back({.name = "R11: a failure after another, and a success",
                   .config = in_a_row(5),
                   .prepare = after_a_failure(2),
                   .threads = {{failure(0)}, {success(1)}},
                   .check =
                       [](World& world) {
                           require(world.breaker.metrics().consecutive_failures <= 1,
                                   "R11: whichever comes first, the success parts the two failures");
                       },
                   .explained = true});
    all.push_back({.name = "R11: two failures of two threads, a success anywhere",
                   .config = in_a_row(2),
                   .prepare = in_flight(3),
                   .threads = {{failure(0)}, {failure(1)}, {success(2)}},
                   .explained = true});
    all.push_back({.name = "R11: a success that ends a run, against a trip, a reset and a new run",
                   .config = in_a_row(3),
                   .prepare = after_a_failure(1),
                   .threads = {{success(0)}, {trip(), reset(), acquire(2), failure(2)}},
                   .check =
                       [](World& world) {
                           require(world.breaker.metrics().consecutive_failures == 1,
                                   "R8: a late success ends no run of a later generation");
                       },
                   .explained = true});

    // ---- R13: the window ----
    // Short calls: longer ones take the lock to be timed.
    all.push_back({.name = "R13: two successes against the end of the slice and a failure after it",
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
                   .explained = true});
    all.push_back({.name = "R13: a success in a new slice against the failure that begins it",
                   .config = by_rate(0.9, 10, TimeWindow{.duration = 1s, .slices = 1}),
                   .prepare = just_before(1s, in_flight(2)),
                   .threads = {{advance(200us), success(0)}, {failure(1)}},
                   .check =
                       [](World& world) {
                           world.clock.advance(1s - 100us);
                           const auto window = world.breaker.metrics().window;
                           require(window.total - window.failures == 1, "R13: never forgotten before");
                       },
                   .explained = true});
    all.push_back({.name = "R13: a success in a new slice against the end of being disabled",
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
                   .explained = false});
    all.push_back({.name = "R12, R13: successes that reach the minimum against the end of the slice",
                   .config = by_rate(0.3, 3, TimeWindow{.duration = 2s, .slices = 2}),
                   .prepare = just_before(1s, after_a_failure(2)),
                   .threads = {{success(0)}, {success(1)}, {advance(200us)}},
                   .check = trips_with(3, 1),
                   .explained = true});
    all.push_back({.name = "R12, R13: successes against the slice in which the failure is forgotten",
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
                   .explained = true});
    all.push_back(
        {.name = "R13, R51: a success and a failure against a smaller count window",
         .config = by_rate(0.9, 10, CountWindow{10}),
         .prepare = in_flight(2),
         .threads = {{success(0)}, {failure(1)}, {reconfigure([](auto& config) { config.window = CountWindow{5}; })}},
         .check =
             [](World& world) {
                 require(world.breaker.metrics().window == WindowCounts{2, 1, 0}, "R51: the window is kept");
             },
         .explained = true});
    all.push_back(
        {.name = "R12, R51: two successes against a lower minimum",
         .big = true,
         .config = by_rate(0.3, 10),
         .prepare = after_a_failure(2),
         .threads = {{success(0)}, {success(1)}, {reconfigure([](auto& config) { config.minimum_requests = 2; })}},
         .explained = true});

    // ---- R17: calls that hang ----
    all.push_back({.name = "R17: two hung calls settle while a third is admitted",
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
                           require(metrics.state == State::open || metrics.window.total == 2,
                                   "R17: nor is one forgotten");
                       }});
    all.push_back({.name = "R17: a call settles, another is admitted, as it becomes overdue",
                   .config = hanging(in_a_row(1)),
                   .prepare = in_flight(1),
                   .threads = {{success(0)}, {acquire(1)}, {advance(1s)}},
                   .check = [](World& world) {
                       const auto metrics = world.breaker.metrics();
                       // The second call hangs as well where it is admitted before the time passes.
                       require(metrics.window.total == 1 || (metrics.window.total == 2 && world.rejected == 0),
                               "R17: a call is counted once, as what it was or because it hung");
                       require((metrics.state == State::open) == (metrics.window.failures != 0),
                               "R17: a call that hangs trips");
                   }});

    // ---- R9, R24, R25: no wedge ----
    all.push_back({.name = "R24: a probe settles, another is asked for, as the lease runs out",
                   .config = probing(1, 1),
                   .prepare = probes(1),
                   .threads = {{success(0)}, {acquire(1), success(1)}, {advance(60s)}},
                   .explained = true});
    all.push_back({.name = "R9, R24: a probe is dropped, another is asked for, as the lease runs out",
                   .config = probing(1, 1),
                   .prepare = probes(1),
                   .threads = {{drop(0)}, {acquire(1), drop(1)}, {advance(60s)}},
                   .explained = true});
    all.push_back({.name = "R24: two leases have run out, three threads come",
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
                       }});
    all.push_back({.name = "R9, R25: two threads take and drop the one probe, twice",
                   .config = probing(1, 1),
                   .prepare = probes(0),
                   .threads = {{acquire(0), drop(0), acquire(0), drop(0)}, {acquire(1), drop(1)}},
                   .check = at_most_one_at_a_time,
                   .explained = true});
    all.push_back({.name = "R25: a dropped probe's slot against a trip and the retry time",
                   .config = probing(1, 1),
                   .prepare = probes(1),
                   .threads = {{drop(0)}, {trip(), advance(30s)}, {acquire(1), success(1)}},
                   .explained = true});
    all.push_back({.name = "R25, R51: a probe ends, another is asked for, as a second slot is opened",
                   .config = probing(1, 2),
                   .prepare = probes(1),
                   .threads = {{success(0)}, {acquire(1)}, {reconfigure([](auto& config) {
                                   config.half_open_max_concurrent = 2;
                               })}},
                   .explained = true});
    all.push_back({.name = "R2, R3: two admissions as the retry time comes",
                   .config = probing(1, 1),
                   .prepare = [](World& world) { world.breaker.trip(); },
                   .threads = {{acquire(0)}, {acquire(1)}, {advance(30s)}},
                   .explained = true});
    all.push_back({.name = "R2: a rejection against a reset and a trip that opens for a shorter time",
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
                   .explained = true});
    all.push_back({.name = "R2, R15: an admission at the retry time against a second trip",
                   .config = probing(1, 1),
                   .prepare = at_retry_time,
                   .threads = {{acquire(0)}, {trip()}, {acquire(1)}},
                   .explained = true});

    // ---- R41: what is read meanwhile ----
    all.push_back({.name = "R41: metrics are read while a success and a failure are counted and one trips",
                   .config = in_a_row(1),
                   .prepare = in_flight(2),
                   .threads = {{success(0)}, {failure(1)}, {read_metrics}}});
    return all;
}

}  // namespace

std::span<const Scenario> scenarios() {
    static const auto all = make_scenarios();
    return all;
}

Result explore(const Scenario& scenario) {
    std::set<std::string> orders;  // what whole operations can lead to
    auto whole = false;
    const auto setup = [&](Program& program) {
        detail::cores = scenario.cores;
        const auto world = std::make_shared<World>(scenario.config, scenario.listening);
        if (scenario.prepare) scenario.prepare(*world);
        for (auto& answer : world->answers) answer.clear();
        for (const auto& operations : scenario.threads) {
            program.thread([world, &operations] {
                for (const auto& operation : operations) {
                    begin_operation();
                    operation(*world);
                }
            });
        }
        program.finally([&, world] {
            world->check_books();
            if (scenario.listening) world->check_listener();
            if (scenario.check) scenario.check(*world);
            if (scenario.explained) {
                const auto picture = world->picture();
                if (whole) {
                    orders.insert(picture);
                } else {
                    require(orders.contains(picture), "no order of whole operations gives: " + picture);
                }
            }
            world->check_recovery();
        });
    };
    if (scenario.explained) {
        whole = true;
        auto result = explore(setup, {.granularity = Options::Granularity::operations});
        if (!result.failure.empty()) return result;
        whole = false;
    }
    return explore(setup);
}

}  // namespace fusebox::test::explore
