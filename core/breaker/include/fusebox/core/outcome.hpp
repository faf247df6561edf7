// How a call ended, as a breaker sees it.
#pragma once

#include <cstdint>
#include <string_view>

namespace fusebox {

/// Contract §1. Any outcome can also be slow; that is judged from its duration.
enum class Outcome : std::uint8_t {
    success,
    failure,
    timeout,    ///< a failure, unless `count_timeout_as_failure` is off (then neutral)
    ignored,    ///< neutral: says nothing about the dependency's health
    abandoned,  ///< neutral: the permit was dropped unsettled
};

/// The enumerator's name: `success`.
[[nodiscard]] std::string_view to_string(Outcome outcome) noexcept;

}  // namespace fusebox
