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

/// 415 for a `Content-Type` that is not JSON, and for a body without any: what a page of another origin can send
/// unasked has another type or none. Only the head is needed: a body counts as there where it is, or where the head
/// declares one.
[[nodiscard]] std::optional<Response> check_json_type(const Request& request);

/// 415 as `check_json_type`; 400 for an empty body (unless `may_be_empty`), invalid UTF-8 or more than `max_json_depth`
/// levels. Nothing where the body may go to a parser.
[[nodiscard]] std::optional<Response> check_json_body(const Request& request, bool may_be_empty = false);

}  // namespace fusebox::middleware
