#include <fusebox/text/utf8.hpp>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

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

TEST_CASE("UTF-8 is judged as Unicode defines it") {
    for (const auto* good : {"", "plain", "é", "€", "🚨", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
        CAPTURE(good);
        CHECK(is_utf8(good));
    }
    for (const auto* bad : {"\x80", "\xc3", "\xc3\x28", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80",
                            "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "ok\xe2\x82"}) {
        CHECK_FALSE(is_utf8(bad));
    }
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

TEST_CASE("what is not UTF-8 is cut before the bytes that would continue something") {
    CHECK(cut("\xe2\x82zz", 2) == "\xe2\x82");       // cut short before
    CHECK(cut("\xe2\x82zz", 1) == "");               // the cut would part it again
    CHECK(cut("a\xc0\xafxy", 2) == "a");             // overlong
    CHECK(cut("a\xf0\x80\x80\x80z", 4) == "a");      // overlong
    CHECK(cut("a\xed\xa0\x80z", 3) == "a");          // a surrogate
    CHECK(cut("a\xff\xffz", 2) == "a\xff");          // bytes that begin and continue nothing
    CHECK(cut("ab\x80\x80\x80\x80\x80", 5) == "a");  // more bytes than continue any code point
    CHECK(cut("\x80\x80\x80\x80\x80", 3).empty());
    CHECK(cut("a\xe2\x82", 2) == "a");
    CHECK(cut("a\xe2\x82", 3) == "a\xe2\x82");  // not longer than allowed: nothing is cut
}

TEST_CASE("a cut of any bytes is the longest prefix that ends before no continuation byte") {
    std::mt19937_64 random{1};
    for (int i = 0; i < 50'000; ++i) {
        const auto text = any_bytes(random);
        const std::size_t bytes = random() % 12;
        const auto kept = cut(text, bytes);
        CAPTURE(i, text, bytes);
        REQUIRE(text.starts_with(kept));
        REQUIRE(kept.size() <= bytes);
        if (is_utf8(text)) REQUIRE(is_utf8(kept));
        const auto continues = [&](std::size_t at) { return (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U; };
        if (kept.size() == text.size()) continue;
        REQUIRE((kept.empty() || !continues(kept.size())));
        if (text.size() <= bytes) FAIL("something was cut off a text that was short enough");
        for (auto later = kept.size() + 1; later <= bytes; ++later) REQUIRE(continues(later));
    }
}

TEST_CASE("a cut of UTF-8 keeps all whole code points that fit") {
    std::mt19937_64 random{1};
    for (int i = 0; i < 20'000; ++i) {
        std::string text;
        std::vector<std::size_t> ends{0};
        for (auto left = random() % 6; left > 0; --left) {
            const auto code_point = static_cast<std::uint32_t>((random() & 0x1fffffU) >> (random() % 21)) % 0x110000U;
            if (is_surrogate(code_point)) continue;
            text += encoded(code_point);
            ends.push_back(text.size());
        }
        const std::size_t bytes = random() % 24;
        std::size_t fits = 0;
        for (const auto end : ends) fits = end <= bytes ? end : fits;
        CAPTURE(i, text, bytes);
        REQUIRE(cut(text, bytes).size() == fits);
    }
}

}  // namespace fusebox::test
