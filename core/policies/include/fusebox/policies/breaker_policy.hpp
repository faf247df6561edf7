// A circuit breaker as a policy among others.
#pragma once

#include <exception>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/policies/policy.hpp>

namespace fusebox {

/// `CircuitBreaker::call` for pipelines: admits the call inside, hands it the breaker's deadline, and settles the
/// permit by what the call and the policies inside gave:
///
/// - refused by a policy inside: neutral, and the permit is free again (the best-known way to wedge a breaker, contract
///   §14);
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
        detail::CallInFlight call{*breaker_, detail::policy_call, nullptr};
        if (const auto rejection = call.admit(context.deadline().value_or(call.no_deadline)))
            return AnswerOf<Next>{std::unexpect, *rejection};
        bool late_inside = false;
        const auto inner = context.tightened(breaker_->clock(), call.deadline()).with_late_flag(&late_inside);
        auto answer = [&]() -> AnswerOf<Next> {
            try {
                return next(inner);
            } catch (...) {
                // The context's late flag stays as it is: an exception is no answer that could be late.
                call.end(late_inside);
                call.settle_thrown(std::current_exception(), context.stop_requested(), trace_id);
                throw;
            }
        }();
        call.end(late_inside);
        if (call.is_late()) context.mark_late();
        call.settle_answer(answer, context.stop_requested(), trace_id);
        return answer;
    }

    [[nodiscard]] CircuitBreaker& breaker() const noexcept { return *breaker_; }
    /// Counts and reports, as `call_with_fallback` does, that a fallback stood in for a call of this breaker.
    void record_fallback(bool failed) const noexcept { detail::CallInFlight::record_fallback(*breaker_, failed); }
    [[nodiscard]] std::string describe() const { return "breaker(" + breaker_->name() + ")"; }

private:
    template <class Handler>
    friend class Fallback;
    BreakerPolicy() = default;  // without a breaker: a fallback that nobody counts

    std::shared_ptr<CircuitBreaker> breaker_;
};

}  // namespace fusebox
