// What is checked of a JSON body before anybody parses it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <fusebox/middleware/http.hpp>

namespace fusebox::middleware {

inline constexpr std::size_t max_json_depth = 64;

/// Deepest nesting of arrays and objects; brackets inside strings do not count. Of malformed text, some number.
[[nodiscard]] std::size_t json_depth(std::string_view text) noexcept;

/// 415 for a media type that is not JSON (none at all is taken as JSON); 400 for an empty body (unless `may_be_empty`),
/// invalid UTF-8 or more than `max_json_depth` levels. Nothing where the body may go to a parser.
[[nodiscard]] std::optional<Response> check_json_body(const Request& request, bool may_be_empty = false);

}  // namespace fusebox::middleware
