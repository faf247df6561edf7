#include <fusebox/middleware/json_guard.hpp>

#include <algorithm>
#include <string>

#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/ascii.hpp>
#include <fusebox/text/utf8.hpp>

namespace fusebox::middleware {
namespace {

bool is_json_media_type(std::string_view type) {
    type = text::trimmed(type.substr(0, type.find(';')));
    constexpr std::string_view suffix = "+json";
    return text::equal_without_case(type, "application/json") ||
           (type.size() > suffix.size() && text::equal_without_case(type.substr(type.size() - suffix.size()), suffix));
}

}  // namespace

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

std::optional<Response> check_json_type(const Request& request) {
    const auto type = request.header("Content-Type");
    const auto length = request.header("Content-Length");
    const bool has_body = !request.body.empty() || !request.header("Transfer-Encoding").empty() ||
                          length.find_first_not_of('0') != std::string_view::npos;
    if (type.empty() ? !has_body : is_json_media_type(type)) return std::nullopt;
    return problem_response(415, "the body must be application/json (with curl: -H 'Content-Type: application/json')");
}

std::optional<Response> check_json_body(const Request& request, bool may_be_empty) {
    if (auto refusal = check_json_type(request)) return refusal;
    if (request.body.empty()) {
        if (may_be_empty) return std::nullopt;
        return problem_response(400, "a JSON body is needed");
    }
    if (!text::is_utf8(request.body)) return problem_response(400, "the body is not valid UTF-8");
    if (json_depth(request.body) > max_json_depth) {
        return problem_response(400, "the body is nested deeper than " + std::to_string(max_json_depth) + " levels");
    }
    return std::nullopt;
}

}  // namespace fusebox::middleware
