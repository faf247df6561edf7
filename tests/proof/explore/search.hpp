// Runs a small program of two or three threads through every order of its steps that can make a difference.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proof/explore/scheduler.hpp"

namespace fusebox::test::explore {

/// What one execution consists of. Built anew for each, by the same function, which therefore must do the same each
/// time.
class Program {
public:
    /// A logical thread. It may only wait for mutexes of the scheduler, and must end by itself; it must not throw.
    void thread(std::function<void()> body) { threads_.push_back(std::move(body)); }
    /// Runs after all threads have ended.
    void finally(std::function<void()> body) { finally_ = std::move(body); }

private:
    friend class Search;
    std::vector<std::function<void()>> threads_;
    std::function<void()> finally_;
};
using Setup = std::function<void(Program&)>;

/// Fails the running execution, and with it the search, unless `holds`. In threads and in `finally`.
void require(bool holds, std::string_view what, const std::source_location& where = std::source_location::current());

struct Options {
    enum class Granularity : std::uint8_t {
        steps,       ///< threads take turns at each step
        operations,  ///< threads take turns only where begin_operation() is called: operations do not overlap
    };
    Granularity granularity{Granularity::steps};
    /// Every order of the steps, also those that differ only in the order of steps that do not depend on each other.
    bool brute_force{};
    /// Ends that are no failures where this is on.
    bool allow_deadlock{};
    /// More than that is a failure: nothing is left out silently.
    std::uint64_t most_executions{20'000'000};
    /// Collects what makes an execution another one than all that differ only in the order of independent steps.
    std::set<std::vector<std::uint32_t>>* traces{};
};

struct Result {
    std::uint64_t executions{};  ///< run to their end; no two of them equivalent, unless by brute force
    std::uint64_t redundant{};   ///< begun, and recognised as equivalent to another one
    std::uint64_t steps{};       ///< in those that were run to their end
    std::uint64_t deadlocks{};
    double seconds{};
    std::string failure;  ///< empty: none. What failed, and the steps that led there
};

/// Stateless search with source sets and sleep sets (source-DPOR: Abdulla, Aronsson, Jonsson, Sagonas: Optimal Dynamic
/// Partial Order Reduction, POPL 2014). Stops at the first failure.
[[nodiscard]] Result explore(const Setup& setup, const Options& options = {});

}  // namespace fusebox::test::explore
