// Calendar times as RFC 3339 writes them.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace fusebox::text {

/// In UTC, with microseconds where they are not zero: "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.120000Z". What lies
/// outside the years 0001 … 9999, which RFC 3339 cannot write, is brought to the nearest end.
[[nodiscard]] std::string to_rfc3339(std::chrono::sys_time<std::chrono::microseconds> time);

/// Any RFC 3339 time with zone: "2026-01-01T05:30:00.5+05:30". Up to nine digits of a second are read, and those below
/// the microsecond cut off. A leap second is the first instant of the next day, as in POSIX. Empty if `text` is no such
/// time, or lies outside the years 0001 … 9999 in UTC.
[[nodiscard]] std::optional<std::chrono::sys_time<std::chrono::microseconds>> from_rfc3339(std::string_view text);

}  // namespace fusebox::text
