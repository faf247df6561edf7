#include <algorithm>
#include <atomic>
#include <cmath>
#include <fusebox/policies/retry_budget.hpp>
#include <optional>

#include <fusebox/core/detail/validator.hpp>
#include "token_bucket.hpp"

namespace fusebox {
namespace {

// Saved retries are counted in millionths.
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
    std::optional<detail::TokenBucket> minimum;
    // relaxed throughout: the word is all there is, nothing else is published through it.
    alignas(64) std::atomic<std::int64_t> saved{};
};

RetryBudget::RetryBudget(const RetryBudgetConfig& config, const Clock& clock)
    : state_(std::make_shared<State>(checked(config), clock)) {}

void RetryBudget::record_request() const noexcept {
    auto saved = state_->saved.load(std::memory_order_relaxed);
    // In good times the budget is full: then this is one read of a line that nobody writes.
    while (saved < state_->most) {
        const auto more = std::min(saved + state_->earned, state_->most);
        if (more == saved || state_->saved.compare_exchange_weak(saved, more, std::memory_order_relaxed)) return;
    }
}

bool RetryBudget::try_spend() const noexcept {
    auto saved = state_->saved.load(std::memory_order_relaxed);
    while (saved >= whole) {
        if (state_->saved.compare_exchange_weak(saved, saved - whole, std::memory_order_relaxed)) return true;
    }
    return state_->minimum && state_->minimum->take(state_->clock->now(), Duration::zero()) == Duration::zero();
}

std::uint32_t RetryBudget::saved() const noexcept {
    return static_cast<std::uint32_t>(state_->saved.load(std::memory_order_relaxed) / whole);
}

}  // namespace fusebox
