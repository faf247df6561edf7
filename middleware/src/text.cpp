#include "text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>

namespace fusebox::middleware {

std::string to_rfc3339(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    std::array<char, 80> text{};
    auto length = std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d",
                                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                                static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                                static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
    std::string result(text.data(), static_cast<std::size_t>(length));
    if (const auto micros = clock.subseconds().count(); micros != 0) {
        length = std::snprintf(text.data(), text.size(), ".%06d", static_cast<int>(micros));
        result.append(text.data(), static_cast<std::size_t>(length));
    }
    return result + "Z";
}

bool equal_without_case(std::string_view left, std::string_view right) noexcept {
    constexpr auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(left, right, {}, lower, lower);
}

std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            if (text.size() - i < 3) return std::nullopt;
            unsigned value{};
            const auto* last = text.data() + i + 3;
            const auto [end, error] = std::from_chars(text.data() + i + 1, last, value, 16);
            if (error != std::errc{} || end != last) return std::nullopt;
            result += static_cast<char>(value);
            i += 2;
        } else {
            result += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return result;
}

}  // namespace fusebox::middleware
