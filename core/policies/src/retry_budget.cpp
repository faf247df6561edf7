// U1. `State::saved` is how many retries are saved, in millionths of a retry, from 0 to `State::most`. Each request
//     adds to it and each retry takes one whole retry from it, by a compare-and-swap; any thread does either.
// U2. No other data is published with `saved`, so all accesses are relaxed.
// U3. Where less than one retry is saved, a retry may take a token of `State::minimum`, which is a count of its own.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <fusebox/policies/retry_budget.hpp>
#include <optional>

#include <fusebox/core/detail/validator.hpp>
#include "token_bucket.hpp"

namespace fusebox {
namespace {

// One retry, in millionths (U1).
constexpr std::int64_t whole = 1'000'000;

const RetryBudgetConfig& checked(const RetryBudgetConfig& config) {
    detail::Validator validator;
    validator.within("ratio", config.ratio, 0, 1);
    validator.count("minimum_per_second", config.minimum_per_second, 0, 1'000'000);
    validator.count("max_tokens", config.max_tokens, 1, 1'000'000);
    validator.finish("retry budget");
    return config;
}

}  // namespace

struct RetryBudget::State {
    State(const RetryBudgetConfig& config, const Clock& clock_in)
        : clock(&clock_in), earned(std::llround(config.ratio * whole)), most(config.max_tokens * whole) {
        if (config.minimum_per_second > 0) {
            minimum.emplace(Duration{std::chrono::seconds{1}} / config.minimum_per_second, config.minimum_per_second,
                            clock->now());
        }
    }

    const Clock* clock;
    std::int64_t earned;  // by each request
    std::int64_t most;
    std::optional<detail::TokenBucket> minimum;     // U3
    alignas(64) std::atomic<std::int64_t> saved{};  // U1, U2
};

RetryBudget::RetryBudget(const RetryBudgetConfig& config, const Clock& clock)
    : state_(std::make_shared<State>(checked(config), clock)) {}

void RetryBudget::record_request() const noexcept {
    auto saved = state_->saved.load(std::memory_order_relaxed);  // U2
    // Where few calls are retried the budget is full, and this is one load of a cache line that no thread writes to.
    while (saved < state_->most) {
        const auto more = std::min(saved + state_->earned, state_->most);
        if (more == saved || state_->saved.compare_exchange_weak(saved, more, std::memory_order_relaxed)) return;
    }
}

bool RetryBudget::try_spend() const noexcept {
    auto saved = state_->saved.load(std::memory_order_relaxed);  // U2
    while (saved >= whole) {
        if (state_->saved.compare_exchange_weak(saved, saved - whole, std::memory_order_relaxed)) return true;
    }
    return state_->minimum && state_->minimum->take(state_->clock->now(), Duration::zero()) == Duration::zero();
}

std::uint32_t RetryBudget::saved() const noexcept {
    return static_cast<std::uint32_t>(state_->saved.load(std::memory_order_relaxed) / whole);
}

}  // namespace fusebox
