// A circuit breaker as a policy among others.
#pragma once

#include <exception>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/policies/policy.hpp>

namespace fusebox {

/// `CircuitBreaker::call` for pipelines: admits the call inside, hands it the breaker's deadline, and settles the permit by
/// what the call and the policies inside gave:
///
/// - refused by a policy inside: neutral, and the permit is free again (the best-known way to wedge a breaker, contract §14);
/// - ended after its deadline, or `TimeoutError`: a timeout (R33), unless the call never began;
/// - stopped by its stop token: an error is neutral, since it was the caller who gave up;
/// - else as `CircuitBreaker::call` judges.
///
/// The hint of the error (R29) and its words (R40) are taken as `CircuitBreaker::call` takes them.
///
/// A handle. Thread contract: any thread at any time.
///
///     fusebox::Pipeline guarded{fusebox::BreakerPolicy{breaker}, fusebox::Timeout{2s}};
class BreakerPolicy {
public:
    explicit BreakerPolicy(std::shared_ptr<CircuitBreaker> breaker) : breaker_(std::move(breaker)) {}
    /// `breaker` must outlive the policy and its copies.
    explicit BreakerPolicy(CircuitBreaker& breaker) : breaker_(std::shared_ptr<CircuitBreaker>{}, &breaker) {}

    /// `trace_id` is for the reports, as that of `CallOptions` (R40).
    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next, std::string_view trace_id = {}) const {
        auto permit = breaker_->try_acquire();
        if (!permit) return AnswerOf<Next>{std::unexpect, permit.error()};
        bool late = false;
        const auto inner = context.tightened(breaker_->clock(), permit->context().deadline()).with_late_flag(&late);
        auto answer = [&]() -> AnswerOf<Next> {
            try {
                return next(inner);
            } catch (...) {
                settle_thrown(*permit, std::current_exception(), late || passed(inner), context.stop_requested(),
                              trace_id);
                throw;
            }
        }();
        late = late || passed(inner);
        if (late) context.mark_late();
        settle(*permit, answer, late, context.stop_requested(), trace_id);
        return answer;
    }

    // ---- for callers that hold the permit themselves, such as coroutines ----
    /// Settles as `execute` does where the call gave `answer`. `late`: after its deadline; `stopped`: the caller had given up.
    template <class T, class E>
    void settle(Permit& permit, const std::expected<T, CallError<E>>& answer, bool late, bool stopped,
                std::string_view trace_id = {}) const {
        auto settlement = answer ? Settlement{} : detail::settlement_of(answer.error());
        settlement.trace_id = trace_id;
        const auto of_value = late ? Outcome::timeout : Outcome::success;
        permit.settle(answer ? of_value : judge(answer.error(), late, stopped), settlement);
    }
    /// Likewise where the call let an exception pass.
    static void settle_thrown(Permit& permit, const std::exception_ptr& error, bool late, bool stopped,
                              std::string_view trace_id = {}) {
        const auto outcome = stopped ? Outcome::ignored : Outcome::failure;
        auto settlement = detail::settlement_of(error);
        settlement.trace_id = trace_id;
        permit.settle(late ? Outcome::timeout : outcome, settlement);
    }

    [[nodiscard]] CircuitBreaker& breaker() const noexcept { return *breaker_; }
    /// Counts and reports, as `call_with_fallback` does, that a fallback stood in for a call of this breaker.
    void record_fallback(bool failed) const noexcept { breaker_->record_fallback(failed); }
    [[nodiscard]] std::string describe() const { return "breaker(" + breaker_->name() + ")"; }

private:
    template <class Handler>
    friend class Fallback;
    BreakerPolicy() = default;  // without a breaker: a fallback that nobody counts

    [[nodiscard]] bool passed(const CallContext& context) const noexcept {
        return context.deadline() && breaker_->clock().now() > *context.deadline();
    }
    template <class E>
    [[nodiscard]] Outcome judge(const CallError<E>& error, bool late, bool stopped) const {
        const auto* timeout = std::get_if<TimeoutError>(&error.variant());
        if (error.is_circuit_protection() || (timeout != nullptr && !timeout->began)) return Outcome::ignored;
        if (late) return Outcome::timeout;
        if (stopped) return Outcome::ignored;
        if constexpr (std::is_same_v<E, std::exception_ptr>) {
            if (const auto* own = error.operation_error()) return breaker_->judge_exception(*own);
        }
        return outcome_of(error);
    }

    std::shared_ptr<CircuitBreaker> breaker_;
};

}  // namespace fusebox
