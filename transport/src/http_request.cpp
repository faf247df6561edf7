#include "http_request.hpp"

#include <algorithm>
#include <new>
#include <utility>

#include <fusebox/text/ascii.hpp>

namespace fusebox::transport {

namespace {

using Kind = HttpError::Kind;
using CurlText = std::unique_ptr<char, Free<curl_free>>;

std::unexpected<HttpError> bad_request(std::string message) {
    return std::unexpected(HttpError{.kind = Kind::bad_request, .message = std::move(message)});
}

}  // namespace

bool is_token(std::string_view text) noexcept {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        return text::is_letter_or_digit(c) || marks.find(c) != std::string_view::npos;
    });
}

bool is_header_value(std::string_view text) noexcept {
    return std::ranges::none_of(text, [](char c) { return text::is_control(c) && c != '\t'; });
}

std::expected<Target, HttpError> parse_target(const std::string& text) {
    if (std::ranges::any_of(text, text::is_control)) {
        return bad_request("the URL has a control character in it");
    }
    Target target{.url = Url{curl_url()}, .scheme = {}, .place = {}};
    const CURLUcode code = curl_url_set(target.url.get(), CURLUPART_URL, text.c_str(), 0);
    if (code == CURLUE_UNSUPPORTED_SCHEME) return bad_request("the URL is neither http nor https");
    if (code != CURLUE_OK) {
        return bad_request(std::string("the URL is not valid: ") + curl_url_strerror(code));
    }
    const auto part = [&](CURLUPart which) {
        char* value = nullptr;
        curl_url_get(target.url.get(), which, &value, CURLU_DEFAULT_PORT);
        const CurlText owner{value};
        return std::string(value ? value : "");
    };
    target.scheme = part(CURLUPART_SCHEME);
    if (target.scheme != "http" && target.scheme != "https") {
        return bad_request("the URL is neither http nor https");
    }
    target.place = part(CURLUPART_HOST) + ":" + part(CURLUPART_PORT);
    return target;
}

std::expected<HeaderLines, HttpError> header_lines(const HttpRequest& request) {
    HeaderLines lines;
    const auto add = [&](const std::string& line) {
        curl_slist* all = lines.release();
        curl_slist* longer = curl_slist_append(all, line.c_str());
        lines.reset(longer ? longer : all);
        if (!longer) throw std::bad_alloc{};
    };
    bool has_content_type = false;
    for (const auto& [name, value] : request.headers) {
        if (!is_token(name)) return bad_request("a header's name has a character that is not allowed");
        if (!is_header_value(value)) {
            return bad_request("the header " + name + " has a control character in its value");
        }
        for (const std::string_view own : {"Content-Length", "Transfer-Encoding", "Expect"}) {
            if (text::equal_without_case(name, own)) return bad_request("the header " + name + " is set by the client");
        }
        has_content_type = has_content_type || text::equal_without_case(name, "Content-Type");
        // To libcurl "Name:" means: leave this header out.
        std::string line = name;
        add(value.find_first_not_of(" \t") == std::string::npos ? line.append(";") : line.append(": ").append(value));
    }
    add("Expect:");
    if (!has_content_type) add("Content-Type:");
    return lines;
}

}  // namespace fusebox::transport
