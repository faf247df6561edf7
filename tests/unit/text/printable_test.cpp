#include <fusebox/text/printable.hpp>

#include <cstdint>

#include <fusebox/text/utf8.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using text::printable;

namespace {

std::string utf8(std::uint32_t c) {
    const auto byte = [](std::uint32_t value) { return static_cast<char>(static_cast<unsigned char>(value)); };
    if (c < 0x80) return {byte(c)};
    if (c < 0x800) return {byte(0xc0 | c >> 6), byte(0x80 | (c & 0x3f))};
    if (c < 0x10000) return {byte(0xe0 | c >> 12), byte(0x80 | (c >> 6 & 0x3f)), byte(0x80 | (c & 0x3f))};
    return {byte(0xf0 | c >> 18), byte(0x80 | (c >> 12 & 0x3f)), byte(0x80 | (c >> 6 & 0x3f)), byte(0x80 | (c & 0x3f))};
}

}  // namespace

TEST_CASE("what can be read stays as it is") {
    for (const auto* text : {"", "plain", "größer € 🚨", "a\\b \"q\" 'r'", "שלום", "👩\u200d🚒", "\u00a0\u00ad"}) {
        CHECK(printable(text) == text);
    }
}

TEST_CASE("control characters are escaped, those above ASCII too") {
    CHECK(printable("a\x1b[31mb\n\r\t\x7f") == R"(a\u001b[31mb\n\r\t\u007f)");
    CHECK(printable(std::string_view{"a\0b", 3}) == R"(a\u0000b)");
    CHECK(printable("\u009b31m \u0080\u009f\u0085") == R"(\u009b31m \u0080\u009f\u0085)");
}

TEST_CASE("controls of bidirectional text and separators of lines are escaped") {
    CHECK(printable("user\u202etxt.exe\u202c") == R"(user\u202etxt.exe\u202c)");
    for (const std::uint32_t c : {0x61c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068,
                                  0x2069, 0x2028, 0x2029}) {
        CAPTURE(c);
        CHECK(printable(utf8(c)).starts_with("\\u"));
        CHECK(printable(utf8(c)).size() == 6);
    }
}

TEST_CASE("bytes that are not UTF-8 are escaped one by one") {
    CHECK(printable("a\xff\xfe") == R"(a\xff\xfe)");
    CHECK(printable("\xc3") == R"(\xc3)");
    CHECK(printable("\xc0\x9b") == R"(\xc0\x9b)");            // ESC-like, overlong
    CHECK(printable("\xed\xa0\x80!") == R"(\xed\xa0\x80!)");  // half of a surrogate pair
    CHECK(printable("\x9b"
                    "31m") == R"(\x9b31m)");        // C1 in a Latin-1 terminal
    CHECK(printable("\xe2\x80") == R"(\xe2\x80)");  // a bidirectional control that is cut short
}

TEST_CASE("of all code points, exactly the harmful ones are escaped, and what comes out is UTF-8 without them") {
    std::size_t escaped = 0;
    for (std::uint32_t c = 0; c <= 0x10ffff; ++c) {
        if (c == 0xd800) c = 0xe000;
        const auto raw = utf8(c);
        const auto shown = printable(raw);
        if (shown == raw) continue;
        ++escaped;
        if (shown.front() != '\\' || !text::is_utf8(shown) || printable(shown) != shown) FAIL(c);
    }
    // C0 and DEL 33, C1 32, separators 2, marks 3, embeddings and overrides 5, isolates 4.
    CHECK(escaped == 33 + 32 + 2 + 3 + 5 + 4);
}

}  // namespace fusebox::test
