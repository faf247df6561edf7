// Starts a second attempt when the first is slow, and takes whichever answers first.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <fusebox/core/clock.hpp>
#include <fusebox/policies/executor.hpp>
#include <fusebox/policies/policy.hpp>
#include <fusebox/policies/retry_budget.hpp>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {

struct HedgeConfig {
    /// Without an answer for this long another attempt starts; above 0, at most 1 day; default 100 ms. A good value is
    /// the 95th percentile of the dependency's response time.
    Duration delay{std::chrono::milliseconds{100}};
    std::uint32_t max_hedges{1};  ///< attempts beside the first; 1 … 10; default 1
    bool operator==(const HedgeConfig&) const = default;
};

/// What a hedge is built with besides its configuration. All optional.
struct HedgeOptions {
    /// Pays for every attempt but the first; shared with whatever retries calls to this dependency. Default: one of its
    /// own, with a ratio of 0.1 and the budget's other defaults.
    std::optional<RetryBudget> budget{};
    const Clock* clock{&steady_clock()};  ///< must outlive the policy
    Sleeper* sleeper{&system_sleeper()};  ///< must outlive the policy
};

/// Since the policy was made.
struct HedgeMetrics {
    std::uint64_t hedges{};       ///< attempts beside the first
    std::uint64_t hedge_wins{};   ///< calls that one of those answered
    std::uint64_t over_budget{};  ///< calls that could not hedge because the budget had nothing left
    std::uint64_t no_room{};      ///< attempts that the executor had no room for
};

/// Cuts the slowest calls short: without an answer after `delay`, calls a second time beside the first, as long as the
/// budget allows, and gives the first value. An error is given only when no attempt is left: that of the earliest one.
/// Only for operations that may be made twice.
///
/// Every attempt runs on the executor. The operation is shared by them: it must be safe to call from several threads at
/// once, and what it refers to must live until the last attempt has ended, which can be after the call has returned.
/// Losers are told to stop through the stop token of their context; their answers are dropped. A `BreakerPolicy` inside
/// sees each attempt: a loser that ends with an error once it was told to stop is neutral, one that brings a value is a
/// success.
///
/// Gives `bulkhead_full` where the executor has no room for the first attempt, `TimeoutError` at the context's
/// deadline, and `InternalError` where the caller's stop token ended the wait, without waiting for attempts that go on.
/// Where no attempt got a thread until the deadline (`began` is false) none ever runs, and a breaker outside takes it
/// as neutral.
///
/// A handle. Thread contract: any thread at any time, but for a thread of the executor: waiting there for an attempt
/// that needs a thread can wait for ever.
///
///     fusebox::ThreadPool pool{{.threads = 8}};
///     fusebox::Hedge hedge{pool, {.delay = 50ms}};
///     auto answer = fusebox::call_with(
///         hedge, [client, key](const fusebox::CallContext& context) { return client->get(key, context); });
class Hedge {
public:
    static constexpr bool detaches_calls = true;

    /// Throws `InvalidConfig`. `executor` must outlive the policy and its calls.
    explicit Hedge(Executor& executor, const HedgeConfig& config = {}, HedgeOptions options = {});

    /// `next` is moved into the attempts and may be called after `execute` has returned.
    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const;

    [[nodiscard]] HedgeMetrics metrics() const noexcept;
    [[nodiscard]] std::string describe() const;

private:
    // Defined in detail/hedge_call.hpp.
    struct State;
    template <class Next>
    class Call;

    std::shared_ptr<State> state_;
};

}  // namespace fusebox

#include <fusebox/policies/detail/hedge_call.hpp>
