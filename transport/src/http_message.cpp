// The values around a request: header look-up, error kinds, Retry-After.
#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <string>
#include <system_error>

#include <fusebox/text/ascii.hpp>
#include <fusebox/transport/http_client.hpp>

namespace fusebox::transport {

std::string_view HttpResponse::header(std::string_view name) const noexcept {
    const auto found =
        std::ranges::find_if(headers, [&](const auto& field) { return text::equal_without_case(field.first, name); });
    return found == headers.end() ? std::string_view{} : found->second;
}

std::string_view to_string(HttpError::Kind kind) noexcept {
    using Kind = HttpError::Kind;
    switch (kind) {
        case Kind::bad_request:
            return "bad_request";
        case Kind::blocked_address:
            return "blocked_address";
        case Kind::resolve:
            return "resolve";
        case Kind::connect:
            return "connect";
        case Kind::tls:
            return "tls";
        case Kind::certificate:
            return "certificate";
        case Kind::timeout:
            return "timeout";
        case Kind::reset:
            return "reset";
        case Kind::response_too_large:
            return "response_too_large";
        case Kind::cancelled:
            return "cancelled";
        case Kind::internal:
            return "internal";
    }
    return "unknown";
}

Outcome outcome_of(const HttpError& error) noexcept {
    using Kind = HttpError::Kind;
    switch (error.kind) {
        case Kind::timeout:
            return Outcome::timeout;
        case Kind::bad_request:
        case Kind::blocked_address:
        case Kind::certificate:
        case Kind::cancelled:
            return Outcome::ignored;
        case Kind::resolve:
        case Kind::connect:
        case Kind::tls:
        case Kind::reset:
        case Kind::response_too_large:
        case Kind::internal:
            return Outcome::failure;
    }
    return Outcome::failure;
}

std::optional<Duration> parse_retry_after(std::string_view value, WallTime now) {
    const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
    while (!value.empty() && is_space(value.front())) value.remove_prefix(1);
    while (!value.empty() && is_space(value.back())) value.remove_suffix(1);
    if (value.empty()) return std::nullopt;

    using std::chrono::seconds;
    constexpr seconds most = std::chrono::duration_cast<seconds>(max_retry_after);
    if (std::ranges::all_of(value, text::is_digit)) {
        std::int64_t count{};
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), count);
        return error == std::errc{} ? std::min(seconds{count}, most) : most;  // so many digits that they do not fit
    }

    // libcurl reads the three forms of RFC 9110, and much else; all three begin with the name of a day.
    constexpr std::array<std::string_view, 7> days{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
    if (std::ranges::find(days, value.substr(0, 3)) == days.end()) return std::nullopt;
    if (value.find('\0') != std::string_view::npos) return std::nullopt;
    const std::time_t date = curl_getdate(std::string{value}.c_str(), nullptr);
    if (date == -1) return std::nullopt;
    const WallTime when{seconds{date}};
    return std::clamp<Duration>(std::min(when - now, WallTime::duration{most}), Duration::zero(), most);
}

}  // namespace fusebox::transport
