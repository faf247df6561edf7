// How durations read in the sentences that are written for people.
#pragma once

#include <chrono>
#include <string>

namespace fusebox::text {

/// "12.5 s", "250 ms", "2 min": three significant digits, the largest unit that keeps the number at 1 or more.
[[nodiscard]] std::string duration_text(std::chrono::nanoseconds duration);

}  // namespace fusebox::text
