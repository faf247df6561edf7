// How one call through a breaker is made.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string_view>

#include <fusebox/core/clock.hpp>

namespace fusebox {

/// How one call is made. Every field is optional. What `late` points to and what `trace_id` views must outlive the
/// call.
struct CallOptions {
    /// On the breaker's clock. Counts instead of the configured `operation_timeout` when it is earlier.
    std::optional<TimePoint> deadline{};
    std::stop_token stop{};  ///< handed to the operation in its `CallContext`
    /// Set to whether the operation returned after its deadline: such a call is recorded as a timeout, and its value is
    /// returned all the same (R33).
    bool* late{};
    std::string_view trace_id{};  ///< for the reports, if the call does not end well (R40); cut at 32 bytes
};

/// When `CircuitBreaker::call_with_fallback` and the policy `Fallback` run their fallback.
enum class FallbackOn : std::uint8_t {
    rejection,    ///< a breaker or another policy refused the call
    any_failure,  ///< the call gave an error, whichever
};

}  // namespace fusebox
