// What is checked of a JSON body before anybody parses it.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <fusebox/middleware/http.hpp>

namespace fusebox::middleware {

inline constexpr std::size_t max_json_depth = 64;
/// Values of one body, names of members included. 4 MiB of real alerts have fewer.
inline constexpr std::size_t max_json_values = 500'000;
/// What a parsed value takes at the least, next to the text itself: an empty object in an array takes 84 bytes.
inline constexpr std::size_t bytes_per_json_value = 100;
/// What parsing takes for each byte of the text, next to the text itself: of one long string nlohmann-json has three
/// copies at once, in buffers that double as they grow, and a fourth in the message of an error.
inline constexpr std::size_t bytes_per_json_byte = 5;

struct JsonSize {
    std::size_t depth{};   ///< deepest nesting of arrays and objects
    std::size_t values{};  ///< objects, arrays, strings (names of members too), numbers and literals
};

/// In one scan that builds nothing. Brackets inside strings do not count. Of malformed text, some numbers.
[[nodiscard]] JsonSize measure_json(std::string_view text) noexcept;

/// 415 for a `Content-Type` that is not JSON, and for a body without any: what a page of another origin can send
/// unasked has another type or none. Only the head is needed: a body counts as there where it is, or where the head
/// declares one.
[[nodiscard]] std::optional<Response> check_json_type(const Request& request);

/// 415 as `check_json_type`; 400 for an empty body (unless `may_be_empty`), invalid UTF-8 or more than `max_json_depth`
/// levels; 413 for more than `max_values` values. Nothing where the body may go to a parser.
[[nodiscard]] std::optional<Response> check_json_body(const Request& request, bool may_be_empty = false,
                                                      std::size_t max_values = max_json_values);

}  // namespace fusebox::middleware
