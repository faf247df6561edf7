#include "message_head.hpp"

#include <algorithm>
#include <charconv>
#include <system_error>

#include <fusebox/text/ascii.hpp>

namespace fusebox::middleware {
namespace {

constexpr std::size_t max_method_bytes = 32;
constexpr std::string_view line_end = "\r\n";

std::unexpected<Refusal> refuse(std::string_view detail, int status = 400) {
    return std::unexpected(Refusal{.status = status, .detail = detail});
}

bool is_token_character(char c) noexcept {
    return text::is_letter_or_digit(c) || std::string_view{"!#$%&'*+-.^_`|~"}.contains(c);
}

bool is_token(std::string_view text) noexcept { return !text.empty() && std::ranges::all_of(text, is_token_character); }

bool is_target_character(char c) noexcept { return c > 0x20 && c < 0x7f && c != '#'; }

/// RFC 3986: a name or an address, and perhaps a port. An empty one is allowed (RFC 9112 §3.2).
bool is_host_character(char c) noexcept {
    return text::is_letter_or_digit(c) || std::string_view{"-._~%!$&'()*+;=:[]"}.contains(c);
}

/// True if the comma-separated `list` has `token`, without case.
bool lists(std::string_view list, std::string_view token) noexcept {
    for (;;) {
        const auto comma = list.find(',');
        if (text::equal_without_case(text::trimmed(list.substr(0, comma)), token)) return true;
        if (comma == std::string_view::npos) return false;
        list.remove_prefix(comma + 1);
    }
}

std::optional<Refusal> read_request_line(std::string_view line, MessageHead& head) {
    const auto bad = [](std::string_view detail, int status = 400) { return Refusal{status, detail}; };
    const auto method_end = line.find(' ');
    const auto target_end = line.rfind(' ');
    if (method_end == std::string_view::npos || target_end == method_end) {
        return bad("the request line is not METHOD TARGET VERSION with one blank between each two");
    }
    const auto method = line.substr(0, method_end);
    const auto target = line.substr(method_end + 1, target_end - method_end - 1);
    const auto version = line.substr(target_end + 1);
    if (!is_token(method) || method.size() > max_method_bytes) return bad("the method is not a token");
    if (target.size() > max_target_bytes) return bad("the request target is longer than 8192 bytes", 414);
    if (!std::ranges::all_of(target, is_target_character)) return bad("the request target has a bad character");
    if (version != "HTTP/1.1" && version != "HTTP/1.0") return bad("the version is neither HTTP/1.1 nor HTTP/1.0");
    if (!target.starts_with('/')) return bad("the request target must be a path");
    head.method = method;
    head.target = target;
    head.http_1_0 = version == "HTTP/1.0";
    return std::nullopt;
}

std::optional<Refusal> read_header(std::string_view line, MessageHead& head) {
    if (line.size() > max_header_bytes) return Refusal{400, "a header is longer than 8192 bytes"};
    if (line.front() == ' ' || line.front() == '\t') return Refusal{400, "a header is folded over two lines"};
    if (!is_header_line(line)) {
        return Refusal{400, "a header is not a name, a colon right behind the name, and a value"};
    }
    if (head.headers.size() == max_headers) return Refusal{400, "there are more than 100 headers"};
    const auto colon = line.find(':');
    head.headers.emplace_back(line.substr(0, colon), text::trimmed(line.substr(colon + 1)));
    return std::nullopt;
}

std::optional<Refusal> read_framing(std::string_view name, std::string_view value, MessageHead& head) {
    if (text::equal_without_case(name, "Content-Length")) {
        if (head.length) return Refusal{400, "there are two Content-Lengths"};
        std::uint64_t length{};
        const auto* first = value.data();
        const auto* last = first + value.size();
        const auto [end, error] = std::from_chars(first, last, length);
        if (value.empty() || end != last || error != std::errc{}) {
            return Refusal{400, "Content-Length is not one number"};
        }
        head.length = length;
    } else if (text::equal_without_case(name, "Transfer-Encoding")) {
        if (head.chunked) return Refusal{400, "there are two Transfer-Encodings"};
        if (!text::equal_without_case(value, "chunked")) {
            return Refusal{400, "the only Transfer-Encoding taken is chunked"};
        }
        head.chunked = true;
    }
    return std::nullopt;
}

/// What the headers say together: where the body ends, and what becomes of the connection.
std::optional<Refusal> read_meaning(MessageHead& head) {
    std::size_t hosts = 0;
    bool close = false;
    bool keep = false;
    for (const auto& [name, value] : head.headers) {
        if (auto refusal = read_framing(name, value, head)) return refusal;
        if (text::equal_without_case(name, "Host")) {
            ++hosts;
            if (!std::ranges::all_of(value, is_host_character)) return Refusal{400, "the Host has a bad character"};
        } else if (text::equal_without_case(name, "Connection")) {
            close = close || lists(value, "close");
            keep = keep || lists(value, "keep-alive");
        } else if (text::equal_without_case(name, "Expect")) {
            head.expects_continue = !head.http_1_0 && text::equal_without_case(value, "100-continue");
        }
    }
    if (hosts > 1) return Refusal{400, "there are two Hosts"};
    if (hosts == 0 && !head.http_1_0) return Refusal{400, "the Host is missing"};
    if (head.chunked && head.length) return Refusal{400, "Content-Length and Transfer-Encoding together"};
    if (head.chunked && head.http_1_0) return Refusal{400, "HTTP/1.0 has no Transfer-Encoding"};
    head.keep_alive = !close && (!head.http_1_0 || keep);
    return std::nullopt;
}

}  // namespace

std::string_view MessageHead::header(std::string_view name) const noexcept {
    for (const auto& [key, value] : headers) {
        if (text::equal_without_case(key, name)) return value;
    }
    return {};
}

bool is_header_line(std::string_view line) noexcept {
    const auto colon = line.find(':');
    return colon != std::string_view::npos && is_token(line.substr(0, colon)) &&
           std::ranges::all_of(line.substr(colon + 1), [](char c) { return c == '\t' || !text::is_control(c); });
}

std::expected<std::size_t, Refusal> HeadScanner::find_end(std::string_view received) {
    for (; scanned_ < received.size(); ++scanned_) {
        if (scanned_ >= max_head_bytes) return refuse("the head is larger than 64 KiB");
        const char c = received[scanned_];
        const bool after_return = scanned_ > 0 && received[scanned_ - 1] == '\r';
        if (after_return != (c == '\n')) return refuse("a line of the head does not end in CRLF");
        if (text::is_control(c) && c != '\r' && c != '\n' && c != '\t') {
            return refuse("there is a control character in the head");
        }
        if (c != '\n') continue;
        const bool empty_line = scanned_ + 1 == line_begin_ + line_end.size();
        line_begin_ = scanned_ + 1;
        // An empty line that nothing precedes is no end: RFC 9112 §2.2 lets a server skip one.
        if (empty_line && line_begin_ > line_end.size()) return ++scanned_;
    }
    return 0;
}

std::expected<MessageHead, Refusal> parse_head(std::string_view text) {
    MessageHead head;
    if (text.size() > max_head_bytes) return refuse("the head is larger than 64 KiB");
    if (text.starts_with(line_end)) text.remove_prefix(line_end.size());
    for (bool first = true;; first = false) {
        const auto end = text.find(line_end);
        if (end == std::string_view::npos) return refuse("the head has no end");
        const auto line = text.substr(0, end);
        text.remove_prefix(end + line_end.size());
        if (line.empty() && !first) break;
        if (const auto refusal = first ? read_request_line(line, head) : read_header(line, head)) {
            return std::unexpected(*refusal);
        }
    }
    if (!text.empty()) return refuse("there is something behind the head");
    if (const auto refusal = read_meaning(head)) return std::unexpected(*refusal);
    return head;
}

}  // namespace fusebox::middleware
