// The dependency's own word on when to come back, read from an error.
#pragma once

#include <concepts>
#include <optional>

#include <fusebox/core/call_error.hpp>
#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// True where argument-dependent look-up finds `std::optional<Duration> retry_after_of(const E&)`.
template <class E>
concept HasRetryAfterOf = requires(const E& error) {
    { retry_after_of(error) } -> std::convertible_to<std::optional<Duration>>;
};

/// The hint of an operation's error; empty where it has none.
template <class E>
[[nodiscard]] std::optional<Duration> retry_hint(const E& error) {
    if constexpr (HasRetryAfterOf<E>) return retry_after_of(error);
    return std::nullopt;
}
/// That of the operation's own error.
template <class E>
[[nodiscard]] std::optional<Duration> retry_hint(const CallError<E>& error) {
    const auto* own = error.operation_error();
    return own != nullptr ? retry_hint(*own) : std::nullopt;
}

}  // namespace fusebox::detail
