// The six states of a circuit breaker.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fusebox {

/// Contract §2. The numbers are the values of the Prometheus gauge.
enum class State : std::uint8_t {
    closed = 0,        ///< admits and judges every call
    open = 1,          ///< rejects until the retry time
    half_open = 2,     ///< admits a few probes
    forced_open = 3,   ///< set by an operator: rejects until reset
    disabled = 4,      ///< set by an operator: admits everything, records nothing in the window
    metrics_only = 5,  ///< set by an operator: admits everything, reports what it would have done
};

/// True where a call may be admitted: everywhere but `open` and `forced_open`.
[[nodiscard]] constexpr bool allows_requests(State state) noexcept {
    return state != State::open && state != State::forced_open;
}
/// True where the dependency is held to be broken or unproven: `open`, `half_open`, `forced_open`.
[[nodiscard]] constexpr bool is_failure_state(State state) noexcept {
    return state == State::open || state == State::half_open || state == State::forced_open;
}
/// The name as configuration, JSON and metrics spell it: `half_open`.
[[nodiscard]] std::string_view to_string(State state) noexcept;
/// The state of that name; empty for any other text.
[[nodiscard]] std::optional<State> state_from_string(std::string_view text) noexcept;

}  // namespace fusebox
