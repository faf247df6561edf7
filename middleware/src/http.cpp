#include <fusebox/middleware/http.hpp>

#include <fusebox/text/ascii.hpp>

namespace fusebox::middleware {
namespace {

std::string_view first_of(const NameValues& values, std::string_view name) noexcept {
    for (const auto& [key, value] : values) {
        if (key == name) return value;
    }
    return {};
}

}  // namespace

std::string_view Request::path_parameter(std::string_view name) const noexcept {
    return first_of(path_parameters, name);
}

std::string_view Request::query_parameter(std::string_view name) const noexcept { return first_of(query, name); }

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
