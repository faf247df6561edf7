#include <algorithm>
#include <atomic>
#include <fusebox/policies/rate_limiter.hpp>

#include <fusebox/core/detail/validator.hpp>
#include <fusebox/text/duration.hpp>
#include "token_bucket.hpp"

namespace fusebox {
namespace {

const RateLimiterConfig& checked(const RateLimiterConfig& config) {
    using namespace std::chrono_literals;
    detail::Validator validator;
    validator.count("permits", config.permits, 1, 1'000'000);
    validator.within("period", config.period, 1ms, 24h);
    validator.check(config.period >= Duration{100} * static_cast<Duration::rep>(config.permits), "permits",
                    std::to_string(config.permits) + " in " + text::format_duration(config.period),
                    "at most ten million a second");
    if (config.burst) validator.count("burst", *config.burst, 1, 1'000'000);
    validator.within("max_wait", config.max_wait, Duration::zero(), 24h);
    validator.finish("rate limiter");
    return config;
}

Duration interval_of(const RateLimiterConfig& config) {
    // Rounded up, so that the rate is never above what was asked for.
    return (config.period + Duration{config.permits - 1}) / static_cast<Duration::rep>(config.permits);
}

}  // namespace

struct RateLimiter::State {
    State(const RateLimiterConfig& config_in, RateLimiterOptions options_in)
        : config(config_in),
          options(options_in),
          bucket(interval_of(config), config.burst.value_or(config.permits), options.clock->now()) {}

    std::expected<Duration, Rejection> take(Duration patience) noexcept {
        const auto wait = bucket.take(options.clock->now(), patience);
        if (wait <= patience) return wait;
        return refuse(wait);
    }
    std::unexpected<Rejection> refuse(Duration retry_after) noexcept {
        rejected.fetch_add(1, std::memory_order_relaxed);  // relaxed: a counter that nothing depends on
        return std::unexpected{Rejection{.kind = Rejection::Kind::rate_limited, .retry_after = retry_after}};
    }

    const RateLimiterConfig config;
    const RateLimiterOptions options;
    alignas(64) detail::TokenBucket bucket;
    std::atomic<std::uint64_t> rejected{};
};

RateLimiter::RateLimiter(const RateLimiterConfig& config, RateLimiterOptions options)
    : state_(std::make_shared<State>(checked(config), options)) {}

std::expected<void, Rejection> RateLimiter::try_acquire() const noexcept {
    if (const auto taken = state_->take(Duration::zero()); !taken) return std::unexpected{taken.error()};
    return {};
}

std::expected<void, Rejection> RateLimiter::acquire(const CallContext& context) const {
    auto& state = *state_;
    auto patience = state.config.max_wait;
    if (patience > Duration::zero()) {
        if (const auto deadline = context.deadline()) {
            patience = std::clamp(*deadline - state.options.clock->now(), Duration::zero(), patience);
        }
    }
    const auto wait = state.take(patience);
    if (!wait) return std::unexpected{wait.error()};
    if (*wait > Duration::zero() && !state.options.sleeper->sleep(*wait, context.stop_token())) {
        state.bucket.give_back();
        return state.refuse(Duration::zero());
    }
    return {};
}

std::uint64_t RateLimiter::rejected() const noexcept { return state_->rejected.load(std::memory_order_relaxed); }

std::string RateLimiter::describe() const {
    const auto& config = state_->config;
    auto text = "rate_limiter(" + std::to_string(config.permits) + " per " + text::format_duration(config.period);
    if (config.burst) text += ", burst " + std::to_string(*config.burst);
    if (config.max_wait > Duration::zero()) text += ", waits " + text::format_duration(config.max_wait);
    return text + ")";
}

}  // namespace fusebox
