// One scenario: two or three threads that do a few operations each on a prepared breaker, and what must hold
// afterwards.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "proof/explore/search.hpp"
#include "proof/explore/world.hpp"

namespace fusebox::test::explore {

using Operation = std::function<void(World&)>;

struct Scenario {
    std::string name;  ///< begins with the rules it is about
    bool big{};        ///< takes more than a second or two: explore_test leaves it out
    CircuitBreakerConfig config{};
    std::function<void(World&)> prepare{};        ///< runs before the threads begin; may be empty
    std::vector<std::vector<Operation>> threads;  ///< the operations of each thread, in their order
    /// Runs when all threads have ended, after the checks that every scenario has. May be empty.
    std::function<void(World&)> check{};
    /// Every execution must end as one does in which the operations follow one another whole, in some order.
    bool serializable{};
    bool listening{};   ///< the breaker has a listener, and every transition must reach the listener in order
    unsigned cores{1};  ///< how many cores the machine seems to have: more cores make more stripes
};

/// Explores the scenario to its end.
[[nodiscard]] Result explore(const Scenario& scenario);

}  // namespace fusebox::test::explore
