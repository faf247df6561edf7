// A scripted HTTP/1.1 server on a free loopback port, for tests of whatever sends HTTP: it answers, or misbehaves, on
// cue.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/test_certificate.hpp"

namespace fusebox::test {

using HeaderList = std::vector<std::pair<std::string, std::string>>;

/// What one request brought.
struct ReceivedRequest {
    std::string method;
    std::string target;  ///< path and query, as sent
    HeaderList headers;
    std::string body;
    std::size_t connection;  ///< 1 for the first accepted connection; the same number means a reused one
    /// First value of a header, by name without case; empty when absent.
    [[nodiscard]] std::string_view header(std::string_view name) const;
    [[nodiscard]] bool has_header(std::string_view name) const;
};

/// What the server does about one request. Made by the functions below.
struct ScriptedReply {
    enum class Mode { answer, hang, close, reset, drip, endless, raw };
    Mode mode{Mode::answer};
    int status{200};
    HeaderList headers{};
    std::string body{};
    std::chrono::milliseconds interval{};
};
/// An honest answer on a connection that stays open. Content-Length is added unless it or Transfer-Encoding is given.
[[nodiscard]] ScriptedReply reply(int status, std::string body = {}, HeaderList headers = {});
[[nodiscard]] ScriptedReply redirect(std::string location, int status = 302);
/// Never answers; waits until the client goes away.
[[nodiscard]] ScriptedReply hang();
/// Closes without a byte of answer; `reset` does it with a TCP RST.
[[nodiscard]] ScriptedReply close_at_once();
[[nodiscard]] ScriptedReply reset();
/// Status 200, then one byte of an endless body per interval.
[[nodiscard]] ScriptedReply drip(std::chrono::milliseconds interval);
/// Status 200, then a body without end, as fast as the client takes it.
[[nodiscard]] ScriptedReply endless();
/// Promises more body than it sends, then closes.
[[nodiscard]] ScriptedReply truncated(std::string body);
/// Sends exactly these bytes, whatever they are, then closes.
[[nodiscard]] ScriptedReply raw(std::string bytes);

/// Starts on construction, stops on destruction. Thread-safe.
///
///     HttpTestServer server{reply(200, "ok")};
///     client.send({.url = server.url("/hook")});
///     CHECK(server.requests().at(0).body == "{}");
///     server.script({reply(500), reply(429, "", {{"Retry-After", "3"}}), reply(200)});   // one each, the last repeats
///     server.stop();     // the receiver is down: connections are refused
///     server.start();    // and up again, on the same port
///
/// Request bodies are read by Content-Length.
class HttpTestServer {
public:
    /// Called on the connection's thread, so perhaps by several threads at once.
    using Handler = std::function<ScriptedReply(const ReceivedRequest&)>;

    struct Options {
        std::string address{"127.0.0.1"};                      ///< numeric, IPv4 or IPv6
        std::shared_ptr<const TestCertificate> certificate{};  ///< set: the server speaks TLS only
        /// Set: clients must show exactly this certificate.
        std::shared_ptr<const TestCertificate> client_certificate{};
        bool mute{false};  ///< accepts connections and then does nothing at all
    };

    explicit HttpTestServer(ScriptedReply always = reply(200, "ok"));
    explicit HttpTestServer(Handler handler);
    HttpTestServer(Handler handler, Options options);
    HttpTestServer(const HttpTestServer&) = delete;
    HttpTestServer& operator=(const HttpTestServer&) = delete;
    ~HttpTestServer();

    /// From the next request on.
    void set_handler(Handler handler);
    void script(std::initializer_list<ScriptedReply> replies);

    [[nodiscard]] int port() const;
    /// "http://127.0.0.1:PORT" + path, or https.
    [[nodiscard]] std::string url(std::string_view path = "/") const;

    [[nodiscard]] std::vector<ReceivedRequest> requests() const;
    /// Connections accepted so far.
    [[nodiscard]] std::size_t connections() const;
    /// False if fewer than `count` requests (connections) have come within `patience`.
    [[nodiscard]] bool wait_for_requests(std::size_t count,
                                         std::chrono::milliseconds patience = std::chrono::seconds{10}) const;
    [[nodiscard]] bool wait_for_connections(std::size_t count,
                                            std::chrono::milliseconds patience = std::chrono::seconds{10}) const;
    /// Forgets the requests so far; connections keep counting.
    void forget_requests();

    /// Breaks every connection and refuses new ones until `start`.
    void stop();
    void start();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// A loopback port where nothing listens, so that connecting is refused; held so that nobody else can take it.
class RefusingPort {
public:
    RefusingPort();
    RefusingPort(const RefusingPort&) = delete;
    RefusingPort& operator=(const RefusingPort&) = delete;
    ~RefusingPort();
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::string url(std::string_view path = "/") const;

private:
    int socket_;
    int port_;
};

/// A loopback port where connecting hangs: its queue of waiting connections is full and nobody accepts.
class SilentPort {
public:
    SilentPort();
    SilentPort(const SilentPort&) = delete;
    SilentPort& operator=(const SilentPort&) = delete;
    ~SilentPort();
    [[nodiscard]] int port() const { return port_; }
    [[nodiscard]] std::string url(std::string_view path = "/") const;

private:
    std::vector<int> sockets_;
    int port_;
};

}  // namespace fusebox::test
