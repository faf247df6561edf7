// How many retries a dependency may see for each request, however many callers retry.
#pragma once

#include <cstdint>
#include <memory>

#include <fusebox/core/clock.hpp>

namespace fusebox {

/// The defaults are modest on purpose: a dependency that is down sees a fifth more traffic, not a multiple of it, and a
/// quiet caller can still retry.
struct RetryBudgetConfig {
    double ratio{0.2};                     ///< retries earned by each request; [0, 1]; default one for five requests
    std::uint32_t minimum_per_second{10};  ///< retries allowed whatever the traffic; 0 … 1'000'000; default 10
    std::uint32_t max_tokens{100};         ///< earned retries that can be saved up; 1 … 1'000'000; default 100
    bool operator==(const RetryBudgetConfig&) const = default;
};

/// A token bucket that keeps retries a share of the requests: when everything fails, a dependency sees at most
/// (1 + ratio) times its traffic instead of `max_attempts` times.
///
/// Make one for each dependency and give it to every policy that retries or hedges calls to it. A handle: copies share
/// the tokens. Thread contract: any thread at any time; lock-free.
///
///     const fusebox::RetryBudget budget{{.ratio = 0.1}};
///     fusebox::Retry reads{{}, {.budget = budget}};
///     fusebox::Hedge searches{pool, {}, {.budget = budget}};   // the same dependency, the same budget
class RetryBudget {
public:
    /// Throws `InvalidConfig`. `clock` must outlive the budget.
    explicit RetryBudget(const RetryBudgetConfig& config = {}, const Clock& clock = steady_clock());

    /// A first attempt begins: it earns `ratio` of a retry.
    void record_request() const noexcept;
    /// Takes one retry, from the earned ones or else from this second's minimum. False: do not retry.
    [[nodiscard]] bool try_spend() const noexcept;
    /// Earned retries that are left, in whole ones.
    [[nodiscard]] std::uint32_t saved() const noexcept;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace fusebox
