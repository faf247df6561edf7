// A breaker on a manual clock, and the moves that most tests make with it.
#pragma once

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

struct Rig {
    explicit Rig(const CircuitBreakerConfig& config = {}, BreakerOptions options = {})
        : breaker{"rig", config, with(std::move(options), clock)} {}

    /// Admits and settles `count` calls that take `duration`.
    void settle(Outcome outcome, int count = 1, Duration duration = {}) {
        for (int i = 0; i < count; ++i) {
            auto permit = breaker.try_acquire();
            REQUIRE(permit);
            clock.advance(duration);
            permit->settle(outcome);
        }
    }
    void succeed(int count = 1, Duration duration = {}) { settle(Outcome::success, count, duration); }
    void fail(int count = 1, Duration duration = {}) { settle(Outcome::failure, count, duration); }
    Permit admit() {
        auto permit = breaker.try_acquire();
        REQUIRE(permit);
        return *std::move(permit);
    }
    Rejection rejection() {
        auto permit = breaker.try_acquire();
        REQUIRE_FALSE(permit);
        return permit.error();
    }
    /// From closed to half-open with nothing in flight.
    void half_open() {
        breaker.trip();
        clock.advance(breaker.metrics().retry_after);
        admit().ignore();
        REQUIRE(breaker.state() == State::half_open);
    }
    [[nodiscard]] State state() const { return breaker.state(); }
    [[nodiscard]] WindowCounts window() const { return breaker.metrics().window; }

    static BreakerOptions with(BreakerOptions options, const Clock& clock) {
        options.clock = &clock;
        return options;
    }

    ManualClock clock;
    CircuitBreaker breaker;
};

/// Judges by rates only.
inline CircuitBreakerConfig rates_only(double failure_rate, std::uint32_t minimum, Window window) {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 0;
    config.failure_rate_threshold = failure_rate;
    config.minimum_requests = minimum;
    config.window = window;
    return config;
}

}  // namespace fusebox::test

template <>
struct Catch::StringMaker<fusebox::State> {
    static std::string convert(fusebox::State state) { return std::string{fusebox::to_string(state)}; }
};
template <>
struct Catch::StringMaker<fusebox::TransitionReason> {
    static std::string convert(fusebox::TransitionReason reason) { return std::string{fusebox::to_string(reason)}; }
};
template <>
struct Catch::StringMaker<fusebox::WindowCounts> {
    static std::string convert(const fusebox::WindowCounts& counts) {
        return "{total " + std::to_string(counts.total) + ", failures " + std::to_string(counts.failures) + ", slow " +
               std::to_string(counts.slow) + "}";
    }
};
