// Runs calls on a bounded pool, so that code that ignores deadlines cannot hold its caller.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <fusebox/core/call_options.hpp>
#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/policies/executor.hpp>
#include <fusebox/policies/policy.hpp>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {

/// What an `Isolate` is built with besides its limit. All optional.
struct IsolateOptions {
    const Clock* clock{&steady_clock()};  ///< must outlive the policy and its calls
    Sleeper* sleeper{&system_sleeper()};  ///< must outlive the policy
};

/// The totals since the policy was made.
struct IsolateMetrics {
    std::uint32_t left_running{};  ///< now: calls that nobody waits for any more and that still hold a thread
    std::uint64_t timeouts{};      ///< callers that left at the deadline
    std::uint64_t never_began{};   ///< of them, those for whose call no thread came free until then
    std::uint64_t rejected{};      ///< calls for which the executor had no room, or that it never began before it ended
    std::uint64_t dropped_values{};  ///< values that came when the caller had left
    std::uint64_t dropped_errors{};  ///< errors and exceptions likewise
};

/// The isolated form of a call (R34; elsewhere: thread isolation, pessimistic timeout): the operation runs on an
/// executor, and the caller leaves at the deadline, whatever the operation does. The executor's size bounds how many
/// threads a dependency that hangs can hold. For code that keeps the deadline of its context, `Timeout` costs less.
///
/// The deadline is `limit` from now or that of the context, whichever is earlier; without either the call is waited
/// for without end. Gives
///
/// - `bulkhead_full` at once where the executor has no room: the operation does not run. An executor that ends refuses
///   what it has not begun likewise;
/// - `TimeoutError` at the deadline. While the operation runs, a breaker outside records a timeout then and there.
///   Where no thread came free until then (`began` is false) the operation never runs, and a breaker outside takes it
///   as neutral: who hangs is another one, perhaps another dependency's;
/// - `InternalError` where the caller's stop token ended the wait: neutral for a breaker outside.
///
/// Once the caller has left, the stop token of the operation's own context is triggered, so that code that looks at it
/// can end. What it still returns or throws is counted and dropped: a value that matters even when it is late belongs
/// in a call that is not isolated (R33). An answer that comes after the deadline but before the caller has left is
/// treated as `Timeout` does.
///
/// The operation is moved into shared ownership and may run on after the call has returned: what it refers to must live
/// until then. Where the caller got an answer, nothing of the operation is left on the executor.
///
/// A handle. Thread contract: any thread at any time, but for a thread of the executor: waiting there for a call that
/// needs a thread can wait for ever. The policy may be destroyed while calls run on; the executor must outlive the
/// calls that wait.
///
///     fusebox::ThreadPool pool{{.threads = 8, .queue_capacity = 0}};
///     fusebox::Isolate isolate{pool, 2s};
///     auto answer = fusebox::call_with(isolate, [library, key] { return library->look_up(key); });
class Isolate {
public:
    static constexpr bool detaches_calls = true;

    /// `limit` is above 0 and at most 10 years, or `InvalidConfig` is thrown; without one, only the context's deadline
    /// counts.
    explicit Isolate(Executor& executor, std::optional<Duration> limit = {}, IsolateOptions options = {});

    /// `next` is moved onto the executor.
    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const;

    [[nodiscard]] IsolateMetrics metrics() const noexcept;
    [[nodiscard]] std::string describe() const;

private:
    // Defined in detail/isolate_call.hpp.
    struct State;
    template <class Next>
    class Call;

    std::shared_ptr<State> state_;
};

/// `CircuitBreaker::call` in the isolated form: `std::expected<T, CallError<E>>`. The breaker's `operation_timeout` is
/// the deadline, unless `isolate` or `options` have an earlier one. The permit is settled when the caller gets its
/// answer: a timeout at the deadline, whatever the operation does later; neutral where it never ran or the caller
/// stopped it.
///
///     auto answer = fusebox::call_isolated(breaker, isolate, [library, key] { return library->look_up(key); });
template <class Op>
auto call_isolated(CircuitBreaker& breaker, const Isolate& isolate, Op&& op, const CallOptions& options = {});

}  // namespace fusebox

#include <fusebox/policies/detail/isolate_call.hpp>
