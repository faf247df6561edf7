#include <fusebox/middleware/http.hpp>

#include <fusebox/text/ascii.hpp>

namespace fusebox::middleware {

std::string_view Request::path_parameter(std::string_view name) const noexcept {
    for (const auto& [key, value] : path_parameters) {
        if (key == name) return value;
    }
    return {};
}

std::string_view Request::header(std::string_view name) const noexcept {
    for (const auto& [key, value] : headers) {
        if (text::equal_without_case(key, name)) return value;
    }
    return {};
}

Response json_response(std::string body, int status) {
    return {.status = status, .content_type = "application/json", .body = std::move(body)};
}

}  // namespace fusebox::middleware
