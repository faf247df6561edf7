// What of a text is UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

namespace fusebox::detail {

/// Bytes of the code point at the front of `text`, which is not empty; 0 where there is none.
[[nodiscard]] std::size_t code_point_length(std::string_view text) noexcept;
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

}  // namespace fusebox::detail
