// All scenarios in which the breaker is explored. Each rule group has a file of its own in scenarios/.
#pragma once

#include <span>
#include <vector>

#include "proof/explore/scenario.hpp"

namespace fusebox::test::explore {

[[nodiscard]] std::vector<Scenario> admission_scenarios();
[[nodiscard]] std::vector<Scenario> settling_scenarios();
[[nodiscard]] std::vector<Scenario> transitions_scenarios();
[[nodiscard]] std::vector<Scenario> judging_scenarios();
[[nodiscard]] std::vector<Scenario> window_scenarios();
[[nodiscard]] std::vector<Scenario> hung_calls_scenarios();
[[nodiscard]] std::vector<Scenario> recovery_scenarios();
[[nodiscard]] std::vector<Scenario> reading_scenarios();

/// The scenarios of every group, in the order above.
[[nodiscard]] std::span<const Scenario> scenarios();

}  // namespace fusebox::test::explore
