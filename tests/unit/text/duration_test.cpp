#include <fusebox/text/duration.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace text;

using namespace std::chrono_literals;
using Duration = std::chrono::nanoseconds;

namespace {

/// Of every size, the shortest and the longest among them.
template <class Check>
void for_any_durations(Check check) {
    for (const auto duration :
         {0ns, 1ns, 999ns, 1000ns, 59'999'999'999ns, Duration{1min}, Duration::max() - 1ns, Duration::max()}) {
        check(duration);
    }
    std::mt19937_64 random{1};
    for (int i = 0; i < 20'000; ++i) check(Duration{static_cast<Duration::rep>((random() >> 1) >> (i % 63))});
}

long significant_digits(std::string text) {
    std::erase_if(text, [](char c) { return c < '0' || c > '9'; });
    return static_cast<long>(text.size() - std::min(text.find_first_not_of('0'), text.size()));
}

}  // namespace

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

TEST_CASE("a duration is read back as it was written, down to a nanosecond") {
    for_any_durations([](Duration duration) {
        const auto text = format_duration(duration);
        CAPTURE(text);
        REQUIRE(parse_duration(text) == duration);
    });
}

TEST_CASE("a measured duration below a minute is written with three significant digits") {
    CHECK(format_rounded_duration(0s) == "0s");
    CHECK(format_rounded_duration(1ns) == "1ns");
    CHECK(format_rounded_duration(999ns) == "999ns");
    CHECK(format_rounded_duration(1234ns) == "1.23us");
    CHECK(format_rounded_duration(250ms) == "250ms");
    CHECK(format_rounded_duration(12'345ms) == "12.3s");
    CHECK(format_rounded_duration(29'950ms) == "30s");
    CHECK(format_rounded_duration(29'949ms) == "29.9s");
    CHECK(format_rounded_duration(-1234ms) == "-1.23s");
}

TEST_CASE("a measured duration from a minute on is written in two units") {
    CHECK(format_rounded_duration(1min) == "1m");
    CHECK(format_rounded_duration(61'400ms) == "1m1s");
    CHECK(format_rounded_duration(90s) == "1m30s");
    CHECK(format_rounded_duration(125s) == "2m5s");
    CHECK(format_rounded_duration(3723s) == "1h2m");
    CHECK(format_rounded_duration(11'400s) == "3h10m");
    CHECK(format_rounded_duration(-11'461s) == "-3h11m");
    CHECK(format_rounded_duration(24h) == "1d");
    CHECK(format_rounded_duration(24h + 5min) == "1d");
    CHECK(format_rounded_duration(25h) == "1d1h");
    CHECK(format_rounded_duration(24h * 999 + 13h) == "999d13h");
    CHECK(format_rounded_duration(Duration::max()) == "106752d");
    CHECK(format_rounded_duration(Duration::min()) == "-106752d");
}

TEST_CASE("a measured duration that rounds up to the next unit is written in that unit") {
    CHECK(format_rounded_duration(999'600ns) == "1ms");
    CHECK(format_rounded_duration(999'600us) == "1s");
    CHECK(format_rounded_duration(59'499ms) == "59.5s");
    CHECK(format_rounded_duration(59'990ms) == "1m");
    CHECK(format_rounded_duration(59min + 59s) == "59m59s");
    CHECK(format_rounded_duration(59min + 59'600ms) == "1h");
    CHECK(format_rounded_duration(23h + 59min + 50s) == "1d");
}

TEST_CASE("a rounded duration is close to the exact one") {
    for_any_durations([](Duration duration) {
        const auto text = format_rounded_duration(duration);
        CAPTURE(duration.count(), text);
        // The parts of the text, each as a configuration's duration.
        double sum = 0;
        for (std::size_t begin = 0; begin < text.size();) {
            const auto unit = text.find_first_not_of("0123456789.", begin);
            const auto end = std::min(text.find_first_of("0123456789", unit), text.size());
            const auto part = parse_duration(std::string_view{text}.substr(begin, end - begin));
            // 106752 days are more than a duration can hold.
            sum += part ? static_cast<double>(part->count()) : 106752 * 86.4e12;
            begin = end;
        }
        const auto exact = static_cast<double>(duration.count());
        REQUIRE(std::abs(sum - exact) <= (duration < 1min ? 0.005 : duration < 24h ? 0.0084 : 0.0209) * exact);
        if (duration < 59s) REQUIRE(significant_digits(text) <= 3);
    });
}

}  // namespace fusebox::test
