// An HTTP client that keeps deadlines, verifies TLS and cannot be led astray.
#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/transport/address_guard.hpp>

namespace fusebox::transport {

/// Ordered, repeats allowed; names compare without case.
using Headers = std::vector<std::pair<std::string, std::string>>;

/// A request with a malformed member is refused as `bad_request`, and nothing is sent.
struct HttpRequest {
    std::string method{"GET"};  ///< any token but CONNECT
    std::string url{};          ///< http or https; a user and password in it become basic authorization
    /// Names are tokens, values without control characters. Content-Length, Transfer-Encoding and Expect belong to the
    /// client; give none of them.
    Headers headers{};
    std::string body{};  ///< sent with any method but HEAD
    /// For who asks for nothing but the status: once the head of the answer is there, neither a body that is too large
    /// nor one that breaks off changes the answer, and a body that has not ended a second later is not waited for. The
    /// answer then has the part of the body that came.
    bool status_decides{false};
};

struct HttpResponse {
    int status{};
    Headers headers{};
    std::string body{};
    /// First value of a header, by name without case; empty when absent.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

struct HttpError {
    enum class Kind {
        bad_request,      ///< never sent: malformed; neutral
        blocked_address,  ///< the guard refused the connected address; neutral
        resolve,          ///< DNS
        connect,          ///< refused, unreachable, or not through within `connect_timeout`
        tls,              ///< handshake failed for a passing reason
        certificate,      ///< one side does not trust the other's: a matter of configuration; neutral
        timeout,          ///< the deadline passed
        reset,            ///< the peer closed or broke the protocol
        response_too_large,
        cancelled,  ///< the stop token was triggered; neutral
        internal,   ///< libcurl could not do its part
    };
    Kind kind{};
    std::string message{};  ///< one sentence; host and port at most, never path, query or credentials
};
[[nodiscard]] std::string_view to_string(HttpError::Kind kind) noexcept;
/// The outcome to record at a breaker; see docs/outcomes.md, "HTTP requests".
[[nodiscard]] Outcome outcome_of(const HttpError& error) noexcept;

/// The longest wait that `parse_retry_after` gives, whatever the peer asks for.
inline constexpr Duration max_retry_after = std::chrono::hours{24 * 365};
/// Seconds or an HTTP date (RFC 9110 §10.2.3), relative to `now`; empty if absent or unreadable. Never negative.
[[nodiscard]] std::optional<Duration> parse_retry_after(std::string_view value, WallTime now);

struct HttpClientConfig {
    /// For the whole request, where the context has no earlier deadline. More than 0, at most a day.
    Duration timeout{std::chrono::seconds{10}};
    /// For name, connection and TLS handshake together. More than 0, at most a day.
    Duration connect_timeout{std::chrono::seconds{5}};
    /// Headers and body together; more is `response_too_large`.
    std::size_t max_response_bytes{4U << 20U};
    /// How many handles are kept for reuse, each with the connections it has open; one serves one request at a time.
    std::size_t max_idle_handles{8};
    /// 0 to 20. A redirect beyond this many, or to another scheme, host or port, is handed to the caller like any other
    /// response: credentials go nowhere else.
    int max_redirects{0};
    AddressPolicy addresses{};              ///< what may be connected to
    std::string ca_file{};                  ///< PEM; replaces the system's authorities; empty: those
    std::string client_certificate_file{};  ///< PEM, for mutual TLS; only together with `client_key_file`
    std::string client_key_file{};
    std::string user_agent{"fusebox"};
};

/// Thread-safe; blocking; HTTP/1.1. Handles and their connections are pooled. TLS peer and host are always verified; no
/// proxy is taken from the environment; only http and https.
///
///     fusebox::transport::HttpClient client{{.timeout = std::chrono::seconds{3}}};
///     auto response = client.send({.method = "POST", .url = "https://hooks.example/ops", .body = "{}"});
///     if (!response) log(response.error().message);
class HttpClient {
public:
    /// Throws `std::invalid_argument` for a bad configuration, naming every bad field.
    explicit HttpClient(HttpClientConfig config = {});
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;
    ~HttpClient();

    /// Any status is a response; only a request that got none is an error. Ends by the earlier of the configured
    /// timeout and the context's deadline, and soon (< 100 ms) after the context's stop token is triggered.
    std::expected<HttpResponse, HttpError> send(const HttpRequest& request, const CallContext& context = {});

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fusebox::transport
