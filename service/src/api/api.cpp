#include "api/api.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fusebox/middleware/problem.hpp>

#include "logging.hpp"

namespace fusebox::service {
namespace {

constexpr std::size_t default_limit = 50;
constexpr std::size_t largest_limit = 500;
constexpr std::size_t max_errors = 20;

}  // namespace

incidents::RequestContext request_context() {
    return {.deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5}, .stop = {}};
}

incidents::RequestContext reading_context() {
    return {.deadline = std::chrono::steady_clock::now() + std::chrono::seconds{3}, .stop = {}, .for_people = true};
}

middleware::Response store_problem(const incidents::StoreError& error) {
    using enum incidents::StoreError::Kind;
    const char* why = "";
    switch (error.kind) {
        case not_found:
            return middleware::problem_response(404, error.message);
        case invalid:
            return middleware::problem_response(400, error.message);
        case conflict:
            why = "others keep changing the same incident";
            break;
        case unavailable:
            why = "it cannot be reached, read or written";
            break;
        case timeout:
            why = "it did not answer in time";
            break;
        case corrupt:
            why = "what it holds of this cannot be read";
            break;
        case rejected:
            why = "its circuit breaker lets nothing through";
            break;
    }
    // The message of the store may name files of this machine: it is for the log, never for the answer. What a breaker
    // rejected has been logged when the breaker opened.
    if (error.kind != rejected) log(Level::warning, "store_failed", {{"reason", error.message}});
    // A breaker that an operator holds open names no time, which is 0 here: nobody shall come back at once.
    constexpr Duration soonest = std::chrono::seconds{1};
    // Of a batch with an incident that cannot be read the alerts of other incidents are stored.
    const auto* changed = error.kind == corrupt ? "not all was stored" : "nothing was changed";
    return middleware::problem_response(middleware::Problem{
        .status = 503,
        .detail = fmt::format("the store cannot be used now, and {}: {}", changed, why),
        .errors = {},
        .retry_after = std::max(soonest, error.retry_after ? Duration{*error.retry_after} : soonest)});
}

std::vector<std::string> QueryReader::list(std::string_view name) {
    known_.emplace_back(name);
    std::vector<std::string> words;
    for (const auto& [key, value] : request_.query) {
        if (key != name) continue;
        for (std::size_t begin = 0; begin <= value.size();) {
            const auto end = std::min(value.find(',', begin), value.size());
            if (end > begin) words.push_back(value.substr(begin, end - begin));
            begin = end + 1;
        }
    }
    return words;
}

std::string QueryReader::text(std::string_view name) {
    known_.emplace_back(name);
    std::string result;
    bool found = false;
    for (const auto& [key, value] : request_.query) {
        if (key != name) continue;
        if (found) error(std::string{name}, "is given twice");
        found = true;
        result = value;
    }
    return result;
}

std::size_t QueryReader::limit() {
    const auto digits = text("limit");
    if (digits.empty()) {
        const bool given = std::ranges::any_of(request_.query, [](const auto& pair) { return pair.first == "limit"; });
        if (given) error("limit", "must be a number");
        return default_limit;
    }
    std::size_t limit = 0;
    const auto* last = digits.data() + digits.size();
    const auto [end, failure] = std::from_chars(digits.data(), last, limit);
    if (failure != std::errc{} || end != last || limit < 1 || limit > largest_limit) {
        error("limit", fmt::format("must be 1 to {}", largest_limit));
        return default_limit;
    }
    return limit;
}

void QueryReader::error(std::string field, std::string message) {
    if (errors_.size() == max_errors) return;
    errors_.push_back({std::move(field), std::move(message)});
}

std::optional<middleware::Response> QueryReader::finish(const std::function<bool(std::string_view)>& also_known) {
    for (const auto& [key, value] : request_.query) {
        if (std::ranges::find(known_, key) != known_.end() || (also_known && also_known(key))) continue;
        error(key, fmt::format("is not a known parameter; known are {}", fmt::join(known_, ", ")));
    }
    if (errors_.empty()) return std::nullopt;
    auto detail = errors_.front().field + " " + errors_.front().message;
    return middleware::problem_response(
        middleware::Problem{.status = 400, .detail = std::move(detail), .errors = std::move(errors_)});
}

middleware::Response page_response(std::string_view key, const std::vector<std::string>& items,
                                   const std::optional<std::string>& next_cursor) {
    const auto cursor = next_cursor ? nlohmann::json(*next_cursor).dump() : std::string{"null"};
    return middleware::json_response(
        fmt::format(R"({{"{}":[{}],"next_cursor":{}}})", key, fmt::join(items, ","), cursor));
}

}  // namespace fusebox::service
