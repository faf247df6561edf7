// Expected lines are as the description of Prometheus' text format 0.0.4 has them.
#include "exposition_text.hpp"

#include <limits>

#include "support/catch.hpp"

namespace fusebox::test {

using detail::ExpositionText;

namespace {

std::string value_text(auto value) {
    ExpositionText text{0};
    text.start("", "x", "", "gauge");
    text.sample({}, value);
    const auto result = std::move(text).take();
    const std::string_view before = "# TYPE x gauge\nx ";
    REQUIRE(result.starts_with(before));
    REQUIRE(result.ends_with("\n"));
    return result.substr(before.size(), result.size() - before.size() - 1);
}

std::string label(std::string_view value) {
    std::string labels;
    fusebox::detail::add_label(labels, "name", value);
    return labels;
}

}  // namespace

TEST_CASE("a family is its help, its type and its series") {
    ExpositionText text{0};
    text.start("app_", "size_bytes", "Say \"how much\"\nin a \\.", "histogram");
    std::string labels;
    fusebox::detail::add_label(labels, "name", "x");
    fusebox::detail::add_label(labels, "zone", "b");
    text.sample({.suffix = "_count", .labels = labels}, std::uint64_t{7});
    text.sample({.suffix = "_bucket", .labels = labels, .more = R"(,le="0.5")"}, std::uint64_t{2});
    text.start("", "none_total", "", "counter");
    text.start("", "up", "Without labels.", "gauge");
    text.sample({}, 0.5);
    const auto result = std::move(text).take();
    CHECK(result == R"(# HELP app_size_bytes Say "how much"\nin a \\.
# TYPE app_size_bytes histogram
app_size_bytes_count{name="x",zone="b"} 7
app_size_bytes_bucket{name="x",zone="b",le="0.5"} 2
# TYPE none_total counter
# HELP up Without labels.
# TYPE up gauge
up 0.5
)");
}

TEST_CASE("a label's value escapes quotes, backslashes and ends of lines") {
    CHECK(label("a\\b\"c\nd") == R"(name="a\\b\"c\nd")");
    CHECK(label("") == R"(name="")");
}

TEST_CASE("bytes that are not UTF-8 are spelled out") {
    using fusebox::detail::readable;
    CHECK(readable("gr\xc3\xbc\xc3\x9f") == "gr\xc3\xbc\xc3\x9f");
    CHECK(readable("\xff"
                   "a\xc3\xbc\xc3") == "\\xffa\xc3\xbc\\xc3");
}

TEST_CASE("a count is written with all its digits") {
    CHECK(value_text(std::uint64_t{0}) == "0");
    CHECK(value_text(std::uint64_t{123456789012}) == "123456789012");
    CHECK(value_text(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
}

TEST_CASE("a value has the fewest digits that give it back") {
    CHECK(value_text(0.1) == "0.1");
    CHECK(value_text(-2.5) == "-2.5");
    CHECK(value_text(1e6) == "1000000");
    CHECK(value_text(0.1 + 0.2) == "0.30000000000000004");
    for (const auto longest : {-std::numeric_limits<double>::min() * 1.1, -1.2345678901234567e-4, 9007199254740993.0}) {
        CHECK(std::stod(value_text(longest)) == longest);
    }
}

TEST_CASE("a value that is no number is written as Prometheus spells it") {
    using Limits = std::numeric_limits<double>;
    CHECK(value_text(Limits::quiet_NaN()) == "NaN");
    CHECK(value_text(Limits::infinity()) == "+Inf");
    CHECK(value_text(-Limits::infinity()) == "-Inf");
}

}  // namespace fusebox::test
