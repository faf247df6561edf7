// The head of an HTTP/1 request, read strictly (RFC 9112). What two readers could understand differently is refused:
// such a request goes one way through a proxy and another way here, and that is how requests are smuggled.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include <fusebox/middleware/http.hpp>

namespace fusebox::middleware {

inline constexpr std::size_t max_head_bytes = 64U << 10U;
inline constexpr std::size_t max_target_bytes = 8192;
inline constexpr std::size_t max_header_bytes = 8192;  ///< of one line
inline constexpr std::size_t max_headers = 100;

/// Why a message is refused.
struct Refusal {
    int status{};
    std::string_view detail{};  ///< a literal: one sentence for the peer
};

struct MessageHead {
    std::string method{};
    std::string target{};  ///< begins with a slash
    bool http_1_0{};
    NameValues headers{};                   ///< names as sent; values without the blanks around them
    bool chunked{};                         ///< the body comes in chunks
    std::optional<std::uint64_t> length{};  ///< Content-Length
    bool keep_alive{};                      ///< the peer would send another request on this connection
    bool expects_continue{};                ///< the peer sends the body after a 100

    [[nodiscard]] bool has_body() const noexcept { return chunked || length.value_or(0) > 0; }
    /// First value of a header, by name without case; empty when absent.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

/// Finds the end of a head while the head still comes in.
class HeadScanner {
public:
    /// `received`: all bytes that have come, from the head's first one on; each call may bring more of them. Returns
    /// the length of the head with its empty line, 0 while the end has not come. Refuses, as soon as it comes, a line
    /// that does not end in CRLF, a control character, and a head that is too large.
    std::expected<std::size_t, Refusal> find_end(std::string_view received);

private:
    std::size_t scanned_{};
    std::size_t line_begin_{};
};

/// `head`: up to its empty line. One empty line before the request line is skipped (RFC 9112 §2.2).
[[nodiscard]] std::expected<MessageHead, Refusal> parse_head(std::string_view head);

/// `Name: value`, without the end of the line: a token, a colon right behind it, and no control character but tabs.
[[nodiscard]] bool is_header_line(std::string_view line) noexcept;

}  // namespace fusebox::middleware
