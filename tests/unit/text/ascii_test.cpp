#include <fusebox/text/ascii.hpp>

#include <cctype>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace text;

TEST_CASE("texts compare without the case of ASCII letters") {
    CHECK(equal_without_case("Content-Type", "content-TYPE"));
    CHECK(equal_without_case("", ""));
    CHECK_FALSE(equal_without_case("Content-Type", "Content_Type"));
    CHECK_FALSE(equal_without_case("Content-Type", "Content-Typ"));
    CHECK_FALSE(equal_without_case("a", ""));
    CHECK_FALSE(equal_without_case("Ä", "ä"));
    // The neighbours of the letters differ from one another in the same bit as the letters do.
    CHECK_FALSE(equal_without_case("@[`{", "`{@["));
}

TEST_CASE("a character is of the class that the C locale gives it, and above ASCII of none") {
    for (int c = 0; c < 256; ++c) {
        CAPTURE(c);
        const auto character = static_cast<char>(c);
        CHECK(static_cast<unsigned char>(lower(character)) == (c < 0x80 ? std::tolower(c) : c));
        CHECK(is_digit(character) == (c < 0x80 && std::isdigit(c) != 0));
        CHECK(is_letter_or_digit(character) == (c < 0x80 && std::isalnum(c) != 0));
        CHECK(is_control(character) == (c < 0x80 && std::iscntrl(c) != 0));
    }
}

TEST_CASE("white space is trimmed at both ends and kept within") {
    CHECK(trimmed(" \t a b\r\n") == "a b");
    CHECK(trimmed("a") == "a");
    CHECK(trimmed("").empty());
    CHECK(trimmed(" \r\n\t").empty());
    CHECK(trimmed("\u00a0a\v") == "\u00a0a\v");
}

}  // namespace fusebox::test
