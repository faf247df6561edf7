// Small texts that several routes need.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <fusebox/core/clock.hpp>

namespace fusebox::middleware {

/// RFC 3339 in UTC, with microseconds where they are not zero.
[[nodiscard]] std::string to_rfc3339(WallTime time);
[[nodiscard]] constexpr double to_seconds(Duration duration) noexcept {
    return std::chrono::duration<double>(duration).count();
}
/// ASCII only.
[[nodiscard]] bool equal_without_case(std::string_view left, std::string_view right) noexcept;
/// Percent-decoded; none for a broken escape. `plus_is_space` as in query strings.
[[nodiscard]] std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

}  // namespace fusebox::middleware
