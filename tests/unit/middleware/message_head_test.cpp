#include "message_head.hpp"

#include <string>
#include <vector>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;

namespace {

/// As the server does it: found, then parsed. Fed whole, or `piece` bytes at a time.
std::expected<MessageHead, Refusal> read(std::string_view bytes, std::size_t piece = std::string_view::npos) {
    HeadScanner scanner;
    for (std::size_t end = 0; end < bytes.size();) {
        end = piece < bytes.size() - end ? end + piece : bytes.size();
        const auto found = scanner.find_end(bytes.substr(0, end));
        if (!found) return std::unexpected(found.error());
        if (*found > 0) return parse_head(bytes.substr(0, *found));
    }
    return std::unexpected(Refusal{.status = 0, .detail = "not whole"});
}

int status_of(std::string_view bytes) {
    const auto whole = read(bytes);
    const auto bytewise = read(bytes, 1);
    CHECK(whole.has_value() == bytewise.has_value());
    if (!whole && !bytewise) CHECK(whole.error().status == bytewise.error().status);
    return whole ? 200 : whole.error().status;
}

std::string get(std::string_view headers) {
    return std::string{"GET /livez HTTP/1.1\r\nHost: x\r\n"}.append(headers).append("\r\n");
}

std::string head_of(std::string_view request_line, std::string_view headers = "Host: x\r\n") {
    return std::string{request_line}.append("\r\n").append(headers).append("\r\n");
}

std::string post(std::string_view headers) {
    return std::string{"POST /v1/alerts HTTP/1.1\r\nHost: x\r\n"}.append(headers).append("\r\n");
}

}  // namespace

TEST_CASE("a good head gives what it says") {
    const auto head = read(
        "POST /v1/alerts?a=%20b HTTP/1.1\r\nHost: [::1]:8080\r\nX-Empty:\r\nX-Blanks: \t a b \t\r\n"
        "content-length: 0042\r\nConnection: foo, Close\r\nExpect: 100-Continue\r\nX-Obs: caf\xc3\xa9\r\n\r\n");
    REQUIRE(head);
    CHECK(head->method == "POST");
    CHECK(head->target == "/v1/alerts?a=%20b");
    CHECK_FALSE(head->http_1_0);
    CHECK(head->length == 42);
    CHECK_FALSE(head->chunked);
    CHECK(head->has_body());
    CHECK_FALSE(head->keep_alive);
    CHECK(head->expects_continue);
    CHECK(head->header("x-empty").empty());
    CHECK(head->header("X-BLANKS") == "a b");
    CHECK(head->header("X-Obs") == "caf\xc3\xa9");
    CHECK(head->header("X-Absent").empty());
    CHECK(head->headers.size() == 7);
}

TEST_CASE("percent signs in headers mean nothing") {
    const auto head = read(get("Authorization: Bearer a%41\r\n"));
    REQUIRE(head);
    CHECK(head->header("Authorization") == "Bearer a%41");
    CHECK(status_of(post("Content-Length: %35\r\n")) == 400);
    CHECK(status_of(post("Transfer-Encoding: chun%6bed\r\n")) == 400);
}

TEST_CASE("HTTP/1.0 needs no Host, and closes unless it asks for more") {
    const auto plain = read("GET / HTTP/1.0\r\n\r\n");
    REQUIRE(plain);
    CHECK(plain->http_1_0);
    CHECK_FALSE(plain->keep_alive);
    const auto keeping = read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\nExpect: 100-continue\r\n\r\n");
    REQUIRE(keeping);
    CHECK(keeping->keep_alive);
    CHECK_FALSE(keeping->expects_continue);
    CHECK(read(get(""))->keep_alive);
}

TEST_CASE("one empty line before the request line is skipped, two are not") {
    CHECK(status_of("\r\n" + get("")) == 200);
    CHECK(status_of("\r\n\r\n" + get("")) == 400);
}

TEST_CASE("what stands behind a head is not looked at") {
    HeadScanner scanner;
    const auto head = get("");
    CHECK(scanner.find_end(head + "\n\0\r\r") == head.size());
}

TEST_CASE("every line of a head ends in CRLF, and has no control character but tabs") {
    using namespace std::string_literals;
    for (const auto& bytes : {
             "GET /livez HTTP/1.1\n\n"s, "GET /livez HTTP/1.1\r\n\n"s, "GET /livez HTTP/1.1\nHost: x\r\n\r\n"s,
             "GET /livez HTTP/1.1\r\nHost: x\n\r\n"s, "GET /livez HTTP/1.1\r\nHost: x\r\r\n\r\n"s,
             "GET /livez HTTP/1.1\rHost: x\r\n\r\n"s, "GET /livez HTTP/1.1\r\nHost: x\r\n\rx"s, get("X: a\nY: b\r\n"),
             get("X: a\rY: b\r\n"), get("X: a\0b\r\n"s), get("X: a\x1b[31m\r\n"), get("X: a\x7f\r\n"),
             get("X\0: a\r\n"s), "GET /\0 HTTP/1.1\r\nHost: x\r\n\r\n"s, "\n\n\n\n"s,
             "\x16\x03\x01\x02\x00\x01"s,  // a TLS handshake
         }) {
        CAPTURE(bytes);
        CHECK(status_of(bytes) == 400);
    }
    CHECK(status_of(get("X: a\tb\r\n")) == 200);
}

TEST_CASE("a bad line of a head is refused as soon as it comes") {
    HeadScanner scanner;
    CHECK_FALSE(scanner.find_end("GET /livez HTTP/1.1\r\n\n"));
    HeadScanner other;
    CHECK(other.find_end("GET /livez HTTP/1.1\r") == 0);
    CHECK_FALSE(other.find_end("GET /livez HTTP/1.1\rH"));
}

TEST_CASE("a request line has a method, a path and a version, one blank between each two") {
    for (const auto* line : {"GET",
                             "GET /",
                             "GET  / HTTP/1.1",
                             "GET / HTTP/1.1 ",
                             " GET / HTTP/1.1",
                             "GET / HTTP/1.1 x",
                             "GET\t/ HTTP/1.1",
                             "GET / HTTP/1.2",
                             "GET / HTTP/2.0",
                             "GET / HTTP/9.9",
                             "GET / http/1.1",
                             "GET / HTTP/1.1\t",
                             "GET / HTTP/01.1",
                             "GET / HTTP/1.10",
                             "G(T / HTTP/1.1",
                             "G\xc3\xa9T / HTTP/1.1",
                             " / HTTP/1.1",
                             "GET a HTTP/1.1",
                             "GET * HTTP/1.1",
                             "GET http://host/ HTTP/1.1",
                             "GET /a#b HTTP/1.1",
                             "GET /caf\xc3\xa9 HTTP/1.1",
                             "GET /a b HTTP/1.1",
                             "CONNECT host:443 HTTP/1.1",
                             "nonsense",
                             ""}) {
        CAPTURE(line);
        CHECK(status_of(head_of(line)) == 400);
    }
    CHECK(status_of(head_of(std::string(33, 'M').append(" / HTTP/1.1"))) == 400);
    CHECK(status_of("BREW /a?\"{}|\\^` HTTP/1.1\r\nHost: x\r\n\r\n") == 200);  // the router's to judge
}

TEST_CASE("a header is a name, a colon right behind it, and a value on one line") {
    for (const auto* line : {"Content-Length : 5", "X\t: a", ": a", "X", "X Y: a", " X: a", "\tX: a", "X(: a",
                             "X\"Y: a", "X@Y: a", "X/Y: a", "X[]: a", "Sch\xc3\xa4: a"}) {
        CAPTURE(line);
        CHECK(status_of(get(std::string{line}.append("\r\n"))) == 400);
        CHECK(status_of(head_of("GET / HTTP/1.1", std::string{line}.append("\r\nHost: x\r\n"))) == 400);
    }
    CHECK(status_of(get("X: a\r\n b\r\n")) == 400);
    CHECK(status_of(get("X: a\r\n\tb\r\n")) == 400);
    CHECK(status_of(get("X-!#$%&'*+.^_`|~9: a: b\r\n")) == 200);
}

TEST_CASE("a request names one host") {
    for (const auto* headers :
         {"", "Host: a\r\nHost: b\r\n", "Host: a\r\nhost: a\r\n", "Host: a b\r\n", "Host: a/b\r\n", "Host: a,b\r\n",
          "Host: u@h\r\n", "Host: a?b\r\n", "Host: caf\xc3\xa9\r\n"}) {
        CAPTURE(headers);
        CHECK(status_of(head_of("GET / HTTP/1.1", headers)) == 400);
    }
    CHECK(status_of("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n") == 400);
    CHECK(status_of("GET / HTTP/1.1\r\nHost:\r\n\r\n") == 200);
}

TEST_CASE("the end of a body can be told in one way only") {
    for (const auto* headers : {"Content-Length: -5\r\n",
                                "Content-Length: +5\r\n",
                                "Content-Length: 5x\r\n",
                                "Content-Length: 0x5\r\n",
                                "Content-Length: 5 5\r\n",
                                "Content-Length: 5, 5\r\n",
                                "Content-Length: 5.0\r\n",
                                "Content-Length:\r\n",
                                "Content-Length: 18446744073709551616\r\n",
                                "Content-Length: 99999999999999999999999\r\n",
                                "Content-Length: 5\r\nContent-Length: 5\r\n",
                                "Content-Length: 5\r\nContent-Length: 6\r\n",
                                "Content-Length: 5\r\ncontent-length: 5\r\n",
                                "Content-Length:\r\n 5\r\n",
                                "Content-Length : 5\r\n",
                                "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                                "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
                                "Transfer-Encoding: gzip, chunked\r\n",
                                "Transfer-Encoding: chunked, chunked\r\n",
                                "Transfer-Encoding: identity\r\n",
                                "Transfer-Encoding: xchunked\r\n",
                                "Transfer-Encoding: chunked;a=b\r\n",
                                "Transfer-Encoding:\r\n",
                                "Transfer-Encoding: \"chunked\"\r\n",
                                "Transfer-Encoding: \x0b"
                                "chunked\r\n",
                                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                                "Transfer-Encoding : chunked\r\n",
                                "Transfer-Encoding:\r\n chunked\r\n"}) {
        CAPTURE(headers);
        CHECK(status_of(post(headers)) == 400);
    }
    CHECK(status_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(read(post("Transfer-Encoding: Chunked\r\n"))->chunked);
    CHECK(read(post("Content-Length: 18446744073709551615\r\n"))->length == 18446744073709551615U);
    CHECK_FALSE(read(post(""))->has_body());
    CHECK_FALSE(read(post("Content-Length: 0\r\n"))->has_body());
}

TEST_CASE("heads have bounds: bytes, lines, headers, target") {
    const auto repeated = [](std::size_t count) {
        std::string headers;
        for (std::size_t i = 1; i < count; ++i) headers += "X: a\r\n";  // Host is one, too
        return get(headers);
    };
    CHECK(status_of(repeated(max_headers)) == 200);
    CHECK(status_of(repeated(max_headers + 1)) == 400);
    CHECK(status_of(repeated(5000)) == 400);

    const auto header = [](std::size_t size) { return get("X: " + std::string(size - 3, 'a') + "\r\n"); };
    CHECK(status_of(header(max_header_bytes)) == 200);
    CHECK(status_of(header(max_header_bytes + 1)) == 400);

    const auto target = [](std::size_t size) {
        return head_of(std::string{"GET /"}.append(size - 1, 'a').append(" HTTP/1.1"));
    };
    CHECK(status_of(target(max_target_bytes)) == 200);
    CHECK(status_of(target(max_target_bytes + 1)) == 414);

    std::string headers;
    for (int i = 0; i < 8; ++i) headers += "X: " + std::string(8000, 'a') + "\r\n";
    auto large = get(headers + "Y: ");
    large.resize(large.size() - 2);  // the last line is open
    const auto of_size = [&](std::size_t size) {
        return large + std::string(size - large.size() - 4, 'b') + "\r\n\r\n";
    };
    CHECK(status_of(of_size(max_head_bytes)) == 200);
    CHECK(status_of(of_size(max_head_bytes + 1)) == 400);
}

}  // namespace fusebox::test
