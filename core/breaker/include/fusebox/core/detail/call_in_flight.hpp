// The protocol of a protected call, once for every form of it: admission, deadline, lateness, one settlement.
#pragma once

#include <exception>
#include <expected>
#include <optional>
#include <stop_token>
#include <string_view>

#include <fusebox/core/circuit_breaker.hpp>

namespace fusebox::detail {

/// Where the forms of a call differ: which errors are neutral before anybody looks at their lateness or asks a
/// classifier.
struct CallRules {
    /// R33: the error of a call that never reached the dependency is neutral, however late it is. Off: a late one is a
    /// timeout.
    bool unreached_is_neutral{};
    /// R9: an error in time is neutral once the caller has asked the call to stop. Off: the classifier decides.
    bool stopped_is_neutral{};
    /// The classifier is asked about every error, also where the outcome is known without it. Off: only where it
    /// decides.
    bool classifies_known_outcomes{};
};
/// `CircuitBreaker::call`, `call_classified`, `call_with_fallback`, `run`.
inline constexpr CallRules direct_call{.classifies_known_outcomes = true};
/// `BreakerPolicy`, `call_isolated`, `co_call`.
inline constexpr CallRules policy_call{.unreached_is_neutral = true, .stopped_is_neutral = true};

/// How an error counts that ended a call. `classify()` gives what the error says by itself.
template <class Error, class Classify>
[[nodiscard]] Outcome outcome_of_error(const CallRules& rules, const Error& error, bool late, bool stopped,
                                       const Classify& classify) {
    // Qualified, so that a function of that name beside the error's type is not asked.
    if (rules.unreached_is_neutral && detail::never_reached(error)) return Outcome::ignored;
    std::optional<Outcome> known;
    if (late) {
        known = Outcome::timeout;  // R33
    } else if (rules.stopped_is_neutral && stopped) {
        known = Outcome::ignored;  // R9
    }
    if (known && !rules.classifies_known_outcomes) return *known;
    const Outcome classified = classify();
    return known.value_or(classified);
}

/// One call that a breaker protects, from its admission to its settlement. One thread at a time; the breaker must
/// outlive it.
///
/// 1. Order: `admit`, then the operation, then `end`, then one of the `settle` functions. Nothing else may be called
///    before `admit` has admitted the call.
/// 2. The call is settled at most once. A call that is destroyed unsettled, by whatever exception, counts as abandoned
///    (R9).
/// 3. The clock is read once in `admit` and once in `end`, and only where the breaker measures or the call has a
///    deadline.
/// 4. The call is late if it ended after its deadline, or if a policy inside it says so (R33). Its settlement sets the
///    caller's flag.
/// 5. Nothing is allocated. A `CallContext` is made only when `context` is called.
/// 6. A success in time stays in registers: the members are inline and take no address of what they hold (see
///    `Admission`).
class CallInFlight {
public:
    /// `late_flag` may be null. It is cleared now, and must live until the call is settled.
    CallInFlight(CircuitBreaker& breaker, const CallRules& rules, bool* late_flag) noexcept
        : breaker_(breaker), rules_(rules), late_flag_(late_flag) {
        if (late_flag != nullptr) *late_flag = false;
    }
    CallInFlight(const CallInFlight&) = delete;
    CallInFlight& operator=(const CallInFlight&) = delete;
    ~CallInFlight() = default;  // see ~Permit

    static constexpr TimePoint no_deadline = CircuitBreaker::no_deadline;

    /// Asks the breaker for leave. Empty: the call is admitted, until `limit` or the configured deadline, whichever is
    /// earlier.
    [[nodiscard, gnu::always_inline]] std::optional<Rejection> admit(TimePoint limit) noexcept {
        Admission admission;
        if (const auto rejection = breaker_.admit(admission)) [[unlikely]] {
            return std::optional<Rejection>{std::in_place, rejection->kind, rejection->state, rejection->retry_after,
                                            rejection->generation};
        }
        permit_.breaker_ = &breaker_;
        permit_.admission_ = admission;
        deadline_ = breaker_.deadline_of(admission, limit);
        return std::nullopt;
    }

    [[nodiscard]] std::optional<TimePoint> deadline() const noexcept {
        return deadline_ == no_deadline ? std::nullopt : std::optional{deadline_};
    }
    /// For the operation to keep the deadline (R32).
    [[nodiscard]] CallContext context(const std::stop_token& stop) const {
        return breaker_.context_until(deadline_, stop);
    }

    /// The operation has ended. `late_inside`: a policy inside the call missed a deadline of its own.
    [[gnu::always_inline]] void end(bool late_inside = false) noexcept {
        ended_ = breaker_.end_of(permit_.admission_, deadline_);
        late_ = late_inside || ended_ > deadline_;
    }
    /// Only after `end`.
    [[nodiscard]] bool is_late() const noexcept { return late_; }
    [[nodiscard]] bool is_settled() const noexcept { return permit_.breaker_ == nullptr; }

    /// The operation gave a value, which says `outcome`.
    [[gnu::always_inline]] void settle_value(Outcome outcome, std::string_view trace_id) noexcept {
        tell_whether_late();
        breaker_.settle(permit_.release(), late_ ? Outcome::timeout : outcome, ended_, trace_id);
    }
    /// The operation gave an error; see `outcome_of_error`. What `classify` throws passes through.
    template <class Error, class Classify>
    void settle_error(const Error& error, bool stopped, const Classify& classify, std::string_view trace_id) {
        const auto outcome = outcome_of_error(rules_, error, late_, stopped, classify);
        tell_whether_late();
        auto settlement = settlement_of(error);
        settlement.trace_id = trace_id;
        breaker_.settle(permit_.release(), outcome, ended_, settlement);
    }
    /// An operation that returns `expected` threw; the exception is about to pass through.
    void settle_thrown(const std::exception_ptr& error, bool stopped, std::string_view trace_id) {
        settle_error(error, stopped, [] { return Outcome::failure; }, trace_id);
    }
    /// The call went through policies, or through something that gives what they give.
    template <class T, class E>
    void settle_answer(const std::expected<T, CallError<E>>& answer, bool stopped, std::string_view trace_id) {
        if (answer) return settle_value(Outcome::success, trace_id);
        settle_error(answer.error(), stopped, [&] { return breaker_.classify_inside(answer.error()); }, trace_id);
    }

    /// For the policies: a fallback stood in for a call of `breaker` (R36).
    static void record_fallback(CircuitBreaker& breaker, bool failed) noexcept { breaker.record_fallback(failed); }

private:
    void tell_whether_late() const noexcept {
        if (late_ && late_flag_ != nullptr) *late_flag_ = true;
    }

    CircuitBreaker& breaker_;
    const CallRules rules_;
    bool* const late_flag_;
    Permit permit_;
    TimePoint deadline_{};
    TimePoint ended_{};
    bool late_{};
};

}  // namespace fusebox::detail

#include <fusebox/core/detail/circuit_breaker_calls.hpp>
