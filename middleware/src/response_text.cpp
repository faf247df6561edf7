#include "response_text.hpp"

#include <algorithm>
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
