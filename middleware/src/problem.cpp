#include <fusebox/middleware/problem.hpp>

#include <algorithm>
#include <chrono>
#include <ranges>

#include <nlohmann/json.hpp>

#include <fusebox/text/utf8.hpp>

#include "seconds.hpp"

namespace fusebox::middleware {

std::string_view status_phrase(int status) noexcept {
    switch (status) {
        case 200:
            return "OK";
        case 201:
            return "Created";
        case 202:
            return "Accepted";
        case 204:
            return "No Content";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 411:
            return "Length Required";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 417:
            return "Expectation Failed";
        case 422:
            return "Unprocessable Content";
        case 429:
            return "Too Many Requests";
        case 500:
            return "Internal Server Error";
        case 503:
            return "Service Unavailable";
        default:
            return "Error";
    }
}

namespace {

std::string bounded(std::string_view text, std::size_t longest) {
    if (text.size() <= longest) return std::string{text};
    return std::string{text::cut(text, longest)} + "…";
}

}  // namespace

Response problem_response(const Problem& problem) {
    nlohmann::ordered_json body{{"type", "about:blank"},
                                {"title", status_phrase(problem.status)},
                                {"status", problem.status},
                                {"detail", bounded(problem.detail, ProblemLimits::detail)}};
    if (!problem.errors.empty()) {
        auto& errors = body["errors"] = nlohmann::ordered_json::array();
        for (const auto& error : problem.errors | std::views::take(ProblemLimits::errors)) {
            errors.push_back({{"field", bounded(error.field, ProblemLimits::field)},
                              {"message", bounded(error.message, ProblemLimits::message)}});
        }
    }
    Response response{.status = problem.status, .content_type = "application/problem+json", .body = {}};
    if (problem.retry_after) {
        const auto wait = std::max(*problem.retry_after, Duration::zero());
        body["retry_after_seconds"] = to_seconds(wait);
        response.headers.emplace_back("Retry-After",
                                      std::to_string(std::chrono::ceil<std::chrono::seconds>(wait).count()));
    }
    response.body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return response;
}

Response problem_response(int status, std::string detail) {
    return problem_response(Problem{.status = status, .detail = std::move(detail)});
}

}  // namespace fusebox::middleware
