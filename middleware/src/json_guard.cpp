#include <fusebox/middleware/json_guard.hpp>

#include <algorithm>
#include <string>

#include <fusebox/middleware/problem.hpp>

#include "text.hpp"

namespace fusebox::middleware {
namespace {

bool is_json_media_type(std::string_view type) {
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ') || type.ends_with('\t')) type.remove_suffix(1);
    constexpr std::string_view suffix = "+json";
    return equal_without_case(type, "application/json") ||
           (type.size() > suffix.size() && equal_without_case(type.substr(type.size() - suffix.size()), suffix));
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size();) {
        const auto first = static_cast<unsigned char>(text[i]);
        if (first < 0x80) {
            ++i;
            continue;
        }
        // Length and smallest code point by the first byte; overlong forms, surrogates and beyond U+10FFFF are invalid.
        const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
        if (first < 0xc2 || first > 0xf4 || text.size() - i < length) return false;
        unsigned code = first & (0x7fU >> length);
        for (std::size_t k = 1; k < length; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            if ((next & 0xc0) != 0x80) return false;
            code = (code << 6) | (next & 0x3fU);
        }
        const unsigned smallest = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
        if (code < smallest || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return false;
        i += length;
    }
    return true;
}

std::size_t json_depth(std::string_view text) noexcept {
    std::size_t depth = 0;
    std::size_t deepest = 0;
    bool in_string = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (in_string) {
            if (c == '\\') ++i;
            if (c == '"') in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            deepest = std::max(deepest, ++depth);
        } else if ((c == ']' || c == '}') && depth > 0) {
            --depth;
        }
    }
    return deepest;
}

std::optional<Response> check_json_body(const Request& request, bool may_be_empty) {
    if (request.body.empty()) {
        if (may_be_empty) return std::nullopt;
        return problem_response(400, "a JSON body is needed");
    }
    if (const auto type = request.header("Content-Type"); !type.empty() && !is_json_media_type(type)) {
        return problem_response(415,
                                "the body must be application/json (with curl: -H 'Content-Type: application/json')");
    }
    if (!is_valid_utf8(request.body)) return problem_response(400, "the body is not valid UTF-8");
    if (json_depth(request.body) > max_json_depth) {
        return problem_response(400, "the body is nested deeper than " + std::to_string(max_json_depth) + " levels");
    }
    return std::nullopt;
}

}  // namespace fusebox::middleware
