#include "response_text.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <string_view>

#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/ascii.hpp>

#include "content_coding.hpp"

namespace fusebox::middleware {
namespace {

constexpr std::size_t worth_compressing = 1024;

bool is_text(std::string_view type) {
    type = type.substr(0, type.find(';'));
    return type.starts_with("text/") || type.ends_with("/json") || type.ends_with("+json");
}

void add_header(std::string& text, std::string_view name, std::string_view value) {
    if (std::ranges::any_of(name, text::is_control)) return;
    if (std::ranges::any_of(value, [](char c) { return c != '\t' && text::is_control(c); })) return;
    text.append(name).append(": ").append(value).append("\r\n");
}

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 §5.6.7), whatever the locale.
std::string http_date(std::chrono::sys_seconds time) {
    static constexpr std::array days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date{day};
    const std::chrono::hh_mm_ss clock{time - day};
    std::array<char, 64> text{};
    const int length =
        std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT",
                      days.at(std::chrono::weekday{day}.c_encoding()), unsigned{date.day()},
                      months.at(unsigned{date.month()} - 1), int{date.year()}, static_cast<int>(clock.hours().count()),
                      static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
    return {text.data(), static_cast<std::size_t>(length)};
}

}  // namespace

std::string response_text(const Response& response, const ResponseForm& form) {
    constexpr int no_content = 204;
    std::string_view body = response.body;
    std::optional<std::string> compressed;
    const bool may_compress = body.size() >= worth_compressing && is_text(response.content_type);
    if (may_compress && form.gzip) compressed = to_gzip(body);
    if (compressed) body = *compressed;

    std::string text = "HTTP/1.1 " + std::to_string(response.status) + ' ';
    text.append(status_phrase(response.status)).append("\r\n");
    add_header(text, "Date", http_date(form.now));
    add_header(text, "X-Content-Type-Options", "nosniff");
    add_header(text, "Cache-Control", "no-store");
    if (!response.content_type.empty()) add_header(text, "Content-Type", response.content_type);
    if (compressed) add_header(text, "Content-Encoding", "gzip");
    if (may_compress) add_header(text, "Vary", "Accept-Encoding");
    for (const auto& [name, value] : response.headers) add_header(text, name, value);
    if (response.status != no_content) add_header(text, "Content-Length", std::to_string(body.size()));
    if (!form.keep_alive) {
        add_header(text, "Connection", "close");
    } else {
        if (form.http_1_0) add_header(text, "Connection", "keep-alive");
        add_header(text, "Keep-Alive", "timeout=" + std::to_string(form.keep_alive_timeout.count()));
    }
    text += "\r\n";
    if (!form.head_only && response.status != no_content) text += body;
    return text;
}

}  // namespace fusebox::middleware
