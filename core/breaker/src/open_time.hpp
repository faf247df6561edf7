// How long the circuit stays open (R26–R29).
#pragma once

#include <cstdint>

#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/detail/jitter.hpp>

namespace fusebox::detail {

/// The upper bound of every open time: `max_open_timeout`, which caps backoff and hints, or `open_timeout` where that
/// is longer, as it may be with a fixed backoff.
[[nodiscard]] Duration longest_open_time(const CircuitBreakerConfig& config) noexcept;

/// The open time after `attempt` failed recoveries, spread by the configured jitter. `hint`: for how long the
/// dependency asked not to be called; zero where it did not ask. A hint that is longer takes the place of the open
/// time, capped by `max_open_timeout`, and jitter only lengthens it.
[[nodiscard]] Duration open_time(const CircuitBreakerConfig& config, std::uint32_t attempt, Duration hint,
                                 JitterSource& jitter) noexcept;

}  // namespace fusebox::detail
