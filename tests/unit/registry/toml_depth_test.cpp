#include <fusebox/registry/toml_depth.hpp>

#include <fusebox/registry/breaker_set.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

namespace {

std::string times(std::size_t count, std::string_view text) {
    std::string result;
    while (count-- > 0) result += text;
    return result;
}

std::size_t line(const std::string& text) {
    const auto found = find_too_deep(text);
    return found ? found->line : 0;
}

constexpr std::size_t many = 200'000;

}  // namespace

TEST_CASE("a configuration of ordinary depth passes") {
    CHECK_FALSE(find_too_deep(""));
    CHECK_FALSE(
        find_too_deep("[breakers.\"store\"]\nopen_timeout = \"5s\" # a.b.c\n[[routes]]\n"
                      "match = { labels = { a = [\"x\", 1.5] } }\n"));
    CHECK_FALSE(find_too_deep(times(31, "a.") + "a = 1"));
    CHECK_FALSE(find_too_deep("a = " + times(32, "[") + times(32, "]")));
    // Many short ones one after the other are no depth.
    CHECK_FALSE(find_too_deep(times(1000, "a.b.c = [[1.5, 2.5], {x.y = 1}]\n")));
}

TEST_CASE("dots and brackets within strings and comments are no depth") {
    const auto dots = times(1000, ".");
    const auto brackets = times(1000, "[{");
    for (const auto& harmless : {dots, brackets}) {
        CHECK(line("# " + harmless + "\na = 1") == 0);
        CHECK(line("a = \"\\\"" + harmless + "\"") == 0);
        CHECK(line("a = '\\" + harmless + "'") == 0);
        CHECK(line("a = \"\"\"\n\"\" \\\"\"\" " + harmless + "\n\"\"\"\"\"\nb = 1") == 0);
        CHECK(line("a = '''" + harmless + "''\n'''''") == 0);
        CHECK(line("\"" + harmless + "\" = 1") == 0);
    }
}

TEST_CASE("too deep is found with its line, wherever it hides") {
    const auto deep_key = times(32, "a.") + "a = 1";
    CHECK(line(deep_key) == 1);
    CHECK(line("\n[" + times(32, "a . ") + "a]") == 2);
    CHECK(line("a = 1\nb = 2\n" + times(32, "\"a\".'b'.") + "a = 1") == 3);
    CHECK(line("a = " + times(33, "[")) == 1);
    CHECK(line("a = " + times(33, "{a=")) == 1);
    CHECK(line("a = {b = 1, " + times(33, "a.") + "a = 1}") == 1);
    // After a string of each kind, so that a scan that loses its way in one misses what follows.
    for (const std::string string : {R"("x\"")", R"('x\')", R"("""x""""")", R"('''x''''')", R"("""""")", R"("""x\"""")",
                                     R"("\\")", R"("""\\""")", R"("")", R"('')", R"("#")"}) {
        CAPTURE(string);
        CHECK(line("s = " + string + "\n" + deep_key) == 2);
    }
    CHECK(line("s = \"\"\"\n\n\\\n\"\"\"\n" + deep_key) == 5);
}

TEST_CASE("a text that is deep enough to end the process is a mistake, not a crash") {
    for (const auto& text :
         {times(many, "a.") + "a = 1", "[" + times(many, "a.") + "a]", "[[" + times(many, "a.") + "a]]",
          "a = " + times(many, "["), "a = " + times(many, "{a="), "[breakers]\n" + times(many, "'a'.") + "a = 1"}) {
        const auto read = BreakerSet::from_toml(text);
        REQUIRE_FALSE(read);
        CHECK(read.error().front().message.find("more than 32") != std::string::npos);
        BreakerSet set;
        CHECK_FALSE(set.add_from_toml(text, "a", "a"));
    }
}

TEST_CASE("texts cut anywhere are scanned to their end") {
    const std::string text = "s = \"\"\"x\\\"\"\"\" # c\n't' = '''y'''\n\"k\".'l' = [{a.b = \"\\\\\"}]\n";
    for (std::size_t size = 0; size <= text.size(); ++size) CHECK_FALSE(find_too_deep(text.substr(0, size)));
}

}  // namespace fusebox::test
