// How long the circuit stays open (R26–R29).
#pragma once

#include <cstdint>

#include <fusebox/core/circuit_breaker_config.hpp>

namespace fusebox::detail {

/// A small seedable generator (SplitMix64), so that a fleet does not probe in step (R28). Not thread-safe.
class JitterSource {
public:
    explicit JitterSource(std::uint64_t seed) noexcept : state_(seed) {}
    /// In [0, 1).
    double next() noexcept;

private:
    std::uint64_t state_;
};

/// No open time is longer: the cap of what grows and of hints, or a fixed open time above it.
[[nodiscard]] Duration longest_open_time(const CircuitBreakerConfig& config) noexcept;

/// The open time after `attempt` failed recoveries, spread by the configured jitter. `hint`: what the dependency asked
/// for (zero: nothing); it lengthens the open time, up to `max_open_timeout`, and is spread only upwards.
[[nodiscard]] Duration open_time(const CircuitBreakerConfig& config, std::uint32_t attempt, Duration hint,
                                 JitterSource& jitter) noexcept;

}  // namespace fusebox::detail
