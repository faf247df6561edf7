#include <fusebox/transport/http_client.hpp>

#include <cstdlib>
#include <stdexcept>
#include <thread>

#include "support/catch.hpp"
#include "support/http_test_server.hpp"

namespace fusebox::test {

using namespace transport;
using namespace std::chrono_literals;
using Kind = HttpError::Kind;

namespace {

/// Sets an environment variable for the length of a test.
class Environment {
public:
    Environment(const char* name, const std::string& value) : name_(name) { setenv(name, value.c_str(), 1); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    ~Environment() { unsetenv(name_); }

private:
    const char* name_;
};

std::string invalid(HttpClientConfig config) {
    try {
        HttpClient{std::move(config)};
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return {};
}

}  // namespace

TEST_CASE("each method arrives with its path, query, headers and body") {
    HttpTestServer server;
    HttpClient client;
    for (const std::string method : {"GET", "POST", "PUT", "DELETE", "PATCH"}) {
        for (const std::string body : {"", "{\"a\": 1}"}) {
            CAPTURE(method, body);
            server.forget_requests();
            const auto response =
                client.send({.method = method,
                             .url = server.url("/a/b?c=d"),
                             .headers = {{"X-One", "1"}, {"X-Empty", ""}, {"X-Two", "a"}, {"X-Two", "b"}},
                             .body = body});
            REQUIRE(response);
            CHECK(response->status == 200);
            CHECK(response->body == "ok");
            REQUIRE(server.requests().size() == 1);
            const ReceivedRequest request = server.requests().front();
            CHECK(request.method == method);
            CHECK(request.target == "/a/b?c=d");
            CHECK(request.body == body);
            CHECK(request.header("X-One") == "1");
            CHECK(request.has_header("X-Empty"));
            CHECK(std::ranges::count(request.headers, "X-Two", &HeaderList::value_type::first) == 2);
            CHECK(request.header("User-Agent") == "fusebox");
        }
    }
}

TEST_CASE("a body may hold any bytes and be large") {
    HttpTestServer server{[](const ReceivedRequest& request) { return reply(200, request.body); }};
    HttpClient client;
    std::string body(3U << 20U, '\0');
    for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 31 % 251);
    const auto response = client.send({.method = "POST", .url = server.url(), .body = body});
    REQUIRE(response);
    CHECK((response->body == body));
}

TEST_CASE("HEAD brings the headers and no body") {
    HttpTestServer server;
    const auto response = HttpClient{}.send({.method = "HEAD", .url = server.url()});
    REQUIRE(response);
    CHECK(response->status == 200);
    CHECK(response->header("Content-Length") == "2");
    CHECK(response->body.empty());
    CHECK(server.requests().at(0).method == "HEAD");
}

TEST_CASE("the client adds no header that changes what the peer does") {
    HttpTestServer server;
    CHECK(HttpClient{}.send({.method = "POST", .url = server.url(), .body = std::string(2U << 20U, 'x')}));
    const ReceivedRequest request = server.requests().at(0);
    CHECK_FALSE(request.has_header("Expect"));
    CHECK_FALSE(request.has_header("Content-Type"));
    CHECK_FALSE(request.has_header("Accept-Encoding"));
}

TEST_CASE("the caller's headers replace the client's own") {
    HttpTestServer server;
    CHECK(
        HttpClient{}.send({.method = "POST",
                           .url = server.url(),
                           .headers = {{"user-agent", "me"}, {"content-type", "application/json"}, {"Host", "virtual"}},
                           .body = "{}"}));
    const ReceivedRequest request = server.requests().at(0);
    CHECK(request.header("User-Agent") == "me");
    CHECK(request.header("Content-Type") == "application/json");
    CHECK(request.header("Host") == "virtual");
}

TEST_CASE("any status is a response") {
    HttpTestServer server;
    HttpClient client;
    for (const int status : {200, 201, 204, 304, 400, 401, 404, 410, 429, 500, 503, 599}) {
        CAPTURE(status);
        server.script({reply(status)});
        const auto response = client.send({.url = server.url()});
        REQUIRE(response);
        CHECK(response->status == status);
    }
}

TEST_CASE("response headers are found without case, and only those of the last response are kept") {
    HttpTestServer server{
        raw("HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n"
            "HTTP/1.1 429 Too Many\r\nRetry-After:  3 \r\nX-Two: a\r\nX-Two: b\r\nX-Folded: c\r\n  d\r\n"
            "X-Empty:\r\nTransfer-Encoding: chunked\r\n\r\n"
            "2\r\nno\r\n0\r\nX-Trailer: t\r\n\r\n")};
    const auto response = HttpClient{}.send({.url = server.url()});
    REQUIRE(response);
    CHECK(response->status == 429);
    CHECK(response->body == "no");
    CHECK(response->header("retry-AFTER") == "3");
    CHECK(response->header("X-Two") == "a");
    CHECK(std::ranges::count(response->headers, "X-Two", &Headers::value_type::first) == 2);
    CHECK(response->header("X-Folded") == "c d");
    CHECK(response->header("X-Early").empty());
    CHECK(response->header("X-Trailer").empty());
    CHECK(response->header("X-Absent").empty());
}

TEST_CASE("connections are reused") {
    HttpTestServer server;
    HttpClient client;
    for (int i = 0; i < 5; ++i) REQUIRE(client.send({.url = server.url()}));
    CHECK(server.connections() == 1);
}

TEST_CASE("a connection that the peer has closed in the meantime is replaced") {
    HttpTestServer server;
    HttpClient client;
    REQUIRE(client.send({.url = server.url()}));
    server.stop();
    server.start();
    REQUIRE(client.send({.url = server.url()}));
    CHECK(server.connections() == 2);
}

TEST_CASE("without idle handles each request has its own connection") {
    HttpTestServer server;
    HttpClient client{{.max_idle_handles = 0}};
    for (int i = 0; i < 3; ++i) REQUIRE(client.send({.url = server.url()}));
    CHECK(server.connections() == 3);
}

TEST_CASE("a request leaves nothing behind for the next one on its handle") {
    HttpTestServer server;
    HttpClient client;
    REQUIRE(client.send({.method = "POST", .url = server.url(), .headers = {{"X-Secret", "s"}}, .body = "secret"}));
    REQUIRE(client.send({.url = server.url("/next")}));
    REQUIRE(client.send({.method = "HEAD", .url = server.url()}));
    const auto response = client.send({.url = server.url()});
    REQUIRE(response);
    CHECK(response->body == "ok");
    const ReceivedRequest next = server.requests().at(1);
    CHECK(next.method == "GET");
    CHECK(next.body.empty());
    CHECK_FALSE(next.has_header("X-Secret"));
}

TEST_CASE("threads share a client") {
    HttpTestServer server{[](const ReceivedRequest& request) { return reply(200, request.body); }};
    HttpClient client;
    std::atomic<int> right{0};
    {
        std::vector<std::jthread> threads;
        for (int thread = 0; thread < 8; ++thread) {
            threads.emplace_back([&, thread] {
                for (int i = 0; i < 25; ++i) {
                    const std::string body = std::to_string(thread) + ":" + std::to_string(i);
                    const auto response = client.send({.method = "POST", .url = server.url(), .body = body});
                    if (response && response->body == body) ++right;
                }
            });
        }
    }
    CHECK(right == 200);
    CHECK(server.connections() <= 8);
}

TEST_CASE("a cancellation may come at any moment of a request") {
    HttpTestServer server;
    HttpClient client;
    for (int i = 0; i < 200; ++i) {
        std::stop_source stop;
        std::atomic<bool> started{false};
        std::jthread canceller([&] {
            started.wait(false);
            for (int turn = 0; turn < i; ++turn) std::this_thread::yield();
            stop.request_stop();
        });
        started = true;
        started.notify_one();
        const auto response = client.send({.url = server.url()}, {steady_clock(), std::nullopt, stop.get_token()});
        const bool fine = response || response.error().kind == Kind::cancelled;
        CHECK(fine);
    }
    CHECK(client.send({.url = server.url()}));
}

TEST_CASE("a client can be moved") {
    HttpTestServer server;
    HttpClient first;
    REQUIRE(first.send({.url = server.url()}));
    HttpClient second = std::move(first);
    REQUIRE(second.send({.url = server.url()}));
    CHECK(server.connections() == 1);
}

TEST_CASE("redirects are handed to the caller by default") {
    HttpTestServer other;
    HttpTestServer server;
    HttpClient client;
    for (const int status : {301, 302, 303, 307, 308}) {
        for (const std::string& location : {other.url(), server.url("/next"), std::string("/next")}) {
            CAPTURE(status, location);
            server.script({redirect(location, status), reply(200)});
            const auto response = client.send({.method = "POST", .url = server.url(), .body = "b"});
            REQUIRE(response);
            CHECK(response->status == status);
            CHECK(response->header("Location") == location);
        }
    }
    CHECK(other.connections() == 0);
}

TEST_CASE("redirects are followed where the configuration allows, on the same origin only") {
    HttpTestServer server;
    HttpClient client{{.max_redirects = 2}};

    SECTION("a GET goes on with its headers") {
        server.script({redirect("/next?q"), reply(200, "there")});
        const auto response = client.send({.url = server.url("/first"), .headers = {{"X-Key", "k"}}});
        REQUIRE(response);
        CHECK(response->body == "there");
        CHECK(server.requests().at(1).target == "/next?q");
        CHECK(server.requests().at(1).header("X-Key") == "k");
    }
    SECTION("303 turns a POST into a GET") {
        server.script({redirect("/next", 303), reply(200)});
        REQUIRE(client.send({.method = "POST", .url = server.url(), .body = "b"}));
        CHECK(server.requests().at(1).method == "GET");
        CHECK(server.requests().at(1).body.empty());
    }
    SECTION("307 repeats a POST") {
        server.script({redirect("/next", 307), reply(200)});
        REQUIRE(client.send({.method = "POST", .url = server.url(), .body = "b"}));
        CHECK(server.requests().at(1).method == "POST");
        CHECK(server.requests().at(1).body == "b");
    }
    SECTION("one redirect too many is handed to the caller") {
        server.script({redirect("/loop")});
        const auto response = client.send({.url = server.url()});
        REQUIRE(response);
        CHECK(response->status == 302);
        CHECK(server.requests().size() == 3);
    }
    SECTION("credentials go to no other origin") {
        HttpTestServer other;
        server.script({redirect(other.url())});
        const auto response = client.send({.url = server.url(), .headers = {{"X-Key", "k"}}});
        REQUIRE(response);
        CHECK(response->status == 302);
        CHECK(other.connections() == 0);
    }
    SECTION("no other scheme is followed") {
        for (const std::string location : {"file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"}) {
            server.script({redirect(location)});
            const auto response = client.send({.url = server.url()});
            REQUIRE(response);
            CHECK(response->status == 302);
        }
    }
}

TEST_CASE("scheme and host may be spelt in capitals") {
    HttpTestServer server;
    CHECK(HttpClient{}.send({.url = "HTTP://LOCALHOST:" + std::to_string(server.port())}));
}

TEST_CASE("no proxy is taken from the environment") {
    HttpTestServer server;
    HttpTestServer proxy;
    const Environment lower{"http_proxy", proxy.url()};
    const Environment all{"ALL_PROXY", proxy.url()};
    const Environment all_lower{"all_proxy", proxy.url()};
    REQUIRE(HttpClient{}.send({.url = server.url()}));
    CHECK(server.connections() == 1);
    CHECK(proxy.connections() == 0);
}

TEST_CASE("a user and password in the URL become basic authorization") {
    HttpTestServer server;
    const std::string url = "http://user:pass@127.0.0.1:" + std::to_string(server.port()) + "/";
    REQUIRE(HttpClient{}.send({.url = url}));
    CHECK(server.requests().at(0).header("Authorization") == "Basic dXNlcjpwYXNz");
}

TEST_CASE("what is malformed is refused before anything is sent, and repeats no secret") {
    HttpTestServer server;
    HttpClient client;
    const auto refused = [&](const HttpRequest& request) {
        const auto response = client.send(request);
        REQUIRE_FALSE(response);
        CHECK(response.error().kind == Kind::bad_request);
        CHECK(outcome_of(response.error()) == Outcome::ignored);
        CAPTURE(response.error().message);
        CHECK(response.error().message.find("s3cret") == std::string::npos);
        CHECK_FALSE(response.error().message.empty());
    };
    SECTION("URLs") {
        const std::string port = std::to_string(server.port());
        for (const std::string& url :
             {std::string(), std::string("s3cret"), std::string("127.0.0.1/s3cret"), std::string("http://"),
              std::string("ftp://127.0.0.1/s3cret"), std::string("file:///s3cret"),
              std::string("gopher://127.0.0.1/s3cret"), std::string("javascript:s3cret"), std::string("unix:///s3cret"),
              std::string("http://127.0.0.1:99999/s3cret"), "http://127.0.0.1:" + port + "/s3cret\r\nX-Injected: 1",
              "http://127.0.0.1:" + port + "/s3cret\n", "http://127.0.0.1:" + port + "/s3cret HTTP/1.1",
              "http://127.0.0.1:" + port + std::string("/s3cret\0x", 9), "http://127.0.0.1:" + port + "/s3cret\x7f",
              "http://127.0.0.1%0d%0aX-Injected:" + port + "/s3cret", "http://127.0.0.1 .evil:" + port + "/s3cret",
              "http://user:s3cret@:" + port + "/"}) {
            CAPTURE(url);
            refused({.url = url});
        }
    }
    SECTION("header names") {
        for (const std::string& name :
             {std::string(), std::string("A B"), std::string("A:"), std::string("A\r\nX-Injected"),
              std::string("A\0B", 3), std::string("\xc3\xa4")}) {
            CAPTURE(name);
            refused({.url = server.url(), .headers = {{name, "s3cret"}}});
        }
    }
    SECTION("header values") {
        for (const std::string& value :
             {std::string("s3cret\r\nX-Injected: 1"), std::string("s3cret\n"), std::string("\rs3cret"),
              std::string("s3cret\0", 7), std::string("s3cret\x1b[0m"), std::string("s3cret\x7f")}) {
            CAPTURE(value);
            refused({.url = server.url(), .headers = {{"Authorization", value}}});
        }
    }
    SECTION("headers that would let two parsers disagree") {
        for (const std::string name : {"Content-Length", "transfer-encoding", "EXPECT"}) {
            CAPTURE(name);
            refused({.method = "POST", .url = server.url(), .headers = {{name, "1"}}, .body = "abc"});
        }
    }
    SECTION("methods") {
        for (const std::string method : {"", "GET /", "GET\r\nX-Injected: 1", "CONNECT", "connect"}) {
            CAPTURE(method);
            refused({.method = method, .url = server.url()});
        }
        refused({.method = "HEAD", .url = server.url(), .body = "b"});
    }
    CHECK(server.connections() == 0);
}

TEST_CASE("a configuration is refused with all of its mistakes") {
    const std::string message = invalid({.timeout = 0s,
                                         .connect_timeout = -1s,
                                         .max_redirects = -1,
                                         .ca_file = "/nowhere/ca.pem",
                                         .client_certificate_file = "/nowhere/client.pem",
                                         .user_agent = "a\r\nb"});
    CAPTURE(message);
    for (const std::string field : {"timeout must", "connect_timeout", "max_redirects", "ca_file",
                                    "client_certificate_file cannot", "client_key_file go together", "user_agent"}) {
        CAPTURE(field);
        CHECK(message.find(field) != std::string::npos);
    }
    CHECK(invalid({.timeout = 25h}).find("timeout must") != std::string::npos);
    CHECK(invalid({.max_redirects = 21}).find("max_redirects") != std::string::npos);
    CHECK(invalid({}).empty());
}

}  // namespace fusebox::test
