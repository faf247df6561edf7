// Takes a breaker and the reference model through the same scenario.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "proof/model/scenario.hpp"

namespace fusebox::test::model {

/// Changes what the breaker, and only the breaker, is configured with: to see that the comparison notices.
using Sabotage = std::function<void(CircuitBreakerConfig&)>;

/// How often something came about, for a test to see that it was not idle.
using Tally = std::map<std::string, std::uint64_t>;

/// What they disagree about after which step, with what happened so far; nothing if they agree after every step.
[[nodiscard]] std::optional<std::string> replay(const Scenario& scenario, const Sabotage& sabotage = {},
                                                Tally* tally = nullptr);

}  // namespace fusebox::test::model
