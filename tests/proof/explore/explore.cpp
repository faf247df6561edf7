// Explores the breaker scenario by scenario and prints what was explored.
//
//     explore              the scenarios that take seconds, as explore_test
//     explore --all        all of them
//     explore TEXT         those whose name has TEXT in it
#include <cstdio>
#include <string_view>

#include "proof/explore/scenarios.hpp"

int main(int count, char** arguments) {
    using namespace fusebox::test::explore;
    const std::string_view wanted = count > 1 ? arguments[1] : "";
    const auto is_wanted = [&](const Scenario& scenario) {
        if (wanted.empty()) return !scenario.big;
        return wanted == "--all" || scenario.name.find(wanted) != std::string::npos;
    };

    std::printf("%-78s %7s %10s %10s %10s %8s\n", "scenario", "threads", "executions", "redundant", "steps", "seconds");
    Result sum;
    unsigned explored = 0;
    unsigned failed = 0;
    for (const auto& scenario : scenarios()) {
        if (!is_wanted(scenario)) continue;
        const auto result = explore(scenario);
        std::printf("%-78s %7zu %10ju %10ju %10ju %8.2f\n", scenario.name.c_str(), scenario.threads.size(),
                    std::uintmax_t{result.executions}, std::uintmax_t{result.redundant}, std::uintmax_t{result.steps},
                    result.seconds);
        if (!result.failure.empty()) std::printf("  FAILED: %s\n", result.failure.c_str());
        std::fflush(stdout);
        ++explored;
        failed += result.failure.empty() ? 0 : 1;
        sum.executions += result.executions;
        sum.redundant += result.redundant;
        sum.steps += result.steps;
        sum.seconds += result.seconds;
    }
    std::printf("%-78s %7s %10ju %10ju %10ju %8.2f\n", "all", "", std::uintmax_t{sum.executions},
                std::uintmax_t{sum.redundant}, std::uintmax_t{sum.steps}, sum.seconds);
    std::printf("%u scenarios, %u failed\n", explored, failed);
    return failed == 0 && explored != 0 ? 0 : 1;
}
