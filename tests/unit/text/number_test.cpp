#include <fusebox/text/number.hpp>

#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace text;

TEST_CASE("a number is written as short as it can be read back") {
    CHECK(format_number(0) == "0");
    CHECK(format_number(3) == "3");
    CHECK(format_number(0.5) == "0.5");
    CHECK(format_number(0.1) == "0.1");
    CHECK(format_number(-12.25) == "-12.25");
    CHECK(format_number(1e-7) == "1e-07");
    CHECK(format_number(1e300) == "1e+300");
    CHECK(format_number(std::numeric_limits<double>::quiet_NaN()) == "nan");
    CHECK(format_number(-std::numeric_limits<double>::infinity()) == "-inf");
}

TEST_CASE("a written number is read back as it was") {
    std::mt19937_64 random{1};
    for (int i = 0; i < 10'000; ++i) {
        const auto number = std::bit_cast<double>(random());
        if (std::isnan(number)) continue;
        const auto text = format_number(number);
        CAPTURE(text);
        double read{};
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
        REQUIRE(error == std::errc{});
        REQUIRE(end == text.data() + text.size());
        REQUIRE(std::bit_cast<std::uint64_t>(read) == std::bit_cast<std::uint64_t>(number));
    }
}

}  // namespace fusebox::test
