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

struct HttpRequest {
    std::string method{"GET"};
    std::string url{};  ///< http or https; anything else is refused as `bad_request`
    Headers headers{};  ///< control characters in a name or value are refused as `bad_request`
    std::string body{};
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
        bad_request,      ///< never sent: bad URL, scheme or header; neutral
        blocked_address,  ///< the guard refused the connected address; neutral
        resolve,          ///< DNS
        connect,
        tls,          ///< handshake failed for a passing reason
        certificate,  ///< verification failed: a matter of configuration; neutral
        timeout,      ///< the deadline passed
        reset,        ///< the peer closed or broke the protocol
        response_too_large,
        cancelled,  ///< the stop token was triggered; neutral
        internal,   ///< libcurl could not do its part
    };
    Kind kind{};
    std::string message{};  ///< one sentence; host and port at most, never path, query or credentials
};
[[nodiscard]] std::string_view to_string(HttpError::Kind kind) noexcept;
/// What a breaker should hold of it; see external-systems.md, first table.
[[nodiscard]] Outcome outcome_of(const HttpError& error) noexcept;

/// Seconds or an HTTP date (RFC 9110 §10.2.3), relative to `now`; empty if absent or unreadable. Never negative.
[[nodiscard]] std::optional<Duration> parse_retry_after(std::string_view value, WallTime now);

struct HttpClientConfig {
    Duration timeout{std::chrono::seconds{10}};  ///< whole request, where the context has no earlier deadline; > 0
    Duration connect_timeout{std::chrono::seconds{5}};  ///< > 0
    std::size_t max_response_bytes{4U << 20U};          ///< more is `response_too_large`
    std::size_t max_idle_handles{8};                    ///< kept for reuse; each keeps its connections alive
    int max_redirects{0};                               ///< 0: a 3xx is handed to the caller
    AddressPolicy addresses{};                          ///< what may be connected to
    std::string ca_file{};                              ///< PEM; empty: the system's
    std::string client_certificate_file{};              ///< PEM, for mutual TLS; with client_key_file
    std::string client_key_file{};
    std::string user_agent{"fusebox"};
};

/// Thread-safe; blocking. Handles and their connections are pooled. TLS peer and host are always verified; no proxy is
/// taken from the environment; only http and https.
///
///     fusebox::transport::HttpClient client{{.timeout = std::chrono::seconds{3}}};
///     auto response = client.send({.method = "POST", .url = "https://hooks.example/ops", .body = "{}"});
///     if (!response) log(response.error().message);
class HttpClient {
public:
    /// Throws `std::invalid_argument` for a bad configuration, naming the field.
    explicit HttpClient(HttpClientConfig config = {});
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;
    ~HttpClient();

    /// Any status is a response; only a request that got none is an error. Ends by the earlier of the configured timeout
    /// and the context's deadline, and soon (< 100 ms) after the context's stop token is triggered.
    std::expected<HttpResponse, HttpError> send(const HttpRequest& request, const CallContext& context = {});

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fusebox::transport
