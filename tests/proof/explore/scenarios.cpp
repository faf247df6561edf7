#include "scenarios.hpp"

#include <utility>

namespace fusebox::test::explore {

std::span<const Scenario> scenarios() {
    static const auto all = [] {
        std::vector<Scenario> collected;
        for (const auto group : {admission_scenarios, settling_scenarios, transitions_scenarios, judging_scenarios,
                                 window_scenarios, hung_calls_scenarios, recovery_scenarios, reading_scenarios}) {
            for (auto& scenario : group()) collected.push_back(std::move(scenario));
        }
        return collected;
    }();
    return all;
}

}  // namespace fusebox::test::explore
