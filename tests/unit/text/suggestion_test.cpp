#include <fusebox/text/suggestion.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace text;

TEST_CASE("the closest candidate is suggested") {
    CHECK(did_you_mean("open_timout", {"enabled", "open_timeout", "timeout"}) == "; did you mean 'open_timeout'?");
    CHECK(did_you_mean("listne", {"listen"}) == "; did you mean 'listen'?");      // two replacements
    CHECK(did_you_mean("stor", {"store", "star"}) == "; did you mean 'store'?");  // the first of two
    const std::vector<std::string> kept{"webhook", "log"};
    CHECK(did_you_mean("webhok", {kept.begin(), kept.end()}) == "; did you mean 'webhook'?");
}

TEST_CASE("nothing is suggested where more than a third of the letters differ, but one may always") {
    CHECK(did_you_mean("timeout", {"open_timeout"}).empty());
    CHECK(did_you_mean("abcdef", {"abcdXY"}) == "; did you mean 'abcdXY'?");
    CHECK(did_you_mean("abcdef", {"abcXYZ"}).empty());
    CHECK(did_you_mean("to", {"t"}) == "; did you mean 't'?");
    CHECK(did_you_mean("to", {"from"}).empty());
    CHECK(did_you_mean("", {"a"}) == "; did you mean 'a'?");
    CHECK(did_you_mean("", {"ab"}).empty());
    CHECK(did_you_mean("a", {}).empty());
}

TEST_CASE("upper and lower case are different letters of a name") {
    CHECK(did_you_mean("Log", {"log"}) == "; did you mean 'log'?");
    CHECK(did_you_mean("LOG", {"log"}).empty());
}

}  // namespace fusebox::test
