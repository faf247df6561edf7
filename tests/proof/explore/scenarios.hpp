// The scenarios in which the breaker is explored: two or three threads, a few operations each.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "proof/explore/search.hpp"
#include "proof/explore/world.hpp"

namespace fusebox::test::explore {

using Operation = std::function<void(World&)>;

struct Scenario {
    std::string name;  ///< begins with the rules it is about
    bool big{};        ///< takes more than a second or two, and is left out of explore_test
    CircuitBreakerConfig config{};
    std::function<void(World&)> prepare{};
    std::vector<std::vector<Operation>> threads;
    /// After all threads, and after what holds in every scenario. May be empty.
    std::function<void(World&)> check{};
    /// Every execution must look as one in which whole operations follow one another in some order.
    bool explained{};
    bool listening{};
    unsigned cores{1};
};

[[nodiscard]] std::span<const Scenario> scenarios();
/// Explores one to the end.
[[nodiscard]] Result explore(const Scenario& scenario);

}  // namespace fusebox::test::explore
