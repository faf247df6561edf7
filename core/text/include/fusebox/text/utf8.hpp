// What of a text is UTF-8, and where it may be cut.
#pragma once

#include <cstddef>
#include <string_view>

namespace fusebox::text {

/// The longest prefix of at most `bytes` bytes that does not cut a UTF-8 sequence.
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t bytes) noexcept;

}  // namespace fusebox::text
