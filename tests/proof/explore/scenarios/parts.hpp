// What scenarios are made of: operations, preparations, configurations and checks that several rule groups use.
#pragma once

#include <chrono>
#include <functional>

#include "proof/explore/scenario.hpp"

namespace fusebox::test::explore {

using namespace std::chrono_literals;

// ---- operations ----

inline Operation acquire(std::size_t slot) {
    return [=](World& world) { world.acquire(slot); };
}
inline Operation settle(std::size_t slot, Outcome outcome) {
    return [=](World& world) { world.settle(slot, outcome); };
}
inline Operation success(std::size_t slot) { return settle(slot, Outcome::success); }
inline Operation failure(std::size_t slot) { return settle(slot, Outcome::failure); }
inline Operation advance(Duration by) {
    return [=](World& world) { world.advance(by); };
}
inline Operation trip() {
    return [](World& world) { world.breaker.trip(); };
}
inline Operation reset() {
    return [](World& world) { world.breaker.reset(); };
}
inline Operation reconfigure(const std::function<void(CircuitBreakerConfig&)>& change) {
    return [=](World& world) {
        auto config = world.config;
        change(config);
        world.breaker.reconfigure(config);
    };
}

// ---- preparations ----

inline void admit(World& world, std::size_t count) {
    for (std::size_t slot = 0; slot < count; ++slot) world.acquire(slot);
}
inline std::function<void(World&)> in_flight(std::size_t count) {
    return [=](World& world) { admit(world, count); };
}
inline std::function<void(World&)> after_a_failure(std::size_t in_flight) {
    return [=](World& world) {
        world.call(Outcome::failure);
        admit(world, in_flight);
    };
}
inline std::function<void(World&)> probes(std::size_t count) {
    return [=](World& world) {
        world.half_open();
        admit(world, count);
    };
}

// ---- configurations ----

inline CircuitBreakerConfig probing(std::uint32_t most, std::uint32_t successes) {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = most;
    config.success_threshold = successes;
    return config;
}
inline CircuitBreakerConfig in_a_row(std::uint32_t threshold) {
    CircuitBreakerConfig config;
    config.failure_rate_threshold = 0;
    config.consecutive_failure_threshold = threshold;
    return config;
}
inline CircuitBreakerConfig by_rate(double rate, std::uint32_t minimum, Window window = TimeWindow{}) {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 0;
    config.failure_rate_threshold = rate;
    config.minimum_requests = minimum;
    config.window = window;
    return config;
}

// ---- checks ----

/// After a trip: each of the outcomes is in the window that was judged, or stale.
inline std::function<void(World&)> counted_or_stale(std::uint64_t outcomes) {
    return [=](World& world) {
        const auto metrics = world.breaker.metrics();
        require(metrics.state == State::open && metrics.generation == 1, "R12: it trips, once");
        require(metrics.window.total + metrics.totals.stale == outcomes, "R8: each outcome is counted once or stale");
    };
}
inline std::function<void(World&)> trips_with(std::uint64_t total, std::uint64_t failures) {
    return [=](World& world) {
        const auto metrics = world.breaker.metrics();
        require(metrics.state == State::open && metrics.generation == 1, "R12: the one that reaches the minimum trips");
        require(metrics.window == WindowCounts{total, failures, 0}, "R8: each outcome is counted once");
        const auto report = world.breaker.last_trip();
        require(report && report->window == metrics.window, "R40: the report says what was judged");
    };
}

}  // namespace fusebox::test::explore
