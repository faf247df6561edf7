#include <fusebox/middleware/router.hpp>

#include <algorithm>
#include <charconv>
#include <optional>
#include <stdexcept>

#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/ascii.hpp>
#include <fusebox/text/utf8.hpp>

namespace fusebox::middleware {
namespace {

std::vector<std::string_view> split(std::string_view text, char separator) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

bool is_parameter(std::string_view segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}

/// None for a broken escape. `plus_is_space` as in query strings.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space) {
    std::string result;
    result.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '%') {
            if (text.size() - i < 3) return std::nullopt;
            unsigned value{};
            const auto* last = text.data() + i + 3;
            const auto [end, error] = std::from_chars(text.data() + i + 1, last, value, 16);
            if (error != std::errc{} || end != last) return std::nullopt;
            result += static_cast<char>(value);
            i += 2;
        } else {
            result += plus_is_space && text[i] == '+' ? ' ' : text[i];
        }
    }
    return result;
}

/// Decoded, valid UTF-8 and free of control characters; else nothing.
std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
    auto decoded = percent_decode(text, plus_is_space);
    if (!decoded || !text::is_utf8(*decoded)) return std::nullopt;
    return std::ranges::any_of(*decoded, text::is_control) ? std::nullopt : decoded;
}

/// None: no match. Else how many segments matched literally; more is the better route.
std::optional<std::size_t> matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path) {
    if (pattern.size() != path.size()) return std::nullopt;
    std::size_t literal = 0;
    for (std::size_t i = 0; i < path.size(); ++i) {
        if (is_parameter(pattern[i])) {
            if (path[i].empty()) return std::nullopt;
        } else if (pattern[i] == path[i]) {
            ++literal;
        } else {
            return std::nullopt;
        }
    }
    return literal;
}

std::string join_methods(std::vector<std::string> methods) {
    if (std::ranges::find(methods, "GET") != methods.end()) methods.emplace_back("HEAD");
    methods.emplace_back("OPTIONS");
    std::ranges::sort(methods);
    std::string text;
    for (const auto& method : methods) text.append(text.empty() ? "" : ", ").append(method);
    return text;
}

/// True for patterns that match the same paths: they may differ in the names of their parameters.
bool match_the_same(const std::vector<std::string>& left, const std::vector<std::string>& right) {
    return std::ranges::equal(left, right,
                              [](const auto& a, const auto& b) { return is_parameter(a) ? is_parameter(b) : a == b; });
}

/// What keeps a route from ever being found or run; empty: nothing.
std::string_view mistake_in(std::string_view method, std::string_view pattern, const std::vector<std::string>& segments,
                            const Handler& handler) {
    if (!pattern.starts_with('/')) return "its pattern must begin with '/'";
    if (method.empty() || std::ranges::any_of(method, [](char c) { return c >= 'a' && c <= 'z'; }))
        return "its method must be in upper case";
    if (method == "HEAD") return "HEAD is answered by the route of GET";
    if (!handler) return "it has no handler";
    for (auto segment = segments.begin(); segment != segments.end(); ++segment) {
        if (segment->find_first_of("{}") == std::string::npos) continue;
        if (!is_parameter(*segment) || segment->find_first_of("{}", 1) != segment->size() - 1)
            return "a parameter is a whole segment of its pattern, as {name}";
        if (std::find(segments.begin(), segment, *segment) != segment) return "its pattern names a parameter twice";
    }
    return {};
}

}  // namespace

Route& Router::add(std::string method, std::string pattern, Handler handler, Guard guard) {
    Entry entry;
    for (const auto segment : split(std::string_view{pattern}.substr(pattern.starts_with('/') ? 1 : 0), '/'))
        entry.segments.emplace_back(segment);
    auto mistake = mistake_in(method, pattern, entry.segments, handler);
    const bool there_already = std::ranges::any_of(entries_, [&](const Entry& other) {
        return other.route.method == method && match_the_same(other.segments, entry.segments);
    });
    if (there_already) mistake = "there is a route of this method and these paths already";
    if (!mistake.empty())
        throw std::invalid_argument("the route " + method + " " + pattern + ": " + std::string{mistake});
    entry.route = {std::move(method), std::move(pattern), std::move(handler), std::move(guard)};
    return entries_.emplace_back(std::move(entry)).route;
}

void Router::for_each(const std::function<void(Route&)>& change) {
    for (auto& entry : entries_) change(entry.route);
}

std::expected<const Route*, Response> Router::find(Request& request, std::string_view target) const {
    const auto question = target.find('?');
    request.path = target.substr(0, question);
    if (!request.path.starts_with('/'))
        return std::unexpected(problem_response(400, "the request target must be a path"));

    // Split before decoding, so that an encoded slash stays inside its segment.
    std::vector<std::string> segments;
    for (const auto part : split(std::string_view{request.path}.substr(1), '/')) {
        auto segment = decode(part, false);
        if (!segment) return std::unexpected(problem_response(400, "the path is not valid percent-encoded UTF-8"));
        segments.push_back(std::move(*segment));
    }
    if (question != std::string_view::npos) {
        for (const auto pair : split(target.substr(question + 1), '&')) {
            if (pair.empty()) continue;
            const auto equals = pair.find('=');
            auto name = decode(pair.substr(0, equals), true);
            auto value = decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1), true);
            if (!name || !value)
                return std::unexpected(problem_response(400, "the query is not valid percent-encoded UTF-8"));
            request.query.emplace_back(std::move(*name), std::move(*value));
        }
    }

    const auto wanted = request.method == "HEAD" ? std::string_view{"GET"} : std::string_view{request.method};
    std::optional<std::size_t> best_literal;
    const Entry* best = nullptr;
    std::vector<std::string> allowed;
    for (const auto& entry : entries_) {
        const auto literal = matches(entry.segments, segments);
        if (!literal) continue;
        if (std::ranges::find(allowed, entry.route.method) == allowed.end()) allowed.push_back(entry.route.method);
        if (entry.route.method == wanted && (!best_literal || *literal > *best_literal)) {
            best_literal = literal;
            best = &entry;
        }
    }
    if (!best) {
        if (allowed.empty()) return std::unexpected(problem_response(404, "there is nothing at this path"));
        auto refusal = request.method == "OPTIONS" ? Response{.status = 204, .content_type = {}, .body = {}}
                                                   : problem_response(405, "this path does not take this method");
        refusal.headers.emplace_back("Allow", join_methods(std::move(allowed)));
        return std::unexpected(std::move(refusal));
    }
    request.method = wanted;
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const auto& segment = best->segments[i];
        if (is_parameter(segment))
            request.path_parameters.emplace_back(segment.substr(1, segment.size() - 2), segments[i]);
    }
    return &best->route;
}

}  // namespace fusebox::middleware
