#include <limits>

#include <fusebox/registry/breaker_set.hpp>

#include "support/catch.hpp"

using namespace fusebox;
using namespace std::chrono_literals;

TEST_CASE("a duration is a number with one unit") {
    CHECK(parse_duration("7ns") == 7ns);
    CHECK(parse_duration("7us") == 7us);
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("30s") == 30s);
    CHECK(parse_duration("2m") == 2min);
    CHECK(parse_duration("1h") == 1h);
    CHECK(parse_duration("3d") == 72h);
    CHECK(parse_duration("0s") == 0s);
    CHECK(parse_duration("007s") == 7s);
}

TEST_CASE("a duration may have decimals, down to a nanosecond") {
    CHECK(parse_duration("1.5s") == 1500ms);
    CHECK(parse_duration("0.25m") == 15s);
    CHECK(parse_duration("1.123456789s") == 1123456789ns);
    CHECK(parse_duration("0.0000000019s") == 1ns);
    CHECK(parse_duration("0.99999999999999999999999999999s") == 999999999ns);
}

TEST_CASE("anything else is not a duration") {
    for (const auto* text : {"", "s", "30", "30 s", " 30s", "30s ", "-5s", "+5s", ".5s", "5.s", "1.5.5s", "5S", "5sec",
                             "1h30m", "1e3s", "0x10s", "off", "\xff"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text));
    }
}

TEST_CASE("a duration that does not fit is refused, not wrapped") {
    CHECK(parse_duration("9223372036854775807ns") == Duration::max());
    CHECK_FALSE(parse_duration("9223372036854775808ns"));
    CHECK(parse_duration("9223372036.854775807s") == Duration::max());
    CHECK_FALSE(parse_duration("9223372036.854775808s"));
    CHECK_FALSE(parse_duration("106752d"));
    CHECK_FALSE(parse_duration("18446744073709551617s"));
    CHECK_FALSE(parse_duration("99999999999999999999999999999999s"));
}

TEST_CASE("a duration is written in its shortest exact form") {
    CHECK(format_duration(0s) == "0s");
    CHECK(format_duration(1ns) == "1ns");
    CHECK(format_duration(250ms) == "250ms");
    CHECK(format_duration(1500ms) == "1.5s");
    CHECK(format_duration(30s) == "30s");
    CHECK(format_duration(90s) == "90s");
    CHECK(format_duration(100s) == "100s");
    CHECK(format_duration(2min) == "2m");
    CHECK(format_duration(90min) == "90m");
    CHECK(format_duration(24h) == "1d");
    CHECK(format_duration(-1500ms) == "-1.5s");
    CHECK(format_duration(Duration::max()) == "9223372036.854775807s");
    CHECK(format_duration(Duration::min()) == "-9223372036.854775808s");
}

TEST_CASE("what is written is read again as the same duration") {
    std::uint64_t bits = 1;
    for (int i = 0; i < 10'000; ++i) {
        bits = bits * 6364136223846793005U + 1442695040888963407U;  // Knuth's generator: the same numbers on every run
        const Duration duration{static_cast<Duration::rep>((bits >> 1) >> (i % 63))};
        const auto text = format_duration(duration);
        CAPTURE(text);
        REQUIRE(parse_duration(text) == duration);
    }
}
