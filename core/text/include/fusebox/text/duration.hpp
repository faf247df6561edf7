// How durations read: in configuration files, in messages and on the screen, always in the one wording "250ms",
// "12.5s".
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace fusebox::text {

/// A whole or decimal number directly followed by one unit (ns us ms s m h d): "250ms", "30s", "2m", "1.5h". No sign,
/// no blank, no second unit. Empty for anything else and for what nanoseconds in 64 bits cannot hold (more than 292
/// years); parts of a nanosecond are dropped.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) noexcept;

/// The shortest exact form, for what is set: "1.5s", "90s", "2m". `parse_duration` reads it back as the same duration,
/// unless it is negative: "-1.5s".
[[nodiscard]] std::string format_duration(std::chrono::nanoseconds duration);

/// For what is measured: three significant digits below a minute, "12.3s" for 12.345 s; from a minute on the two
/// largest units that follow each other: "2m5s", "3h11m", "1d", "12d4h". At most 2.1 % away from `duration` (half an
/// hour of a day).
[[nodiscard]] std::string format_rounded_duration(std::chrono::nanoseconds duration);

}  // namespace fusebox::text
