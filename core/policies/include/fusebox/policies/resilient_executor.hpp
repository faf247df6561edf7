// A breaker with one of three ready-made answers to failure, chosen at run time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/fallback.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/retry.hpp>

namespace fusebox {

/// What a `ResilientExecutor<T>` does when a call is refused or fails. A value; from a configuration file or from code.
template <class T>
class ResilienceStrategy {
public:
    /// The breaker's answer as it is.
    [[nodiscard]] static ResilienceStrategy fail_fast() { return ResilienceStrategy{FailFast{}}; }
    /// `value` in place of a call that the breaker refused; the operation's own errors stay.
    [[nodiscard]] static ResilienceStrategy fallback(T value) { return ResilienceStrategy{Value{std::move(value)}}; }
    /// Up to `max_attempts` attempts, each through the breaker, with a pause of `backoff` that doubles from one to the
    /// next. Ends at once when the breaker refuses.
    [[nodiscard]] static ResilienceStrategy retry_with_breaker(std::uint32_t max_attempts, Duration backoff) {
        RetryConfig config{.max_attempts = max_attempts, .delay = backoff};
        config.max_delay = std::max(config.max_delay, backoff);
        return retry_with_breaker(config);
    }
    [[nodiscard]] static ResilienceStrategy retry_with_breaker(const RetryConfig& config) {
        return ResilienceStrategy{config};
    }

private:
    template <class U>
    friend class ResilientExecutor;
    struct FailFast {};
    struct Value {
        T value;
    };
    using Kind = std::variant<FailFast, Value, RetryConfig>;
    explicit ResilienceStrategy(Kind kind) : kind_(std::move(kind)) {}
    Kind kind_;
};

/// Runs operations that give a `T` through a breaker, by one strategy.
///
/// A handle: copies share breaker and retry budget. Thread contract: any thread at any time.
///
///     using Strategy = fusebox::ResilienceStrategy<std::string>;
///     fusebox::ResilientExecutor<std::string> executor{breaker, Strategy::fallback("default_value")};
///     auto greeting = executor.execute([&] { return service.greeting(); });
template <class T>
class ResilientExecutor {
public:
    /// Throws `InvalidConfig` where the strategy's retry is badly configured. `retry` is used by `retry_with_breaker`
    /// alone.
    ResilientExecutor(std::shared_ptr<CircuitBreaker> breaker, ResilienceStrategy<T> strategy, RetryOptions retry = {})
        : plan_(make_plan(BreakerPolicy{std::move(breaker)}, std::move(strategy.kind_), std::move(retry))) {}

    /// `std::expected<T, CallError<E>>`; `op` is what `call_with` takes.
    template <class Op>
    auto execute(Op&& op, const CallContext& context = {}) const {
        return std::visit([&](const auto& pipeline) { return pipeline.call(std::forward<Op>(op), context); }, plan_);
    }

    [[nodiscard]] std::string describe() const {
        return std::visit([](const auto& pipeline) { return pipeline.describe(); }, plan_);
    }

private:
    using Strategy = ResilienceStrategy<T>;
    using FailFast = Pipeline<BreakerPolicy>;
    using WithFallback = Pipeline<Fallback<detail::Constant<T>>, BreakerPolicy>;
    using WithRetry = Pipeline<Retry<>, BreakerPolicy>;
    using Plan = std::variant<FailFast, WithFallback, WithRetry>;

    static Plan make_plan(BreakerPolicy breaker, typename Strategy::Kind kind, RetryOptions retry) {
        if (auto* value = std::get_if<typename Strategy::Value>(&kind)) {
            return WithFallback{fallback_value(std::move(value->value), FallbackOn::rejection, breaker), breaker};
        }
        if (const auto* config = std::get_if<RetryConfig>(&kind)) {
            return WithRetry{Retry<>{*config, std::move(retry)}, std::move(breaker)};
        }
        return FailFast{std::move(breaker)};
    }

    Plan plan_;
};

}  // namespace fusebox
