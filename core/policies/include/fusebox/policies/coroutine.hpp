// A breaker around operations that are awaited, whatever coroutine type they use.
#pragma once

#include <optional>
#include <utility>

#include <fusebox/core/call_options.hpp>
#include <fusebox/core/circuit_breaker.hpp>

namespace fusebox {

/// What fusebox must know of a coroutine type: what `co_await` gives, and the same type around another value.
/// Specialize it where the value is not the first template argument, or where operations return an awaitable that is no
/// coroutine type:
///
///     template <>
///     struct fusebox::CoroutineTraits<my::Query> {
///         using Value = my::Rows;
///         template <class T>
///         using Rebind = my::Task<T>;  // can co_await a my::Query
///     };
template <class Awaitable>
struct CoroutineTraits;
template <template <class...> class Task, class T, class... Rest>
struct CoroutineTraits<Task<T, Rest...>> {
    using Value = T;
    template <class U>
    using Rebind = Task<U, Rest...>;
};

/// What a race against a timer gives.
template <class T>
struct RaceResult {
    /// The timer was first, and the call gave nothing.
    RaceResult() = default;
    /// What the call gave. A race that waits for its loser hands it over although `timer_was_first`: a value that came
    /// all the same (a write that was committed) then reaches the caller, flagged late (R33).
    //  Not an aggregate: GCC 12 destroys twice what is initialized in braces from a co_await.
    explicit RaceResult(T given, bool timer_was_first = false) : result(std::move(given)), timed_out(timer_was_first) {}

    std::optional<T> result{};
    bool timed_out{true};
};

/// No timer: the deadline is only handed down, and a call that ends after it is a timeout (R33).
struct NoRuntime {};

namespace detail {
template <class Op>
struct CoroutineShape;
/// The task that `co_call` gives: the operation's coroutine type around its answer.
template <class Op>
using CoroutineAnswer = typename CoroutineShape<Op>::template Task<typename CoroutineShape<Op>::Answer>;
}  // namespace detail

/// `CircuitBreaker::call` for an operation that is awaited (R35). It is a coroutine of the operation's own type: where
/// `op(const CallContext&)` or `op()` gives a `Task<T>`, this is a `Task<std::expected<T, CallError<E>>>`. For `T` and
/// `E` see `CircuitBreaker::call`; as in a pipeline, an operation that gives `CallError` already is not wrapped twice.
///
///     asio::awaitable<void> charge(fusebox::CircuitBreaker& breaker, Client& client, Card card) {
///         auto receipt = co_await fusebox::co_call(
///             breaker, [&](const fusebox::CallContext& context) { return client.charge(card, context); },
///             AsioRuntime{});
///         …
///
/// The breaker admits when the task begins to run (at the first await, where the type is lazy) and settles when the
/// operation has ended. A frame that is destroyed while it is suspended counts as abandoned, and its slot is free again
/// (R9); so does an exception that `race` or an `outcome_of` throws, which passes through.
///
/// **Time.** The context's deadline is that of `call`. With a `runtime` the call is raced against a timer:
///
/// - `runtime.race(Task<X> call, Duration time)` is awaited and gives a `RaceResult<X>`: starts both and takes the
///   first. `call` never throws. Called only where there is a deadline. Where the timer was first and the call brought
///   no value, the answer is `TimeoutError` and the breaker records a timeout.
/// - `runtime.cancelled()`, if there is one, is awaited after an error and gives a bool: whether this coroutine was
///   told to give up. Then the error is neutral, as it is after `options.stop`. What it throws counts as yes.
///
/// Without one, a hung operation hangs its caller. docs/coroutines.md has a runtime for standalone asio.
///
/// Lifetimes: `op` and `runtime` move into the frame, so a lambda that is itself a coroutine may capture, and take its
/// context by reference. `breaker`, `*options.late` and what `options.trace_id` views must outlive the coroutine.
/// Beyond its own frame, and one more where it races, it allocates nothing. Thread contract: may resume on any thread.
///
/// With GCC 12, which destroys twice what is initialized within a `co_await` without a constructor: give a name to a
/// lambda that captures by value, and to options with a stop token, before the `co_await`, or to the task.
template <class Op, class Runtime = NoRuntime>
[[nodiscard]] auto co_call(CircuitBreaker& breaker, Op op, Runtime runtime = {}, CallOptions options = {})
    -> detail::CoroutineAnswer<Op>;

}  // namespace fusebox

#include <fusebox/policies/detail/coroutine_call.hpp>
