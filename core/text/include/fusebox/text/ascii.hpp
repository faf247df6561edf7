// ASCII as protocols and configuration files treat it: classes of characters, letters without case, white space around.
// No function here looks at the locale, and none touches a byte above 0x7f.
#pragma once

#include <algorithm>
#include <string_view>

namespace fusebox::text {

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

[[nodiscard]] constexpr bool is_letter_or_digit(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c);
}

/// U+0000 … U+001F and U+007F, with which a value could forge a line, a header or what a terminal shows.
[[nodiscard]] constexpr bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// Whether the JSON string of `text` is `text` between two quotes: printable ASCII alone, without quote and backslash.
[[nodiscard]] constexpr bool is_plain_json(std::string_view text) noexcept {
    return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; });
}

/// 'A' … 'Z' as 'a' … 'z', every other character as it is.
[[nodiscard]] constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Names of HTTP headers, schemes and hosts compare so: `equal_without_case("Content-Type", "content-type")`. Letters
/// beyond ASCII are compared byte by byte.
[[nodiscard]] constexpr bool equal_without_case(std::string_view left, std::string_view right) noexcept {
    return std::ranges::equal(left, right, {}, lower, lower);
}

/// `text` without the blanks, tabs and ends of line before and after it. The result points into `text`.
[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) noexcept {
    constexpr std::string_view white_space = " \t\r\n";
    const auto begin = text.find_first_not_of(white_space);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(white_space) - begin + 1);
}

}  // namespace fusebox::text
