// What of a text is UTF-8, and where it may be cut.
#pragma once

#include <cstddef>
#include <string_view>

namespace fusebox::text {

/// The bytes, 1 to 4, of the code point that `text` begins with; 0 where it begins with none: `text` is empty, or its
/// first bytes are a sequence that is cut short, overlong, a surrogate (U+D800 … U+DFFF) or beyond U+10FFFF.
///
///     code_point_length("né") == 1; code_point_length("én") == 2; code_point_length("\xff") == 0;
[[nodiscard]] std::size_t code_point_length(std::string_view text) noexcept;

/// Whether all of `text` is UTF-8 (RFC 3629). An empty text is, and a zero byte is a code point as any other.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// The longest prefix of at most `bytes` bytes that does not end before a continuation byte (10xxxxxx), which in UTF-8
/// is within a code point; all of `text` where it is not longer. Where `text` is not UTF-8, bytes that continue nothing
/// may be lost with what precedes them, all of them if need be. The result points into `text`.
///
///     cut("né", 2) == "n"; cut("né", 3) == "né";
[[nodiscard]] std::string_view cut(std::string_view text, std::size_t bytes) noexcept;

}  // namespace fusebox::text
