#include <fusebox/middleware/http_server.hpp>

#include <future>
#include <memory>
#include <vector>

#include <fusebox/middleware/problem.hpp>
#include <fusebox/transport/http_client.hpp>

#include "raw_client.hpp"
#include "support/catch.hpp"
#include "support/test_certificate.hpp"

namespace fusebox::test {

using namespace middleware;

namespace {

constexpr std::size_t limit = 1000;

/// A server of our own on a free port; /echo gives back what it got.
struct Fixture {
    std::atomic<int> handled{0};
    std::atomic<int> asked{0};       ///< the guard of /watched
    std::promise<std::string> told;  ///< what escaped a handler
    std::unique_ptr<HttpServer> server;
    int port{};

    Fixture() {
        Router router;
        router.add("GET", "/hello",
                   [](const Request&) { return Response{.content_type = "text/plain", .body = "hello"}; });
        router.add("POST", "/echo", [this](const Request& in) {
            ++handled;
            return Response{.content_type = "text/plain", .body = "<" + in.body + ">"};
        });
        router.add(
            "POST", "/guarded", [this](const Request&) { return ++handled, Response{}; },
            [](const Request&) { return std::optional{problem_response(401, "no")}; });
        router.add("GET", "/throws", [](const Request&) -> Response { throw std::runtime_error("a secret"); });
        router.add(
            "POST", "/watched", [](const Request&) { return Response{}; },
            [this](const Request&) { return ++asked, std::optional<Response>{}; });
        server = std::make_unique<HttpServer>(
            std::move(router),
            HttpServerOptions{
                .max_body_bytes = limit, .threads = 4, .on_exception = [this](const Request&, std::string_view what) {
                    told.set_value(std::string{what});
                }});
        port = server->start().value();
    }

    RawAnswer ask(std::string_view bytes) const {
        RawClient client{port};
        client.send(bytes);
        return client.receive();
    }
};

void check_problem(const RawAnswer& answer, int status) {
    CHECK(answer.status == status);
    CHECK(answer.headers.at("content-type") == "application/problem+json");
    CHECK(answer.body.find("\"status\":" + std::to_string(status)) != std::string::npos);
    CHECK(answer.body.find("\"detail\":\"") != std::string::npos);
}

std::string chunk(std::string_view data) {
    char size[32];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return std::string{size}.append(data).append("\r\n");
}

}  // namespace

TEST_CASE_METHOD(Fixture, "several requests share a connection") {
    RawClient client{port};
    for (int i = 0; i < 8; ++i) {
        client.send(request("POST", "/echo", std::to_string(i)));
        CHECK(client.receive().body == "<" + std::to_string(i) + ">");
    }
    client.send(request("GET", "/hello"));
    CHECK(client.receive().body == "hello");
}

TEST_CASE_METHOD(Fixture, "HEAD is GET without the body") {
    RawClient client{port};
    client.send(request("HEAD", "/hello"));
    const auto head = client.receive(true);
    CHECK(head.status == 200);
    CHECK(head.headers.at("content-length") == "5");
    client.send(request("GET", "/hello"));
    CHECK(client.receive().body == "hello");
}

TEST_CASE_METHOD(Fixture, "a body may come in chunks, or compressed") {
    const std::string head = "POST /echo HTTP/1.1\r\nHost: x\r\n";
    CHECK(ask(head + "Transfer-Encoding: chunked\r\n\r\n" + chunk("ab") + chunk("cde") + "0\r\n\r\n").body ==
          "<abcde>");
    // gzip of "abc"
    const std::string gzip(
        "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x4b\x4c\x4a\x06\x00\xc2\x41\x24\x35\x03\x00\x00\x00", 23);
    CHECK(ask(head + "Content-Encoding: gzip\r\nContent-Length: 23\r\n\r\n" + gzip).body == "<abc>");
    for (const std::size_t part : {1UL, 10UL, 15UL, 22UL}) {
        CAPTURE(part);
        check_problem(ask(head + "Content-Encoding: gzip\r\nContent-Length: " + std::to_string(part) + "\r\n\r\n" +
                          gzip.substr(0, part)),
                      400);
    }
    check_problem(ask(head + "Content-Encoding: gzip\r\nContent-Length: 24\r\n\r\n" + gzip + "x"), 400);
    check_problem(ask(head + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"), 400);
    check_problem(ask(head + "Content-Encoding: zstd\r\nContent-Length: 3\r\n\r\nabc"), 415);
}

TEST_CASE_METHOD(Fixture, "a POST without a length has no body") {
    RawClient client{port};
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(client.receive().body == "<>");
}

TEST_CASE_METHOD(Fixture, "a body over the limit is refused, however it comes") {
    const std::string exact(limit, 'x');
    CHECK(ask(request("POST", "/echo", exact)).body == "<" + exact + ">");
    const std::string large(limit + 1, 'x');
    check_problem(ask(request("POST", "/echo", large)), 413);
    const std::string huge(5'000'000, 'x');
    check_problem(ask(request("POST", "/echo", huge)), 413);
    check_problem(
        ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(large) + "0\r\n\r\n"), 413);
    CHECK(handled == 1);
}

TEST_CASE_METHOD(Fixture, "a body beyond all bounds is not read at all") {
    RawClient client{port};
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n");
    check_problem(client.receive(), 413);
    CHECK(client.closes_within(5000));
}

TEST_CASE_METHOD(Fixture, "whoever asks first is told before it sends") {
    RawClient large{port};
    large.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n");
    check_problem(large.receive(), 413);
    RawClient guarded{port};
    guarded.send("POST /guarded HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    check_problem(guarded.receive(), 401);
    RawClient good{port};
    good.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(good.receive().status == 100);
    good.send("ok");
    CHECK(good.receive().body == "<ok>");
}

TEST_CASE_METHOD(Fixture, "a guard is asked once a request, before the body") {
    RawClient client{port};
    client.send("POST /watched HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(client.receive().status == 100);
    CHECK(asked == 1);
    client.send("ok");
    CHECK(client.receive().status == 200);
    CHECK(asked == 1);
}

TEST_CASE_METHOD(Fixture, "a refused body does not become the next request") {
    RawClient client{port};
    const auto smuggled = request("POST", "/echo", "smuggled");
    for (const auto& [target, status] : {std::pair{"/guarded", 401}, {"/nowhere", 404}}) {
        client.send(request("POST", target, smuggled));
        CHECK(client.receive().status == status);
    }
    client.send(request("GET", "/hello"));
    CHECK(client.receive().body == "hello");
    CHECK(handled == 0);
}

TEST_CASE_METHOD(Fixture, "a message whose end could be read in two ways is refused and the connection closed") {
    const auto inner = request("POST", "/echo", "smuggled");
    for (const std::string headers :
         {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
          "Content-Length: -5\r\n", "Content-Length: 5x\r\n", "Content-Length: 99999999999999999999999\r\n",
          "Transfer-Encoding: gzip, chunked\r\n", "Transfer-Encoding: identity\r\n"}) {
        CAPTURE(headers);
        RawClient client{port};
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\n" + headers + "\r\n" + inner);
        check_problem(client.receive(), 400);
        CHECK(client.receive().status == 0);
    }
    for (const auto* method : {"GET", "HEAD", "OPTIONS", "DELETE"}) {
        CAPTURE(method);
        RawClient client{port};
        client.send(request(method, "/hello", inner) + inner);
        CHECK(client.receive().status == 400);
        CHECK(client.receive().status == 0);
    }
    CHECK(handled == 0);
}

TEST_CASE_METHOD(Fixture, "what is not HTTP gets a problem and harms nobody") {
    for (const std::string bytes :
         {"nonsense\r\n\r\n", "GET\r\n\r\n", "GET /hello HTTP/9.9\r\n\r\n", "BREW /hello HTTP/1.1\r\n\r\n",
          "GET /hello HTTP/1.1 extra\r\n\r\n", "GET nowhere HTTP/1.1\r\n\r\n"}) {
        CAPTURE(bytes);
        check_problem(ask(bytes), 400);
    }
    check_problem(ask("GET /" + std::string(10'000, 'x') + " HTTP/1.1\r\n\r\n"), 414);
    check_problem(ask("GET /hello HTTP/1.1\r\nX: " + std::string(10'000, 'y') + "\r\n\r\n"), 400);
    check_problem(ask("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), 400);
    check_problem(ask(request("POST", "/echo", "x", "Content-Type: multipart/form-data; boundary=b\r\n")), 415);
    CHECK(ask(request("GET", "/hello")).body == "hello");
    CHECK(handled == 0);
}

TEST_CASE_METHOD(Fixture, "a body that ends early is no body") {
    RawClient client{port};
    client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort");
    client.finish();
    CHECK(client.receive().status != 200);
    CHECK(client.closes_within(5000));
    CHECK(handled == 0);
}

TEST_CASE_METHOD(Fixture, "unknown paths, wrong methods and failing handlers answer with problems") {
    check_problem(ask(request("GET", "/nowhere")), 404);
    check_problem(ask(request("PUT", "/nowhere", "x")), 404);
    check_problem(ask(request("GET", "/%ff")), 400);
    const auto wrong = ask(request("DELETE", "/hello"));
    check_problem(wrong, 405);
    CHECK(wrong.headers.at("allow") == "GET, HEAD, OPTIONS");
    check_problem(ask(request("TRACE", "/hello")), 405);
    CHECK(ask(request("OPTIONS", "/hello")).status == 204);
    RawClient client{port};
    client.send(request("GET", "/throws"));
    const auto broken = client.receive();
    check_problem(broken, 500);
    CHECK(told.get_future().get() == "a secret");
    CHECK(broken.body.find("secret") == std::string::npos);
    for (const auto& [name, value] : broken.headers) CHECK(value.find("secret") == std::string::npos);
    client.send(request("GET", "/hello"));
    CHECK(client.receive().body == "hello");
}

TEST_CASE_METHOD(Fixture, "a Range header changes nothing, whatever it says") {
    for (const auto* range : {"bytes=1-2", "bytes=x", "bytes=9-1", "bytes=100-200", "lines=1", ""}) {
        CAPTURE(range);
        const auto whole = ask(request("GET", "/hello", "", "Range: " + std::string{range} + "\r\n"));
        CHECK(whole.status == 200);
        CHECK(whole.body == "hello");
    }
}

TEST_CASE_METHOD(Fixture, "a port that is taken is named, and not shared") {
    HttpServer second{Router{}, {.port = port}};
    const auto bound = second.start();
    REQUIRE_FALSE(bound);
    CHECK(bound.error().find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
    CHECK(bound.error().find("in use") != std::string::npos);
}

TEST_CASE("stop is heard whenever it comes, and the port is free again") {
    int port = 0;
    for (int i = 0; i < 5; ++i) {
        HttpServer server{Router{}, {.port = port}};
        const auto bound = server.start();
        REQUIRE(bound);
        port = *bound;
        server.stop();
        server.stop();
    }
}

TEST_CASE("stop lets a request in flight finish") {
    std::promise<void> arrived;
    std::promise<void> leave;
    Router router;
    router.add("GET", "/slow", [&](const Request&) {
        arrived.set_value();
        leave.get_future().wait();
        return Response{.content_type = "text/plain", .body = "done"};
    });
    HttpServer server{std::move(router), {}};
    RawClient client{server.start().value()};
    client.send(request("GET", "/slow"));
    arrived.get_future().wait();
    auto stopped = std::async(std::launch::async, [&] { server.stop(); });
    CHECK(stopped.wait_for(std::chrono::milliseconds{50}) == std::future_status::timeout);
    leave.set_value();
    CHECK(client.receive().body == "done");
    CHECK(stopped.wait_for(std::chrono::seconds{5}) == std::future_status::ready);
}

TEST_CASE_METHOD(Fixture, "pipelined requests are answered in their order") {
    RawClient client{port};
    client.send(request("POST", "/echo", "one") + request("GET", "/hello") + request("POST", "/echo", "two"));
    CHECK(client.receive().body == "<one>");
    CHECK(client.receive().body == "hello");
    CHECK(client.receive().body == "<two>");
}

TEST_CASE_METHOD(Fixture, "a head that does not end is cut off at 64 KiB, in one line or in many") {
    const auto lines = GENERATE(false, true);
    RawClient client{port};
    client.send("GET /hello HTTP/1.1\r\n");
    const std::string piece = lines ? "X-A: " + std::string(993, 'a') + "\r\n" : std::string(1000, 'a');
    int sent = 0;
    while (sent < 100'000 && client.send(piece)) ++sent;  // 100 MB, were it taken
    CHECK(sent < 20'000);                                 // what the sockets' buffers hold may be more than 64 KiB
    CHECK(ask(request("GET", "/hello")).body == "hello");
}

namespace {

std::unique_ptr<HttpServer> short_server(std::size_t threads, std::string certificate = {}, std::string key = {}) {
    Router router;
    router.add("GET", "/hello", [](const Request&) { return Response{.content_type = "text/plain", .body = "hello"}; });
    router.add("POST", "/echo",
               [](const Request& in) { return Response{.content_type = "text/plain", .body = in.body}; });
    return std::make_unique<HttpServer>(std::move(router),
                                        HttpServerOptions{.threads = threads,
                                                          .keep_alive = std::chrono::seconds{60},
                                                          .io_timeout = std::chrono::seconds{60},
                                                          .head_timeout = std::chrono::milliseconds{300},
                                                          .request_timeout = std::chrono::milliseconds{600},
                                                          .tls_certificate_file = std::move(certificate),
                                                          .tls_key_file = std::move(key)});
}

}  // namespace

TEST_CASE("connections that say nothing do not keep others from being served") {
    const auto server = short_server(101);
    const auto port = server->start().value();
    std::vector<std::unique_ptr<RawClient>> silent;
    for (int i = 0; i < 100; ++i) silent.push_back(std::make_unique<RawClient>(port));
    RawClient client{port};
    client.send(request("GET", "/hello"));
    CHECK(client.receive().body == "hello");
}

TEST_CASE("a request that drips in is cut off, in its head and in its body") {
    const auto server = short_server(4);
    const auto port = server->start().value();
    const auto* begin =
        GENERATE("GET /hello HTTP/1.1\r\nX-A: a", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx");
    RawClient client{port};
    client.send(begin);
    bool closed = false;
    for (int i = 0; i < 100 && !closed; ++i) {  // a byte each 50 ms: never silent for long
        closed = client.closes_within(50);
        if (!closed && !client.send("a")) closed = true;
    }
    CHECK(closed);
}

TEST_CASE("a TLS handshake that does not come is cut off") {
    const TestCertificate certificate;
    const auto server = short_server(2, certificate.certificate_file(), certificate.key_file());
    RawClient client{server->start().value()};
    CHECK(client.closes_within(4000));
}

TEST_CASE("with a certificate the server speaks TLS") {
    const TestCertificate certificate;
    Router router;
    router.add("GET", "/hello", [](const Request&) { return Response{.content_type = "text/plain", .body = "hello"}; });
    HttpServer server{std::move(router),
                      {.tls_certificate_file = certificate.certificate_file(), .tls_key_file = certificate.key_file()}};
    const auto url = "https://127.0.0.1:" + std::to_string(server.start().value()) + "/hello";
    fusebox::transport::HttpClient trusting{{.ca_file = certificate.certificate_file()}};
    const auto answer = trusting.send({.method = "GET", .url = url, .headers = {}, .body = {}});
    REQUIRE(answer);
    CHECK(answer->body == "hello");
}

TEST_CASE("options out of range are refused by name") {
    using namespace std::chrono_literals;
    const auto refused = [](const HttpServerOptions& options) {
        try {
            HttpServer{Router{}, options};
        } catch (const std::invalid_argument& error) {
            return std::string{error.what()}.substr(0, std::string_view{error.what()}.find(' '));
        }
        return std::string{"taken"};
    };
    CHECK(refused({.port = 65'536}) == "HttpServerOptions::port");
    CHECK(refused({.port = -1}) == "HttpServerOptions::port");
    CHECK(refused({.threads = 0}) == "HttpServerOptions::threads");
    CHECK(refused({.max_waiting = 0}) == "HttpServerOptions::max_waiting");
    CHECK(refused({.keep_alive = 0s}) == "HttpServerOptions::keep_alive");
    CHECK(refused({.io_timeout = 0s}) == "HttpServerOptions::io_timeout");
    CHECK(refused({.head_timeout = 0ms}) == "HttpServerOptions::head_timeout");
    CHECK(refused({.request_timeout = 0ms}) == "HttpServerOptions::request_timeout");
    CHECK(refused({.thread_timeout = -1ms}) == "HttpServerOptions::thread_timeout");
    // Else a forgotten certificate would be plain http.
    CHECK(refused({.tls_key_file = "/key.pem"}) == "HttpServerOptions::tls_certificate_file");
    CHECK(refused({.tls_certificate_file = "/certificate.pem"}) == "HttpServerOptions::tls_certificate_file");
    CHECK(refused({.port = 65'535, .threads = 1, .max_waiting = 1, .keep_alive = 1s, .thread_timeout = 0ms}) ==
          "taken");
}

TEST_CASE("who sets nothing has the limits that the header promises") {
    using namespace std::chrono_literals;
    const HttpServerOptions options;
    CHECK(options.keep_alive == 2s);
    CHECK(options.io_timeout == 5s);
    CHECK(options.head_timeout == 10s);
    CHECK(options.request_timeout == 60s);
    CHECK(options.thread_timeout == 2s);
    CHECK(options.max_body_bytes == 4 * 1024 * 1024);
    CHECK(options.max_held_bytes == 256 * 1024 * 1024);
}

TEST_CASE("a certificate that cannot be read is named") {
    HttpServer server{Router{}, {.tls_certificate_file = "/nonexistent.pem", .tls_key_file = "/nonexistent.key"}};
    const auto bound = server.start();
    REQUIRE_FALSE(bound);
    CHECK(bound.error().find("/nonexistent.pem") != std::string::npos);
}

}  // namespace fusebox::test
