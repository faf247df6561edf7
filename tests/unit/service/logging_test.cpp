#include "logging.hpp"

#include <nlohmann/json.hpp>

#include <fusebox/text/rfc3339.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace service;

namespace {

const auto at = *text::from_rfc3339("2026-01-01T00:00:00.5Z");

}  // namespace

TEST_CASE("a line is time, level, event and pairs") {
    CHECK(format_log_line(false, Level::info, "breaker_transition", {{"name", "store"}, {"sequence", 7}}, at) ==
          "2026-01-01T00:00:00.500000Z info breaker_transition name=store sequence=7");
}

TEST_CASE("a value cannot forge a pair or a line") {
    CHECK(format_log_line(false, Level::error, "e", {{"title", "a b=c \"q\"\nnext"}, {"empty", ""}}, at) ==
          R"(2026-01-01T00:00:00.500000Z error e title="a b=c \"q\"\nnext" empty="")");
}

TEST_CASE("a value cannot steer the terminal that shows the log") {
    const std::string evil = "\x1b[2J\x7f\u009b31m\u202e\u2028";
    CHECK(format_log_line(false, Level::info, "e", {{"title", evil + "\xff"}}, at) ==
          R"(2026-01-01T00:00:00.500000Z info e title="\u001b[2J\u007f\u009b31m\u202e\u2028\xff")");
    const auto line = format_log_line(true, Level::info, "e", {{"title", evil}}, at);
    for (const auto* raw : {"\x1b", "\x7f", "\u009b", "\u202e", "\u2028"}) CHECK(line.find(raw) == std::string::npos);
    CHECK(nlohmann::json::parse(line).at("title") == evil);
}

TEST_CASE("as JSON, a line is one object") {
    const auto line = format_log_line(true, Level::warning, "e", {{"text", "a\"\n\xff"}, {"count", 7}}, at);
    const auto json = nlohmann::json::parse(line);
    CHECK(line.find('\n') == std::string::npos);
    CHECK(json.at("level") == "warning");
    CHECK(json.at("event") == "e");
    CHECK(json.at("text") == "a\"\n\xEF\xBF\xBD");
    CHECK(json.at("count") == 7);
}

}  // namespace fusebox::test
