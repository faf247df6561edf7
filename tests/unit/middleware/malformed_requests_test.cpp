// What no client should send, as bytes on a socket: one refusal, then the end of the connection.
#include <fusebox/middleware/http_server.hpp>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "raw_client.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;
using namespace std::string_literals;

namespace {

struct Malformed {
    std::string bytes;
    int status;
};

/// A server whose only route counts what it is asked.
struct Counting {
    std::atomic<int> handled{0};
    std::mutex mutex;
    std::vector<std::pair<std::string, int>> exchanges;  ///< path and status of each
    std::unique_ptr<HttpServer> server;
    int port{};

    Counting() {
        Router router;
        const auto count = [this](const Request& in) {
            ++handled;
            return Response{.content_type = "text/plain", .body = std::to_string(in.body.size())};
        };
        router.add("GET", "/a", count);
        router.add("POST", "/a", count);
        HttpServerOptions options{.max_body_bytes = 100'000, .threads = 4};
        options.on_exchange = [this](const Request& request, const Response& response, Duration) {
            const std::lock_guard lock{mutex};
            exchanges.emplace_back(request.path, response.status);
        };
        server = std::make_unique<HttpServer>(std::move(router), std::move(options));
        port = server->start().value();
    }

    /// One refusal with a problem, then the end; and the exchange has been told of.
    void check_refused(const Malformed& row) {
        CAPTURE(row.bytes.substr(0, 300));
        RawClient client{port};
        // What is smuggled would be counted.
        client.send(row.bytes);
        client.send(request("GET", "/a") + request("POST", "/a", "smuggled"));
        auto answer = client.receive();
        CHECK(answer.status == row.status);
        CHECK(answer.headers["content-type"] == "application/problem+json");
        CHECK(answer.headers["connection"] == "close");
        CHECK(client.receive().status == 0);
        CHECK(client.closes_within(5000));
        CHECK(handled == 0);
        const std::lock_guard lock{mutex};
        REQUIRE(exchanges.size() == 1);
        CHECK(exchanges.front().second == row.status);
        exchanges.clear();
    }
};

std::string chunked(std::string_view chunks) {
    return std::string{"POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"}.append(chunks);
}

std::string headers(std::string_view lines, std::string_view body = {}) {
    return std::string{"POST /a HTTP/1.1\r\nHost: x\r\n"}.append(lines).append("\r\n").append(body);
}

std::string repeated(std::string_view text, std::size_t times) {
    std::string result;
    for (std::size_t i = 0; i < times; ++i) result += text;
    return result;
}

}  // namespace

TEST_CASE_METHOD(Counting, "a malformed head is refused, and nothing behind it is a request") {
    const std::vector<Malformed> rows{
        {"nonsense\r\n\r\n", 400},
        {"GET /a HTTP/1.1\r\n\nX: a\r\n", 400},
        {"GET /a HTTP/1.1\nHost: x\n\n", 400},
        {"GET /a HTTP/1.1\r\nHost: x\n\r\n", 400},
        {"GET /a HTTP/1.1\r\nHost: x\rX: y\r\n\r\n", 400},
        {"GET /a HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n"s, 400},
        {"GET /a HTTP/1.1\r\nHost: x\r\nX: a\r\n folded\r\n\r\n", 400},
        {"GET /a HTTP/1.1\r\nHost: x\r\nX : a\r\n\r\n", 400},
        {"GET /a HTTP/1.1\r\nHost: x\r\n: a\r\n\r\n", 400},
        {"GET /a HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400},
        {"GET /a HTTP/1.1\r\n\r\n", 400},
        {"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400},
        {"GET /a HTTP/1.2\r\nHost: x\r\n\r\n", 400},
        {"GET  /a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET a HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {"GET /a\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
        {headers("Content-Length : 50\r\n"), 400},
        {headers("Content-Length:\r\n 50\r\n"), 400},
        {headers("Content-Length: +5\r\n"), 400},
        {headers("Content-Length: 5\r\nContent-Length: 5\r\n", "12345"), 400},
        {headers("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "12345"), 400},
        {headers("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
        {headers("Transfer-Encoding: gzip, chunked\r\n"), 400},
        {headers("Content-Length: 18446744073709551616\r\n"), 400},
        {headers("Content-Length: 18446744073709551615\r\n"), 413},
        {headers(repeated("X: a\r\n", 5000)), 400},
        {"GET /" + std::string(9000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        {headers("X: " + std::string(70'000, 'a') + "\r\n"), 400},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s, 400},
        {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
        {"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n12345", 400},
    };
    for (const auto& row : rows) check_refused(row);
}

TEST_CASE_METHOD(Counting, "malformed chunks are refused, and nothing behind them is a request") {
    const std::vector<Malformed> rows{
        {chunked("0xd\r\n0123456789012\r\n0\r\n\r\n"), 400},
        {chunked("+d\r\n0123456789012\r\n0\r\n\r\n"), 400},
        {chunked("dzz\r\n0123456789012\r\n0\r\n\r\n"), 400},
        {chunked(" d\r\n0123456789012\r\n0\r\n\r\n"), 400},
        {chunked("d\n0123456789012\n0\n\n"), 400},
        {chunked("3\r\nabcd\r\n0\r\n\r\n"), 400},
        {chunked("3\r\nabcXX0\r\n\r\n"), 400},
        {chunked("10000000000000000\r\nabc"), 400},
        {chunked("ffffffffffffffff\r\n" + std::string(200'000, 'a')), 413},
        {chunked("fffffffffffffffffffffffffffffffffff\r\nabc"), 400},
        {chunked("000000000000000000003\r\nabc\r\n0\r\n\r\n"), 400},
        {chunked("3;" + std::string(5000, 'e') + "\r\nabc\r\n0\r\n\r\n"), 400},
        {chunked("0\r\n" + repeated("X: a\r\n", 2000) + "\r\n"), 400},
        {chunked("0\r\nbad trailer\r\n\r\n"), 400},
        {chunked("zz\r\n"), 400},
    };
    for (const auto& row : rows) check_refused(row);
}

TEST_CASE_METHOD(Counting, "a good request after a good one in chunks with trailers is read from where it begins") {
    RawClient client{port};
    client.send(chunked("3;x=y\r\nabc\r\n0\r\nX: a\r\n\r\n") + request("GET", "/a"));
    CHECK(client.receive().body == "3");
    CHECK(client.receive().body == "0");
}

TEST_CASE_METHOD(Counting, "a request that comes byte by byte is as good as one that comes at once") {
    RawClient client{port};
    for (const char byte : chunked("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")) client.send({&byte, 1});
    CHECK(client.receive().body == "5");
}

TEST_CASE_METHOD(Counting, "what was told of an exchange tells path and status of each") {
    RawClient client{port};
    client.send(request("GET", "/a?x=1") + request("GET", "/b"));
    CHECK(client.receive().status == 200);
    CHECK(client.receive().status == 404);
    const std::lock_guard lock{mutex};
    CHECK(exchanges == std::vector<std::pair<std::string, int>>{{"/a", 200}, {"/b", 404}});
}

}  // namespace fusebox::test
