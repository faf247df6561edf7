// What a request must be before it is handed to libcurl: a URL and header lines that mean what they say.
#pragma once

#include <curl/curl.h>

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include <fusebox/text/ascii.hpp>
#include <fusebox/transport/http_client.hpp>

namespace fusebox::transport {

/// Deletes an object of libcurl's by the function that is meant for it.
template <auto free_function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};
using Url = std::unique_ptr<CURLU, Free<curl_url_cleanup>>;
using HeaderLines = std::unique_ptr<curl_slist, Free<curl_slist_free_all>>;

/// A checked URL. `place` is what messages may say of it.
struct Target {
    Url url;
    std::string scheme;
    std::string place;  ///< host:port
    [[nodiscard]] bool same_origin(const Target& other) const noexcept {
        return scheme == other.scheme && text::equal_without_case(place, other.place);
    }
};

/// A `bad_request` where the text is not a URL, or one of another scheme than http and https.
std::expected<Target, HttpError> parse_target(const std::string& text);

/// The request's headers as libcurl wants them. A `bad_request` where one could be read as more than one header, or is
/// one that the client sets.
std::expected<HeaderLines, HttpError> header_lines(const HttpRequest& request);

/// Whether `text` can be a method or a header's name (RFC 9110 §5.6.2).
[[nodiscard]] bool is_token(std::string_view text) noexcept;

/// Whether `text` can be a header's value: no control characters but tabs.
[[nodiscard]] bool is_header_value(std::string_view text) noexcept;

}  // namespace fusebox::transport
