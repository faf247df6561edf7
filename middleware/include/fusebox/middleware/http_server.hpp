// The HTTP server: cpp-httplib's transport under our router, with every limit and every error body ours.
#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <fusebox/core/clock.hpp>
#include <fusebox/middleware/http.hpp>
#include <fusebox/middleware/router.hpp>

namespace fusebox::middleware {

struct HttpServerOptions {
    std::string host{"127.0.0.1"};          ///< name or numeric address, IPv6 without brackets
    int port{};                             ///< 0: any free port
    std::size_t max_body_bytes{4U << 20U};  ///< after decompression; more is 413
    std::size_t threads{256};               ///< connections served at once; made as needed; further ones wait; ≥ 1
    std::chrono::seconds keep_alive{2};     ///< an idle connection is closed after this
    std::chrono::seconds io_timeout{5};     ///< silence of a peer in mid-request
    /// For the head of a request, or a TLS handshake, to arrive, however busily it drips.
    std::chrono::milliseconds head_timeout{10'000};
    std::chrono::milliseconds request_timeout{60'000};  ///< likewise for head and body together
    std::string tls_certificate_file{};                 ///< PEM; with tls_key_file: https
    std::string tls_key_file{};
    /// After each response; on the request's thread. The path has no query in it.
    std::function<void(const Request&, const Response&, Duration took)> on_exchange{};
    /// An exception that escaped a handler (the caller got a 500 without it).
    std::function<void(const Request&, std::string_view what)> on_exception{};
};

/// Serves a router. `start` and `stop` from one thread; handlers run on up to `threads` threads at once.
///
/// Every error is problem+json, those of the server library included. A body is refused before it is read where the
/// route, the token or the declared length already says no.
class HttpServer {
public:
    HttpServer(Router router, HttpServerOptions options);
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    /// Stops.
    ~HttpServer();

    /// Binds and serves on threads of its own. The port that was bound, or one sentence about why not.
    std::expected<int, std::string> start();
    /// Accepts nothing new, lets requests in flight finish, joins. Does nothing when not started.
    void stop();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fusebox::middleware
