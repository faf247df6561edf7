// Why a transition is made.
#pragma once

#include <chrono>
#include <string_view>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/transition_report.hpp>

namespace fusebox::detail {

/// What the report of a transition says of its cause (R40).
struct TransitionCause {
    TransitionReason reason{};
    double threshold{};  ///< of the rule that fired; 0 where the rule has none
    double observed{};   ///< the value that met the threshold
    WindowCounts window{};
    std::string_view actor{};
    std::string_view note{};
    Duration time_left{};  ///< of a circuit that is restored to open (R52)
};

/// A duration as a report gives it for a threshold or an observed value.
[[nodiscard]] inline double seconds(Duration duration) noexcept {
    return std::chrono::duration<double>{duration}.count();
}

}  // namespace fusebox::detail
