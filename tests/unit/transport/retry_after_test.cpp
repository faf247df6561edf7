#include <fusebox/transport/http_client.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using transport::max_retry_after;
using transport::parse_retry_after;

namespace {

// 60 s before the date that RFC 9110 spells in its three forms.
constexpr WallTime now = std::chrono::sys_days{std::chrono::year{1994} / 11 / 6} + 8h + 48min + 37s;

}  // namespace

TEST_CASE("Retry-After is read in seconds") {
    CHECK(parse_retry_after("0", now) == 0s);
    CHECK(parse_retry_after("120", now) == 120s);
    CHECK(parse_retry_after(" 3\t", now) == 3s);
}

TEST_CASE("Retry-After is read in all three forms of an HTTP date") {
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now) == 60s);
    CHECK(parse_retry_after("Sunday, 06-Nov-94 08:49:37 GMT", now) == 60s);
    CHECK(parse_retry_after("Sun Nov  6 08:49:37 1994", now) == 60s);
}

TEST_CASE("Retry-After counts from a moment within a second") {
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now + 250ms) == 59750ms);
}

TEST_CASE("a Retry-After that has passed means at once") {
    CHECK(parse_retry_after("Sun, 06 Nov 1994 08:48:37 GMT", now) == 0s);
    CHECK(parse_retry_after("Fri, 01 Jan 1904 00:00:00 GMT", now) == 0s);
}

TEST_CASE("a Retry-After without measure is cut to the longest wait") {
    CHECK(parse_retry_after("31536001", now) == max_retry_after);
    CHECK(parse_retry_after("9223372036854775807", now) == max_retry_after);
    CHECK(parse_retry_after("99999999999999999999999999", now) == max_retry_after);
    CHECK(parse_retry_after("Fri, 31 Dec 9999 23:59:59 GMT", now) == max_retry_after);
}

TEST_CASE("what is not a Retry-After is not guessed at") {
    for (const std::string_view value : {"", "  ", "-1", "+5", "1.5", "5 seconds", "0x10", "soon", "10 Jan", "Sunday",
                                         "Sun, 99 Foo 1994", "06 Nov 1994 08:49:37 GMT"}) {
        CAPTURE(value);
        CHECK(parse_retry_after(value, now) == std::nullopt);
    }
    CHECK(parse_retry_after(std::string_view("Sun, 06 Nov 1994 08:49:37 GMT\0", 30), now) == std::nullopt);
}

}  // namespace fusebox::test
