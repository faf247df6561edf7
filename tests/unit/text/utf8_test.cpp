#include <fusebox/text/utf8.hpp>

#include <array>
#include <cstdint>
#include <random>
#include <string>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace text;

using namespace std::string_view_literals;

namespace {

/// RFC 3629 from its definition: the payload bits of the code point, in as many bytes as it needs.
std::string encoded(std::uint32_t code_point) {
    const auto byte = [](std::uint32_t bits) { return static_cast<char>(static_cast<unsigned char>(bits)); };
    const auto tail = [&](int shift) { return byte(0x80U | ((code_point >> shift) & 0x3fU)); };
    if (code_point < 0x80) return {byte(code_point)};
    if (code_point < 0x800) return {byte(0xc0U | code_point >> 6), tail(0)};
    if (code_point < 0x10000) return {byte(0xe0U | code_point >> 12), tail(6), tail(0)};
    return {byte(0xf0U | code_point >> 18), tail(12), tail(6), tail(0)};
}

bool is_surrogate(std::uint32_t code_point) { return code_point >= 0xd800 && code_point <= 0xdfff; }

/// Bytes that meet in sequences more often than chance would have them.
std::string any_bytes(std::mt19937_64& random) {
    static constexpr auto likely =
        "\x00"
        "a\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff"sv;
    std::string text(random() % 12, '\0');
    for (auto& c : text) c = likely[random() % likely.size()];
    return text;
}

}  // namespace

TEST_CASE("every code point but the surrogates is UTF-8, in as many bytes as it needs") {
    for (std::uint32_t code_point = 0; code_point <= 0x10ffff; ++code_point) {
        const auto text = encoded(code_point);
        const auto length = is_surrogate(code_point) ? 0 : text.size();
        if (code_point_length(text) != length || is_utf8(text) != (length != 0)) {
            CAPTURE(code_point);
            REQUIRE(code_point_length(text) == length);
            REQUIRE(is_utf8(text) == (length != 0));
        }
    }
    for (std::uint32_t code_point = 0x110000; code_point <= 0x1fffff; ++code_point) {
        if (code_point_length(encoded(code_point)) != 0) FAIL("beyond U+10FFFF: " << code_point);
    }
}

TEST_CASE("only the front of a text counts for the length of its code point") {
    CHECK(code_point_length("") == 0);
    CHECK(code_point_length("n\xff") == 1);
    CHECK(code_point_length("€\xff") == 3);
    CHECK(code_point_length("\0"sv) == 1);
}

TEST_CASE("overlong, truncated and stray bytes are not UTF-8") {
    for (const auto bad : {"\x80"sv,
                           "\xbf"sv,
                           "\xc0\x80"sv,
                           "\xc1\xbf"sv,
                           "\xe0\x80\x80"sv,
                           "\xe0\x9f\xbf"sv,
                           "\xf0\x80\x80\x80"sv,
                           "\xf0\x8f\xbf\xbf"sv,
                           "\xf4\x90\x80\x80"sv,
                           "\xf5\x80\x80\x80"sv,
                           "\xf8\x88\x80\x80\x80"sv,
                           "\xfe"sv,
                           "\xff"sv,
                           "\xc3"sv,
                           "\xe2\x82"sv,
                           "\xf0\x9f\x98"sv,
                           "\xc3("sv,
                           "\xe2\x82("sv,
                           "\xe2(\xac"sv,
                           "\xf0\x9f\x98("sv}) {
        CAPTURE(bad);
        CHECK(code_point_length(bad) == 0);
        CHECK_FALSE(is_utf8(bad));
        CHECK_FALSE(is_utf8(std::string{"é"}.append(bad).append("x")));
    }
    CHECK(is_utf8(""));
    CHECK(is_utf8("a\0b"sv));
}

TEST_CASE("a cut is between two code points, as late as may be") {
    const auto text = "né€😀!"sv;  // 1, 2, 3, 4 and 1 byte
    constexpr std::array<std::size_t, 13> expected{0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    for (std::size_t bytes = 0; bytes < expected.size(); ++bytes) {
        CAPTURE(bytes);
        CHECK(cut(text, bytes) == text.substr(0, expected.at(bytes)));
    }
    CHECK(cut("", 0).empty());
}

TEST_CASE("what is not UTF-8 is no code point and is cut anywhere") {
    CHECK(cut("\x80\x80\x80\x80\x80", 3) == "\x80\x80\x80");  // stray
    CHECK(cut("\xc0\xafxy", 1) == "\xc0");                    // overlong
    CHECK(cut("\xe2\x82zzzz", 2) == "\xe2\x82");              // cut short before
    CHECK(cut("\xed\xa0\x80z", 2) == "\xed\xa0");             // a surrogate
    CHECK(cut("\x80\x80\x80😀", 5) == "\x80\x80\x80");        // what follows stray bytes is whole or absent
}

TEST_CASE("a cut of any bytes keeps all that it may, and parts no code point") {
    std::mt19937_64 random{1};
    for (int i = 0; i < 50'000; ++i) {
        const auto text = any_bytes(random);
        const std::size_t bytes = random() % 12;
        const auto kept = cut(text, bytes);
        CAPTURE(i, text, bytes);
        REQUIRE(text.starts_with(kept));
        REQUIRE(kept.size() <= bytes);
        if (text.size() <= bytes) REQUIRE(kept == text);
        if (text.size() > bytes) REQUIRE(kept.size() + 3 >= bytes);
        if (is_utf8(text)) REQUIRE(is_utf8(kept));
        // A code point that spans the end of what was kept would have been parted.
        for (std::size_t back = 1; back <= std::min<std::size_t>(3, kept.size()); ++back) {
            REQUIRE(code_point_length(std::string_view{text}.substr(kept.size() - back)) <= back);
        }
        // As late as may be: each later cut parts a code point.
        for (auto later = kept.size() + 1; later <= std::min(bytes, text.size()); ++later) {
            bool parts = false;
            for (std::size_t back = 1; back <= std::min<std::size_t>(3, later); ++back) {
                parts = parts || code_point_length(std::string_view{text}.substr(later - back)) > back;
            }
            REQUIRE(parts);
        }
    }
}

}  // namespace fusebox::test
