#include <fusebox/middleware/access.hpp>

#include <algorithm>

#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/ascii.hpp>

namespace fusebox::middleware {

bool constant_time_equal(std::string_view left, std::string_view right) noexcept {
    if (left.size() != right.size()) return false;
    unsigned char difference = 0;
    for (std::size_t i = 0; i < left.size(); ++i) {
        // volatile: the compiler may not leave the loop early.
        const volatile unsigned char bits = static_cast<unsigned char>(left[i]) ^ static_cast<unsigned char>(right[i]);
        difference = static_cast<unsigned char>(difference | bits);
    }
    return difference == 0;
}

bool is_bearer_token(std::string_view text) noexcept {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return text::is_letter_or_digit(c) || std::string_view{"-._~+/="}.find(c) != std::string_view::npos;
    });
}

bool carries_token(const Request& request, std::string_view token) noexcept {
    constexpr std::string_view scheme = "Bearer ";
    auto value = request.header("Authorization");
    if (token.empty() || value.size() < scheme.size() ||
        !text::equal_without_case(value.substr(0, scheme.size()), scheme)) {
        return false;
    }
    value.remove_prefix(scheme.size());
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return constant_time_equal(value, token);
}

Guard require_token(std::string token, std::string how_to_enable) {
    return [token = std::move(token),
            how_to_enable = std::move(how_to_enable)](const Request& request) -> std::optional<Response> {
        if (token.empty()) return problem_response(403, "no token is configured for this: " + how_to_enable);
        if (carries_token(request, token)) return std::nullopt;
        const bool missing = request.header("Authorization").empty();
        auto refusal =
            problem_response(401, missing ? "a bearer token is needed" : "this is not the right bearer token");
        refusal.headers.emplace_back("WWW-Authenticate", missing ? "Bearer" : R"(Bearer error="invalid_token")");
        return refusal;
    };
}

bool is_local_caller(const Request& request) noexcept {
    const std::string_view peer = request.remote_address;
    const bool loopback = peer.starts_with("127.") || peer == "::1" || peer.starts_with("::ffff:127.");
    return loopback && request.header("Forwarded").empty() && request.header("X-Forwarded-For").empty();
}

}  // namespace fusebox::middleware
