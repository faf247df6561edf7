// Gives a call a deadline and says when it was missed.
#pragma once

#include <string>

#include <fusebox/core/clock.hpp>
#include <fusebox/policies/detail/late_error.hpp>
#include <fusebox/policies/policy.hpp>

namespace fusebox {

/// Tightens the context's deadline for the call inside (R32) and judges its answer by that deadline (R33): a late value
/// still reaches the caller, flagged through the context's late flag, and a breaker outside records a timeout; a late
/// error of the operation becomes `TimeoutError`. A late refusal stays a refusal: the operation never ran.
///
/// It does not interrupt: the operation is expected to keep the deadline of its context. For code that ignores
/// deadlines there is the isolated form (R34, `Isolate`).
///
/// A value. Thread contract: any thread at any time.
///
///     fusebox::Timeout timeout{std::chrono::seconds{2}};
class Timeout {
public:
    /// `limit` is above 0 and at most 10 years, or `InvalidConfig` is thrown. `clock` must outlive the policy.
    explicit Timeout(Duration limit, const Clock& clock = steady_clock());

    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const {
        const auto started = clock_->now();
        const auto inner = context.tightened(*clock_, started + limit_);
        auto answer = next(inner);
        if (clock_->now() <= *inner.deadline()) return answer;
        context.mark_late();
        detail::late_error_to_timeout(answer, *inner.deadline() - started);
        return answer;
    }

    [[nodiscard]] Duration limit() const noexcept { return limit_; }
    [[nodiscard]] std::string describe() const;

private:
    const Clock* clock_;
    Duration limit_;
};

}  // namespace fusebox
