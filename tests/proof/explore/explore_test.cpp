// All scenarios but the big ones, which the program `explore --all` has too.
#include "proof/explore/scenarios.hpp"
#include "support/catch.hpp"

namespace fusebox::test::explore {
namespace {

TEST_CASE("R4, R8, R15: every order of the steps of two or three threads keeps the rules") {
    for (const auto& scenario : scenarios()) {
        if (scenario.big) continue;
        INFO(scenario.name);
        const auto result = explore(scenario);
        INFO(result.failure);
        CHECK(result.failure.empty());
        CHECK(result.executions > 1);
    }
}

}  // namespace
}  // namespace fusebox::test::explore
