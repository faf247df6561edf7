// How long the circuit stays open (R26–R29).
#pragma once

#include <cstdint>

#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/detail/jitter.hpp>

namespace fusebox::detail {

/// No open time is longer: the cap of what grows and of hints, or a fixed open time above it.
[[nodiscard]] Duration longest_open_time(const CircuitBreakerConfig& config) noexcept;

/// The open time after `attempt` failed recoveries, spread by the configured jitter. `hint`: what the dependency asked
/// for (zero: nothing); it lengthens the open time, up to `max_open_timeout`, and is spread only upwards.
[[nodiscard]] Duration open_time(const CircuitBreakerConfig& config, std::uint32_t attempt, Duration hint,
                                 JitterSource& jitter) noexcept;

}  // namespace fusebox::detail
