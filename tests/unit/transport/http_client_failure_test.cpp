#include <signal.h>

#include <array>
#include <stop_token>
#include <thread>

#include <fusebox/core/manual_clock.hpp>
#include <fusebox/transport/http_client.hpp>

#include "support/catch.hpp"
#include "support/http_test_server.hpp"
#include "unit/transport/fake_dns.hpp"

namespace fusebox::test {

using namespace transport;
using namespace std::chrono_literals;
using Kind = HttpError::Kind;

namespace {

Duration since(TimePoint start) { return std::chrono::steady_clock::now() - start; }

/// Sends what must fail, and checks what every error owes its reader.
HttpError failure_of(HttpClient& client, const HttpRequest& request, const CallContext& context = {}) {
    const auto response = client.send(request, context);
    REQUIRE_FALSE(response);
    CAPTURE(response.error().message);
    CHECK_FALSE(response.error().message.empty());
    for (const std::string secret : {"s3cret", "/", "?", "user"}) {
        CAPTURE(secret);
        CHECK(response.error().message.find(secret) == std::string::npos);
    }
    return response.error();
}

/// The same URL with everything in it that a message must not repeat.
std::string with_secrets(std::string url) {
    url.insert(url.find("//") + 2, "user:s3cret@");
    return url + "s3cret?token=s3cret#s3cret";
}

}  // namespace

TEST_CASE("each way a peer can fail has its own kind and outcome") {
    HttpTestServer server;
    HttpClient client{{.max_response_bytes = 100'000}};
    const auto expect = [&](Kind kind, Outcome outcome) {
        const HttpError error = failure_of(client, {.url = with_secrets(server.url())});
        CHECK(to_string(error.kind) == to_string(kind));
        CHECK(outcome_of(error) == outcome);
        CHECK(error.message.find("127.0.0.1:" + std::to_string(server.port())) != std::string::npos);
    };
    SECTION("closes without an answer") {
        server.script({close_at_once()});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("resets") {
        server.script({reset()});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("closes in the middle of the body") {
        server.script({truncated("half of")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("closes in the middle of a chunk") {
        server.script({raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("sends nonsense for a chunk's size") {
        server.script({raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("closes in the middle of the headers") {
        server.script({raw("HTTP/1.1 200 OK\r\nContent-Le")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("does not speak HTTP") {
        server.script({raw("220 mail.example ESMTP\r\n")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("speaks a later HTTP than was asked for") {
        server.script({raw("HTTP/9.9 200 OK\r\n\r\n")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("gives a length that is none") {
        server.script({raw("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("sends a header that is none") {
        server.script({raw("HTTP/1.1 200 OK\r\nno colon\r\n\r\n")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("sends a trailer that is none") {
        server.script(
            {raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nHTTP/1.1 200 Fake\r\n\r\n")});
        expect(Kind::reset, Outcome::failure);
    }
    SECTION("sends without end") {
        server.script({endless()});
        expect(Kind::response_too_large, Outcome::failure);
    }
    SECTION("sends more headers than anybody needs") {
        std::string many = "HTTP/1.1 200 OK\r\n";
        for (int i = 0; i < 3000; ++i)
            many += "X-Header-" + std::to_string(i) + ": 0123456789012345678901234567890\r\n";
        server.script({raw(many + "\r\n")});
        expect(Kind::response_too_large, Outcome::failure);
    }
    SECTION("sends one header line without end") {
        server.script({raw("HTTP/1.1 200 OK\r\nX-Long: " + std::string(300'000, 'x'))});
        expect(Kind::response_too_large, Outcome::failure);
    }
    SECTION("sends interim responses without end") {
        std::string many;
        for (int i = 0; i < 5000; ++i) many += "HTTP/1.1 103 Early Hints\r\n\r\n";
        server.script({raw(many)});
        expect(Kind::response_too_large, Outcome::failure);
    }
    server.script({reply(200)});
    CHECK(client.send({.url = server.url()}));  // the client is none the worse for it
}

TEST_CASE("a response may be as large as the limit, and not a byte larger") {
    const std::string head = "HTTP/1.1 200 Scripted\r\nContent-Length: 1000\r\n\r\n";
    HttpTestServer server{reply(200, std::string(1000, 'x'))};
    HttpClient enough{{.max_response_bytes = head.size() + 1000}};
    CHECK(enough.send({.url = server.url()}));
    HttpClient short_of_one{{.max_response_bytes = head.size() + 999}};
    CHECK(failure_of(short_of_one, {.url = server.url()}).kind == Kind::response_too_large);
}

TEST_CASE("where the status decides, no body changes it") {
    HttpTestServer server;
    HttpClient client{{.timeout = 30s, .max_response_bytes = 1000}};
    const HttpRequest request{.method = "POST", .url = server.url(), .body = "x", .status_decides = true};
    const auto status_of = [&](ScriptedReply scripted) {
        server.script({std::move(scripted)});
        const auto response = client.send(request);
        return response ? response->status : 0;
    };
    CHECK(status_of(endless()) == 200);
    CHECK(status_of(truncated("half")) == 200);
    CHECK(status_of(reply(503, std::string(2000, 'x'))) == 503);
    CHECK(status_of(raw("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 202 OK\r\nContent-Length: 9\r\n\r\n")) == 202);
    const auto began = std::chrono::steady_clock::now();
    CHECK(status_of(drip(20ms)) == 200);
    CHECK(std::chrono::steady_clock::now() - began < 5s);

    CHECK(status_of(raw("HTTP/1.1 200 OK\r\nX: y")) == 0);
    CHECK(status_of(raw("HTTP/1.1 103 Early Hints\r\n\r\n")) == 0);
    server.script({reply(200, "whole")});
    CHECK(client.send(request)->body == "whole");
}

TEST_CASE("a port where nobody listens is a connect error that says why") {
    const RefusingPort port;
    HttpClient client;
    const HttpError error = failure_of(client, {.url = with_secrets(port.url())});
    CHECK(error.kind == Kind::connect);
    CHECK(outcome_of(error) == Outcome::failure);
    CHECK(error.message.find("Connection refused") != std::string::npos);
}

TEST_CASE("a name that does not exist is a resolve error") {
    HttpClient client;
    const FakeName nowhere{"nowhere.invalid", "not..a.name"};  // refused without asking a name server
    const HttpError error = failure_of(client, {.url = "http://user:s3cret@nowhere.invalid:81?s3cret"});
    CHECK(error.kind == Kind::resolve);
    CHECK(outcome_of(error) == Outcome::failure);
    CHECK(error.message.find("nowhere.invalid:81") != std::string::npos);
}

namespace {

/// The ways in which a request can hang. After `prepare`, a request to `url` hangs until it is given up.
class Hanging {
public:
    enum class Where { name_server, connecting, tls_handshake, answer, dripping_body, endless_body };
    static constexpr std::array all{Where::name_server, Where::connecting,    Where::tls_handshake,
                                    Where::answer,      Where::dripping_body, Where::endless_body};

    explicit Hanging(Where where) : where_(where) {
        switch (where) {
            case Where::name_server:
                name_.emplace("hanging.test");
                break;
            case Where::connecting:
                silent_.emplace();
                break;
            case Where::tls_handshake:
                server_.emplace([](const auto&) { return hang(); }, mute());
                break;
            case Where::answer:
                server_.emplace(hang());
                break;
            case Where::dripping_body:
                server_.emplace(drip(1ms));
                break;
            case Where::endless_body:
                server_.emplace(endless());
                break;
        }
    }

    [[nodiscard]] std::string url() const {
        if (name_) return "http://hanging.test/";
        if (silent_) return silent_->url();
        if (where_ == Where::tls_handshake) return "https://127.0.0.1:" + std::to_string(server_->port()) + "/";
        return server_->url();
    }

    /// Blocks until the request hangs there. (That a connection attempt hangs can be seen from nowhere.)
    void wait_until_reached() const {
        if (name_) name_->wait_until_asked();
        if (where_ == Where::tls_handshake) REQUIRE(server_->wait_for_connections(1));
        if (server_ && where_ != Where::tls_handshake) REQUIRE(server_->wait_for_requests(1));
    }

private:
    static HttpTestServer::Options mute() {
        HttpTestServer::Options options;
        options.mute = true;
        return options;
    }

    Where where_;
    std::optional<HangingName> name_;
    std::optional<SilentPort> silent_;
    std::optional<HttpTestServer> server_;
};

constexpr std::size_t no_limit = std::size_t{1} << 40U;

}  // namespace

TEST_CASE("the deadline holds wherever a request hangs") {
    for (const Hanging::Where where : Hanging::all) {
        for (const bool configured : {true, false}) {
            CAPTURE(static_cast<int>(where), configured);
            const Hanging hanging{where};
            HttpClient client{{.timeout = configured ? Duration{100ms} : Duration{60s},
                               .connect_timeout = 60s,
                               .max_response_bytes = no_limit}};
            const TimePoint start = std::chrono::steady_clock::now();
            const HttpError error = failure_of(client, {.url = hanging.url()},
                                               configured ? CallContext{} : CallContext::with_timeout(100ms));
            CHECK(to_string(error.kind) == "timeout");
            CHECK(outcome_of(error) == Outcome::timeout);
            CHECK(since(start) >= 100ms);
            CHECK(since(start) < 5s);
        }
    }
}

TEST_CASE("a request is cancelled from another thread within 100 ms, wherever it hangs") {
    const TestCertificate certificate;  // reading all authorities of the system takes a sanitizer longer than that
    for (const Hanging::Where where : Hanging::all) {
        CAPTURE(static_cast<int>(where));
        // The best of a few counts, so that a busy machine does not fail the test.
        Duration fastest = Duration::max();
        for (int attempt = 0; attempt < 5 && fastest >= 100ms; ++attempt) {
            const Hanging hanging{where};
            HttpClient client{{.timeout = 60s,
                               .connect_timeout = 60s,
                               .max_response_bytes = no_limit,
                               .ca_file = certificate.certificate_file()}};
            std::stop_source stop;
            TimePoint stopped_at;
            std::jthread canceller([&] {
                hanging.wait_until_reached();
                stopped_at = std::chrono::steady_clock::now();
                stop.request_stop();
            });
            const HttpError error =
                failure_of(client, {.url = hanging.url()}, {steady_clock(), std::nullopt, stop.get_token()});
            const TimePoint ended_at = std::chrono::steady_clock::now();
            canceller.join();
            CHECK(to_string(error.kind) == "cancelled");
            CHECK(outcome_of(error) == Outcome::ignored);
            fastest = std::min<Duration>(fastest, ended_at - stopped_at);
        }
        CHECK(fastest < 100ms);
    }
}

TEST_CASE("a connection that does not come about in its time is a connect error") {
    for (const Hanging::Where where :
         {Hanging::Where::name_server, Hanging::Where::connecting, Hanging::Where::tls_handshake}) {
        CAPTURE(static_cast<int>(where));
        const Hanging hanging{where};
        HttpClient client{{.timeout = 60s, .connect_timeout = 50ms}};
        const TimePoint start = std::chrono::steady_clock::now();
        const HttpError error = failure_of(client, {.url = hanging.url()});
        CHECK(to_string(error.kind) == "connect");
        CHECK(outcome_of(error) == Outcome::failure);
        CHECK(since(start) >= 45ms);  // libcurl counts whole milliseconds
        CHECK(since(start) < 5s);
    }
}

TEST_CASE("a request that is late or unwanted before it starts is not sent") {
    HttpTestServer server;
    HttpClient client;
    std::stop_source stop;
    stop.request_stop();
    CHECK(failure_of(client, {.url = server.url()}, {steady_clock(), std::nullopt, stop.get_token()}).kind ==
          Kind::cancelled);
    CHECK(failure_of(client, {.url = server.url()}, CallContext::with_timeout(0s)).kind == Kind::timeout);
    CHECK(failure_of(client, {.url = server.url()}, CallContext::with_timeout(-1h)).kind == Kind::timeout);
    CHECK(server.connections() == 0);
}

TEST_CASE("a deadline far away leaves the configured timeout in force") {
    HttpTestServer server{hang()};
    HttpClient client{{.timeout = 50ms}};
    const TimePoint start = std::chrono::steady_clock::now();
    CHECK(failure_of(client, {.url = server.url()}, CallContext::with_timeout(1000h)).kind == Kind::timeout);
    CHECK(since(start) < 5s);
}

TEST_CASE("the deadline of a context on another clock is honoured by what it has left") {
    const ManualClock clock;
    HttpTestServer server{hang()};
    HttpClient client{{.timeout = 60s}};
    CHECK(failure_of(client, {.url = server.url()}, CallContext::with_timeout(50ms, clock)).kind == Kind::timeout);
}

TEST_CASE("redirects share one deadline") {
    HttpTestServer server{redirect("/again")};
    server.script({redirect("/again"), redirect("/again"), hang()});
    HttpClient client{{.timeout = 100ms, .max_redirects = 20}};
    const TimePoint start = std::chrono::steady_clock::now();
    CHECK(failure_of(client, {.url = server.url()}).kind == Kind::timeout);
    CHECK(server.requests().size() == 3);
    CHECK(since(start) < 5s);
}

TEST_CASE("a client that gave up serves the next request at once, on a new connection") {
    HttpTestServer server;
    server.script({hang(), reply(200, "second")});
    HttpClient client{{.timeout = 5s}};
    CHECK(failure_of(client, {.url = server.url()}, CallContext::with_timeout(50ms)).kind == Kind::timeout);
    const auto response = client.send({.url = server.url()});
    REQUIRE(response);
    CHECK(response->body == "second");
    CHECK(server.connections() == 2);
}

TEST_CASE("a peer that goes away while it is being written to does not end the process") {
    struct Disposition {
        struct sigaction before{};
        Disposition() {
            struct sigaction fatal{};
            fatal.sa_handler = SIG_DFL;
            sigaction(SIGPIPE, &fatal, &before);
        }
        ~Disposition() { sigaction(SIGPIPE, &before, nullptr); }
    };
    const Disposition sigpipe_is_fatal;
    const auto certificate = std::make_shared<TestCertificate>();
    HttpTestServer plain{raw("")};
    HttpTestServer tls{[](const auto&) { return reset(); }, {.certificate = certificate}};
    HttpClient client{{.ca_file = certificate->certificate_file()}};
    for (const std::string& url : {plain.url(), tls.url()}) {
        for (int i = 0; i < 5; ++i) {
            CHECK(failure_of(client, {.method = "POST", .url = url, .body = std::string(100, 'x')}).kind ==
                  Kind::reset);
        }
    }
}

}  // namespace fusebox::test
