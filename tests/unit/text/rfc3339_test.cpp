#include <fusebox/text/rfc3339.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace text;

using namespace std::chrono;
using WallTime = sys_time<microseconds>;

constexpr WallTime new_year{sys_days{year{2026} / January / 1}};

TEST_CASE("a time is written in UTC, with microseconds only where there are any") {
    CHECK(to_rfc3339(new_year) == "2026-01-01T00:00:00Z");
    CHECK(to_rfc3339(new_year + microseconds{1}) == "2026-01-01T00:00:00.000001Z");
    CHECK(to_rfc3339(new_year - microseconds{1}) == "2025-12-31T23:59:59.999999Z");
    CHECK(to_rfc3339(new_year + milliseconds{120}) == "2026-01-01T00:00:00.120000Z");
    CHECK(to_rfc3339(WallTime{}) == "1970-01-01T00:00:00Z");
    CHECK(to_rfc3339(WallTime{-microseconds{1}}) == "1969-12-31T23:59:59.999999Z");
}

TEST_CASE("a time that RFC 3339 cannot write is brought to the nearest that it can") {
    CHECK(to_rfc3339(WallTime::min()) == "0001-01-01T00:00:00Z");
    CHECK(to_rfc3339(WallTime::max()) == "9999-12-31T23:59:59.999999Z");
}

TEST_CASE("every way of RFC 3339 to write a time is read") {
    // Right column: date -u -d TIME +%s
    const std::vector<std::pair<const char*, microseconds>> times{
        {"2026-01-01T00:00:00Z", seconds{1'767'225'600}},
        {"2026-01-01t00:00:00z", seconds{1'767'225'600}},
        {"2026-01-01T05:30:00+05:30", seconds{1'767'225'600}},
        {"2025-12-31T16:00:00-08:00", seconds{1'767'225'600}},
        {"2026-01-01T00:00:00-00:00", seconds{1'767'225'600}},
        {"2024-02-29T12:34:56+05:30", seconds{1'709'190'296}},
        {"2026-01-01T00:00:00.1Z", seconds{1'767'225'600} + milliseconds{100}},
        {"2026-01-01T00:00:00.123456Z", seconds{1'767'225'600} + microseconds{123'456}},
        {"2026-01-01T00:00:00.123456789Z", seconds{1'767'225'600} + microseconds{123'456}},
        {"2026-01-01T00:00:00.000000999+00:00", seconds{1'767'225'600}},
        {"1969-12-31T23:59:59.5Z", -milliseconds{500}},
        {"2016-12-31T23:59:60Z", seconds{1'483'228'800}},
        {"2017-01-01T05:29:60+05:30", seconds{1'483'228'800}},
        {"0001-01-01T00:00:00Z", seconds{-62'135'596'800}},
        {"9999-12-31T23:59:59.999999999Z", seconds{253'402'300'799} + microseconds{999'999}},
    };
    for (const auto& [text, expected] : times) {
        CAPTURE(text);
        const auto time = from_rfc3339(text);
        REQUIRE(time);
        CHECK(time->time_since_epoch() == expected);
    }
}

TEST_CASE("what is not an RFC 3339 time is refused") {
    for (const char* text : {
             "",
             "2026",
             "2026-01-01",
             "2026-01-01T00:00:00",              // no zone
             "2026-01-01 00:00:00Z",             // a blank between date and time
             "2026-01-01T00:00Z",                // no seconds
             "2026-01-01T00:00:00.Z",            // no digit after the point
             "2026-01-01T00:00:00,5Z",           // a comma
             "2026-01-01T00:00:00.1234567891Z",  // ten digits
             "2026-1-01T00:00:00Z",
             "2026-00-01T00:00:00Z",
             "2026-13-01T00:00:00Z",
             "2026-01-00T00:00:00Z",
             "2026-01-32T00:00:00Z",
             "2026-02-29T00:00:00Z",  // not a leap year
             "2026-04-31T00:00:00Z",
             "2026-01-01T24:00:00Z",
             "2026-01-01T00:60:00Z",
             "2026-01-01T00:00:61Z",
             "2026-01-01T00:00:60Z",  // a leap second where none can be
             "2026-01-01T00:00:00+24:00",
             "2026-01-01T00:00:00+05:60",
             "2026-01-01T00:00:00+0530",
             "2026-01-01T00:00:00+05",
             "2026-01-01T00:00:00Z ",
             " 2026-01-01T00:00:00Z",
             "2026-01-01T00:00:00ZZ",
             "+026-01-01T00:00:00Z",
             "-001-01-01T00:00:00Z",
             "0000-12-31T23:59:59Z",
             "0001-01-01T00:00:00+00:01",  // before the year 1 in UTC
             "9999-12-31T23:59:59-00:01",  // after the year 9999 in UTC
             "9999-12-31T23:59:60Z",
             "12026-01-01T00:00:00Z",
             "٢٠٢٦-01-01T00:00:00Z",
         }) {
        CAPTURE(text);
        CHECK_FALSE(from_rfc3339(text));
    }
    CHECK_FALSE(from_rfc3339(std::string_view{"2026-01-01T00:00:00Z\0", 21}));
}

TEST_CASE("a written time is read back as it was") {
    std::mt19937_64 random{1};
    std::uniform_int_distribution<std::int64_t> any{-62'135'596'800'000'000, 253'402'300'799'999'999};
    for (int i = 0; i < 2'000; ++i) {
        const WallTime time{microseconds{any(random)}};
        CAPTURE(to_rfc3339(time));
        CHECK(from_rfc3339(to_rfc3339(time)) == time);
    }
}

TEST_CASE("a shortened or altered time is read as a time or refused, never worse") {
    const std::string text = "2026-01-01T00:00:00.123456789+05:30";
    for (std::size_t length = 0; length < text.size(); ++length) CHECK_FALSE(from_rfc3339(text.substr(0, length)));
    for (std::size_t at = 0; at < text.size(); ++at) {
        for (int byte = 0; byte < 256; ++byte) {
            std::string altered = text;
            altered[at] = static_cast<char>(byte);
            if (const auto time = from_rfc3339(altered)) CHECK(from_rfc3339(to_rfc3339(*time)) == time);
        }
    }
}

TEST_CASE("the years 0001 to 9999 are written and read to their ends") {
    CHECK(to_rfc3339(*from_rfc3339("0001-01-01T00:00:00.000001Z")) == "0001-01-01T00:00:00.000001Z");
    CHECK(to_rfc3339(*from_rfc3339("9999-12-31T23:59:59.999999Z")) == "9999-12-31T23:59:59.999999Z");
    // The year of the text may be the last or the first while UTC is still, or already, in the one beside it.
    CHECK(to_rfc3339(*from_rfc3339("0001-01-01T23:59:00+23:59")) == "0001-01-01T00:00:00Z");
    CHECK(to_rfc3339(*from_rfc3339("9999-12-31T00:00:59-23:59")) == "9999-12-31T23:59:59Z");
    CHECK_FALSE(from_rfc3339("0001-01-01T23:58:59+23:59"));
    CHECK_FALSE(from_rfc3339("9999-12-31T00:01:00-23:59"));
}

TEST_CASE("a leap second is read where UTC can have one, as the first instant of the next day") {
    CHECK(to_rfc3339(*from_rfc3339("2016-12-31T23:59:60.5Z")) == "2017-01-01T00:00:00.500000Z");
    CHECK(to_rfc3339(*from_rfc3339("2016-12-31T15:59:60-08:00")) == "2017-01-01T00:00:00Z");
    CHECK_FALSE(from_rfc3339("2016-12-31T23:59:60-08:00"));
    CHECK_FALSE(from_rfc3339("2016-12-31T22:59:60Z"));
}

}  // namespace fusebox::test
