// Names of HTTP headers compare without case.
#pragma once

#include <algorithm>
#include <string_view>

namespace fusebox::transport {

[[nodiscard]] inline bool same_name(std::string_view a, std::string_view b) noexcept {
    constexpr auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, {}, lower, lower);
}

}  // namespace fusebox::transport
