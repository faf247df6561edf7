#include "response_text.hpp"

#include "content_coding.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;

TEST_CASE("a response is written as the standard has it") {
    const Response response{
        .status = 404, .content_type = "text/plain", .body = "nothing", .headers = {{"Allow", "GET"}}};
    const std::string head =
        "HTTP/1.1 404 Not Found\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Content-Type-Options: "
        "nosniff\r\nCache-Control: no-store\r\n"
        "Content-Type: text/plain\r\nAllow: GET\r\nContent-Length: 7\r\n";
    CHECK(response_text(response, {}) == head + "Connection: close\r\n\r\nnothing");
    CHECK(response_text(response, {.head_only = true}) == head + "Connection: close\r\n\r\n");
    CHECK(response_text(response, {.keep_alive = true, .keep_alive_timeout = std::chrono::seconds{2}}) ==
          head + "Keep-Alive: timeout=2\r\n\r\nnothing");
    CHECK(response_text(response,
                        {.http_1_0 = true, .keep_alive = true, .keep_alive_timeout = std::chrono::seconds{2}}) ==
          head + "Connection: keep-alive\r\nKeep-Alive: timeout=2\r\n\r\nnothing");
    CHECK(response_text({.status = 204}, {}) ==
          "HTTP/1.1 204 No Content\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nX-Content-Type-Options: "
          "nosniff\r\nCache-Control: no-store\r\n"
          "Connection: close\r\n\r\n");
}

TEST_CASE("a response says when it was made, as RFC 9110 writes it") {
    using namespace std::chrono;
    // The standard's own example.
    const auto now = sys_days{1994y / November / 6} + 8h + 49min + 37s;
    CHECK(response_text({}, {.now = now}).find("\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n") != std::string::npos);
}

TEST_CASE("no header of a response becomes two") {
    const auto text = response_text({.headers = {{"X-A", "a\r\nSet-Cookie: b"}, {"X\r\nY", "c"}, {"X-Z", "d"}}}, {});
    CHECK(text.find("Set-Cookie") == std::string::npos);
    CHECK(text.find("Y: c") == std::string::npos);
    CHECK(text.find("X-Z: d\r\n") != std::string::npos);
}

TEST_CASE("long text is compressed for who takes it") {
    const std::string body(2000, 'a');
    const auto text = [&](std::string type, bool gzip, std::size_t size) {
        return response_text({.content_type = std::move(type), .body = body.substr(0, size)}, {.gzip = gzip});
    };
    const auto compressed = text("application/json", true, 2000);
    CHECK(compressed.find("Content-Encoding: gzip\r\n") != std::string::npos);
    CHECK(compressed.find("Vary: Accept-Encoding\r\n") != std::string::npos);
    CHECK(compressed.size() < 1000);
    std::string decoded;
    CHECK(make_content_decoder("gzip")->decode(compressed.substr(compressed.find("\r\n\r\n") + 4), decoded, 2000) ==
          ContentDecoder::State::complete);
    CHECK(decoded == body);
    CHECK(text("application/problem+json; charset=utf-8", true, 2000).size() < 1000);
    for (const auto& plain :
         {text("application/json", false, 2000), text("application/json", true, 1000), text("image/png", true, 2000)}) {
        CHECK(plain.find("Content-Encoding") == std::string::npos);
    }
}

}  // namespace fusebox::test
