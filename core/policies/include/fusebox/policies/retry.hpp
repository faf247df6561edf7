// Tries again what may succeed the second time, without making an overload worse.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/detail/retry_hint.hpp>
#include <fusebox/policies/policy.hpp>
#include <fusebox/policies/retry_budget.hpp>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {

/// The pause before attempt n + 1 is `delay` × `multiplier`^(n−1), spread by ± `jitter` and never above `max_delay`; or
/// the dependency's own hint (`retry_after_of`) where that is longer.
struct RetryConfig {
    std::uint32_t max_attempts{3};                       ///< with the first; 1 … 100; default 3
    Duration delay{std::chrono::milliseconds{100}};      ///< before the second attempt; 0 … 1 day; default 100 ms
    double multiplier{2.0};                              ///< growth from pause to pause; 1 (fixed) … 100; default 2
    Duration max_delay{std::chrono::seconds{10}};        ///< ≥ delay, at most 1 day; default 10 s
    double jitter{0.2};                                  ///< spread of ± this ratio; [0, 1]; default 0.2
    Duration max_retry_after{std::chrono::seconds{60}};  ///< a longer hint ends the call; 0 … 1 day; default 60 s
    bool operator==(const RetryConfig&) const = default;
};

/// What a retry is built with besides its configuration. All optional.
struct RetryOptions {
    /// Shared with whatever else retries calls to this dependency; default: one of its own, with the budget's defaults.
    std::optional<RetryBudget> budget{};
    const Clock* clock{&steady_clock()};  ///< must outlive the policy
    Sleeper* sleeper{&system_sleeper()};  ///< must outlive the policy
    std::optional<std::uint64_t> seed{};  ///< of the jitter; default: random
};

/// Since the policy was made.
struct RetryMetrics {
    std::uint64_t retries{};      ///< attempts after the first
    std::uint64_t exhausted{};    ///< calls that failed with their last attempt
    std::uint64_t over_budget{};  ///< calls that failed because the budget had no retry left
    std::uint64_t out_of_time{};  ///< calls that failed because the pause would have passed their deadline or
                                  ///< `max_retry_after`, or because they were stopped
};

/// The default predicate: every failure and every timeout, as `outcome_of(const E&)` judges them; nothing that it calls
/// `ignored`.
struct RetryFailures {
    template <class E>
    bool operator()(const CallError<E>& error) const {
        const auto outcome = outcome_of(error);
        return outcome == Outcome::failure || outcome == Outcome::timeout;
    }
};

namespace detail {

/// What of a retry does not depend on the error's type: whether there is another attempt, and the pause before it.
class RetryPacer {
public:
    RetryPacer(const RetryConfig& config, RetryOptions options);
    /// Of each call, once: pays into the budget.
    void record_request() const noexcept;
    /// Waits before the next attempt. False: give up, `attempt` was the last one.
    [[nodiscard]] bool pause_after(std::uint32_t attempt, std::optional<Duration> hint,
                                   const CallContext& context) const;
    [[nodiscard]] RetryMetrics metrics() const noexcept;
    [[nodiscard]] std::string describe() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace detail

/// Calls again after a failure, up to `max_attempts` times, until an answer is a value or not worth another attempt.
/// Gives the last answer.
///
/// - Never retries a rejection, of whatever policy: who protects a dependency must not be argued with.
/// - Never sleeps past the context's deadline: where the pause would, it gives up at once. A stop request ends the
///   pause.
/// - Never exceeds the budget (`RetryBudget`).
/// - `InternalError` and exceptions of operations that return `expected` are not retried.
///
/// `predicate(const CallError<E>&)` or `predicate(const E&)` says which errors are worth another attempt; the second
/// form is asked about the operation's own errors, and timeouts are retried. It may be called from several threads at
/// once.
///
/// A handle: copies share budget, jitter and metrics. Thread contract: any thread at any time.
///
///     const auto passing = [](const HttpError& error) { return error.status >= 500; };
///     fusebox::Retry retry{{.max_attempts = 4}, {.budget = budget}, passing};
template <class Predicate = RetryFailures>
class Retry {
public:
    /// Throws `InvalidConfig`.
    explicit Retry(const RetryConfig& config = {}, RetryOptions options = {}, Predicate predicate = {})
        : pacer_(config, std::move(options)), predicate_(std::move(predicate)) {}

    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const {
        pacer_.record_request();
        for (std::uint32_t attempt = 1;; ++attempt) {
            auto answer = next(context);
            if (answer || !wants_retry(answer.error())) return answer;
            if (!pacer_.pause_after(attempt, detail::retry_hint(answer.error()), context)) return answer;
        }
    }

    [[nodiscard]] RetryMetrics metrics() const noexcept { return pacer_.metrics(); }
    [[nodiscard]] std::string describe() const { return pacer_.describe(); }

private:
    template <class E>
    [[nodiscard]] bool wants_retry(const CallError<E>& error) const {
        const auto* own = error.operation_error();
        if (own == nullptr && !std::holds_alternative<TimeoutError>(error.variant())) return false;
        if constexpr (std::predicate<const Predicate&, const CallError<E>&>) {
            return predicate_(error);
        } else if constexpr (std::predicate<const Predicate&, const E&>) {
            return own == nullptr || predicate_(*own);
        } else {
            // A pipeline is checked with an error type of its own; the predicate need not know that one.
            static_assert(std::is_same_v<E, detail::SampleError>,
                          "the predicate of a retry takes const CallError<E>& or const E&");
            return false;
        }
    }

    detail::RetryPacer pacer_;
    Predicate predicate_;
};

}  // namespace fusebox
