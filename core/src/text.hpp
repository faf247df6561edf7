// How numbers and durations read in the sentences that core writes for people.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// "12.5 s", "250 ms", "2 min": three significant digits, the largest unit that keeps the number at 1 or more.
[[nodiscard]] std::string duration_text(Duration duration);
/// "0.5", "1e-07": as short as it can be read back.
[[nodiscard]] std::string number_text(double number);
/// The longest prefix of at most `bytes` bytes that does not cut a UTF-8 sequence.
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t bytes) noexcept;

}  // namespace fusebox::detail
