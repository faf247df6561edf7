#include <fusebox/middleware/json_guard.hpp>

#include <algorithm>
#include <string>
#include <utility>

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

JsonSize measure_json(std::string_view text) noexcept {
    JsonSize size;
    std::size_t depth = 0;
    bool in_scalar = false;  // a number or a literal
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool was_in_scalar = std::exchange(in_scalar, false);
        switch (text[i]) {
            case '"':
                ++size.values;
                for (++i; i < text.size() && text[i] != '"'; ++i) {
                    if (text[i] == '\\') ++i;
                }
                break;
            case '[':
            case '{':
                ++size.values;
                size.depth = std::max(size.depth, ++depth);
                break;
            case ']':
            case '}':
                if (depth > 0) --depth;
                break;
            case ',':
            case ':':
            case ' ':
            case '\t':
            case '\r':
            case '\n':
                break;
            default:
                if (!was_in_scalar) ++size.values;
                in_scalar = true;
        }
    }
    return size;
}

std::optional<Response> check_json_type(const Request& request) {
    const auto type = request.header("Content-Type");
    const auto length = request.header("Content-Length");
    const bool has_body = !request.body.empty() || !request.header("Transfer-Encoding").empty() ||
                          length.find_first_not_of('0') != std::string_view::npos;
    if (type.empty() ? !has_body : is_json_media_type(type)) return std::nullopt;
    return problem_response(415, "the body must be application/json (with curl: -H 'Content-Type: application/json')");
}

std::optional<Response> check_json_body(const Request& request, bool may_be_empty, std::size_t max_values) {
    if (auto refusal = check_json_type(request)) return refusal;
    if (request.body.empty()) {
        if (may_be_empty) return std::nullopt;
        return problem_response(400, "a JSON body is needed");
    }
    if (!text::is_utf8(request.body)) return problem_response(400, "the body is not valid UTF-8");
    const auto size = measure_json(request.body);
    if (size.depth > max_json_depth) {
        return problem_response(400, "the body is nested deeper than " + std::to_string(max_json_depth) + " levels");
    }
    if (size.values > max_values) {
        return problem_response(413, "the body has " + std::to_string(size.values) + " JSON values, names included; " +
                                         std::to_string(max_values) + " are taken");
    }
    return std::nullopt;
}

}  // namespace fusebox::middleware
