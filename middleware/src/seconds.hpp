// How durations stand in JSON: as a number of seconds.
#pragma once

#include <fusebox/core/clock.hpp>

namespace fusebox::middleware {

[[nodiscard]] constexpr double to_seconds(Duration duration) noexcept {
    return std::chrono::duration<double>(duration).count();
}

}  // namespace fusebox::middleware
