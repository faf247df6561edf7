#include <fusebox/incidents/types.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "unit/incidents/samples.hpp"

namespace fusebox::incidents {

using namespace std::chrono;
using test::new_year;

TEST_CASE("severities are written P0 to P4 and read back") {
    using enum Severity;
    for (const auto severity : {p0, p1, p2, p3, p4}) CHECK(severity_from_string(to_string(severity)) == severity);
    CHECK(to_string(p0) == "P0");
    CHECK(to_string(p4) == "P4");
}

TEST_CASE("a severity is also read from the words that alerts use, in any case") {
    const std::vector<std::pair<const char*, Severity>> words{
        {"p0", Severity::p0},   {"critical", Severity::p0}, {"Critical", Severity::p0}, {"ERROR", Severity::p1},
        {"high", Severity::p1}, {"warning", Severity::p2},  {"medium", Severity::p2},   {"info", Severity::p3},
        {"low", Severity::p3},  {"none", Severity::p4},     {"p4", Severity::p4},
    };
    for (const auto& [word, severity] : words) {
        CAPTURE(word);
        CHECK(severity_from_string(word) == severity);
    }
    for (const char* word : {"", "p", "p5", "P", "P00", " critical", "critical ", "crit", "page", "0"}) {
        CAPTURE(word);
        CHECK_FALSE(severity_from_string(word));
    }
}

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

TEST_CASE("an identifier is its prefix and 26 Crockford digits that begin with the time") {
    // 48 bits of milliseconds as ten digits of base 32.
    const auto id = new_id("inc", new_year);
    CHECK(id.size() == 30);
    CHECK(id.substr(0, 14) == "inc_01KDVDNA00");
    CHECK(id.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 4) == std::string::npos);
    CHECK(new_id("msg", new_year + milliseconds{1}).substr(0, 14) == "msg_01KDVDNA01");
    CHECK(new_id("x", WallTime::min()).substr(0, 12) == "x_0000000000");
}

TEST_CASE("identifiers sort by their time") {
    CHECK(new_id("inc", new_year) < new_id("inc", new_year + milliseconds{1}));
    CHECK(new_id("inc", new_year) < new_id("inc", new_year + hours{24 * 365 * 100}));
}

TEST_CASE("identifiers of one millisecond differ, whichever thread makes them") {
    constexpr std::size_t threads = 8;
    constexpr std::size_t each = 2'000;
    std::array<std::vector<std::string>, threads> made;
    {
        std::vector<std::jthread> workers;
        for (auto& ids : made) {
            workers.emplace_back([&ids] {
                for (std::size_t i = 0; i < each; ++i) ids.push_back(new_id("inc", new_year));
            });
        }
    }
    std::set<std::string> distinct;
    for (const auto& ids : made) distinct.insert(ids.begin(), ids.end());
    CHECK(distinct.size() == threads * each);
}

TEST_CASE("identifiers of one millisecond differ between a process and its fork") {
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const auto id = new_id("inc", new_year);
        ::_exit(::write(pipe[1], id.data(), id.size()) == static_cast<ssize_t>(id.size()) ? 0 : 1);
    }
    std::string theirs(30, '\0');
    CHECK(::read(pipe[0], theirs.data(), theirs.size()) == 30);
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    ::close(pipe[0]);
    ::close(pipe[1]);
    CHECK(theirs != new_id("inc", new_year));
}

}  // namespace fusebox::incidents
