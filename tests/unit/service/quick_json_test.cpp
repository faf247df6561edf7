#include "api/quick_json.hpp"

#include <string>

#include <nlohmann/json.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using nlohmann::json;
using service::parse_quickly;

namespace {

/// "same" where the quick parser builds what json::parse builds, types of numbers included; "left" where it leaves the
/// text to json::parse.
std::string verdict(const std::string& text) {
    const auto quick = parse_quickly(text);
    if (!quick) return "left";
    const auto whole = json::parse(text);
    return *quick == whole && json::to_cbor(*quick) == json::to_cbor(whole) ? "same" : "other";
}

}  // namespace

TEST_CASE("the quick parser builds the same tree") {
    for (const auto* text : {
             R"({})",
             R"([])",
             R"(1)",
             R"("x")",
             R"(null)",
             R"( [ {"a" : null , "b":[true,false]} , "x" ] )",
             R"({"a":1,"a":2,"b":{"a":{"a":[[[]]]}}})",
             R"(["\u0000\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t", "größe ñ 😀"])",
             R"({"\u0061\"":1,"a\"":2,"":3})",
             R"([0,-0,1,-1,4294967296,9223372036854775807,9223372036854775808,18446744073709551615])",
             R"([-9223372036854775808,0.0,-0.0,1.5,1e3,1E-3,-1.25e+10,0.1,123456789012345678901234567890.5,5e-324])",
         }) {
        CAPTURE(text);
        CHECK(verdict(text) == "same");
    }
}

TEST_CASE("the quick parser leaves to the other one what it does not take") {
    for (const std::string text : {
             "",          " ",          "\xEF\xBB\xBF[]", "[1e400]",       "[18446744073709551616]",
             "[",         "[]]",        "[] x",           "[1,]",          "{\"a\"}",
             "{\"a\":}",  "{a:1}",      "[01]",           "[1.]",          "[+1]",
             "[NaN]",     "[nul]",      "[trueish]",      "[\"\\ud800\"]", "[\"\\udc00x\"]",
             "[\"\\x\"]", "[\"\xff\"]", "[\"a\nb\"]",     "[\"a]",         "{\"a\":1 \"b\":2}",
             "[1 2]",     "['a']",      "[] // no",
         }) {
        CAPTURE(text);
        CHECK(verdict(text) == "left");
    }
    const auto list = [](std::size_t size) { return "[\"" + std::string(size - 4, 'x') + "\"]"; };
    CHECK(verdict(list(service::longest_quick_json)) == "same");
    CHECK(verdict(list(service::longest_quick_json + 1)) == "left");
}

}  // namespace fusebox::test
