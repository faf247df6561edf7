// The HTTP server: serves a router, with bounds on everything that a peer decides.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
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
    int port{};                             ///< 0: any free port; at most 65535
    std::size_t max_body_bytes{4U << 20U};  ///< after decompression; more is 413. A route may set less
    /// For all bodies at once, with what is built from JSON (`bytes_per_json_value`, `bytes_per_json_byte`), and for
    /// the answers to GET that are larger than 64 KiB; what is beyond it gets 503. A quarter is for requests that need
    /// no more than 1 MiB each.
    std::size_t max_held_bytes{256U << 20U};
    std::size_t threads{256};      ///< requests served at once; threads are made as needed; ≥ 1
    std::size_t max_waiting{512};  ///< connections that no thread serves; further ones close the longest silent; ≥ 1
    std::chrono::seconds keep_alive{2};  ///< an idle connection is closed after this; > 0
    std::chrono::seconds io_timeout{5};  ///< silence of a peer in mid-request; > 0
    /// For the head of a request, or a TLS handshake, to arrive, however busily it drips; > 0.
    std::chrono::milliseconds head_timeout{10'000};
    /// Likewise for head and body together, and for the response; > 0. How long a handler takes, nobody bounds.
    std::chrono::milliseconds request_timeout{60'000};
    /// For a thread to become free; then 503; ≥ 0. While a request waits for a thread, or was refused for want of
    /// memory, a peer that has taken longer than half of this time to send its body or to read its answer is cut off.
    std::chrono::milliseconds thread_timeout{2'000};
    std::string tls_certificate_file{};  ///< PEM, read by `start`; both files: https; none: http
    std::string tls_key_file{};
    /// After each response is made, before it is sent; also for what never became a request (then method and path may
    /// be empty): a head that was refused, a connection that found no place. The path has no query in it. From several
    /// threads at once; must not wait, since it may be on the thread that accepts connections.
    std::function<void(const Request&, const Response&, Duration took)> on_exchange{};
    /// An exception that escaped a handler (the caller got a 500 without it).
    std::function<void(const Request&, std::string_view what)> on_exception{};
};

/// Serves a router. `start`, `stop`, `read_tls` and the destructor from one thread; handlers run on up to `threads`
/// threads at once. A program that waits for signals with `sigwait` blocks them before `start`, so that the server's
/// threads have them blocked too.
///
/// Heads and chunks are read strictly (RFC 9112): what two readers could understand differently is 400, and the
/// connection is closed. A body is refused before it is read where the route, its guard or the declared length already
/// says no; a refused body is read for a second at most. Every error is problem+json. Range is ignored.
///
/// One thread accepts connections and reads their heads, so that silent and slow peers hold no thread. Routes that are
/// `Route::always_answered` are answered by two threads of their own where every other one is taken.
class HttpServer {
public:
    /// Throws `std::invalid_argument` for options out of range.
    HttpServer(Router router, HttpServerOptions options);
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;
    /// Stops.
    ~HttpServer();

    /// Binds and serves on threads of its own. The port that was bound, or one sentence about why not.
    std::expected<int, std::string> start();
    /// Accepts nothing new, lets requests in flight finish, joins: takes as long as the slowest handler. Not from a
    /// handler, which would wait for itself. Does nothing when not started; the server may be started again.
    void stop();
    /// Reads certificate and key again. They are used once the function that is returned is called, for connections
    /// that are accepted from then on; others stay as they are. One sentence where they cannot be used. Without TLS
    /// nothing is read, and the function does nothing. Call it from the same thread, while the server exists.
    [[nodiscard]] std::expected<std::function<void()>, std::string> read_tls();

    /// Since the start: connections that were closed unserved because too many waited, or the system had none to give.
    /// 0 when not started. From handlers too, and from the thread that starts and stops the server.
    [[nodiscard]] std::uint64_t connections_turned_away() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fusebox::middleware
