// A breaker around operations that are awaited, whatever coroutine type they use.
#pragma once

#include <exception>
#include <expected>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/core/detail/call_shape.hpp>
#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/detail/lift.hpp>

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

/// Calls `op` as `CircuitBreaker::call` does: gives what is to be awaited.
template <class Op>
decltype(auto) start_operation(Op& op, const CallContext& context) {
    if constexpr (takes_context<Op&>) {
        return std::invoke(op, context);
    } else {
        static_assert(std::is_invocable_v<Op&>, "an operation is called as op(const CallContext&) or op()");
        return std::invoke(op);
    }
}

/// The types of a call through `co_call`.
template <class Op>
struct CoroutineShape {
    using Awaitable = std::remove_cvref_t<decltype(start_operation(std::declval<Op&>(), std::declval<CallContext&>()))>;
    using Value = std::remove_cvref_t<typename CoroutineTraits<Awaitable>::Value>;
    using Answer = LiftedAnswer<Value>;
    template <class T>
    using Task = typename CoroutineTraits<Awaitable>::template Rebind<T>;

    /// What awaiting the operation came to.
    struct Result {
        std::optional<Answer> answer{};
        std::exception_ptr thrown{};  ///< by an operation that returns `expected`: passes through
        bool late{};                  ///< as a policy inside said

        template <class R>
        void take(R&& result) {
            if constexpr (ExpectedShape<Value>::returns_expected) {
                answer.emplace(lift_expected(std::forward<R>(result)));
            } else {
                answer.emplace(std::in_place, std::forward<R>(result));
            }
        }
        void take_exception() {
            if constexpr (ExpectedShape<Value>::returns_expected) {
                thrown = std::current_exception();
            } else {
                answer.emplace(std::unexpect, OperationFailed{std::current_exception()});
            }
        }
        [[nodiscard]] bool has_value() const noexcept { return answer && answer->has_value(); }
        [[nodiscard]] bool refused() const noexcept {
            return answer && !*answer && answer->error().is_circuit_protection();
        }
    };
};

/// The operation as a task of its own, which never throws. It owns what it uses, so that a race may leave it behind.
template <class Op>
auto co_attempt(Op op, CallContext context) ->
    typename CoroutineShape<Op>::template Task<typename CoroutineShape<Op>::Result> {
    typename CoroutineShape<Op>::Result result;
    const auto inner = context.with_late_flag(&result.late);
    try {
        if constexpr (std::is_void_v<typename CoroutineShape<Op>::Value>) {
            co_await start_operation(op, inner);
            result.answer.emplace();
        } else {
            result.take(co_await start_operation(op, inner));
        }
    } catch (...) {
        result.take_exception();
    }
    co_return result;
}

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
[[nodiscard]] auto co_call(CircuitBreaker& breaker, Op op, Runtime runtime = {}, CallOptions options = {}) ->
    typename detail::CoroutineShape<Op>::template Task<typename detail::CoroutineShape<Op>::Answer> {
    using Shape = detail::CoroutineShape<Op>;
    using Answer = typename Shape::Answer;

    detail::CallInFlight call{breaker, detail::policy_call, options.late};
    if (const auto rejection = call.admit(options.deadline.value_or(call.no_deadline)))
        co_return Answer{std::unexpect, *rejection};
    const auto context = call.context(options.stop);
    const auto time = context.remaining();

    std::optional<typename Shape::Result> result;
    bool timed_out = false;
    if constexpr (std::is_same_v<Runtime, NoRuntime>) {
        // As co_attempt, without a frame of its own.
        result.emplace();
        const auto inner = context.with_late_flag(&result->late);
        try {
            if constexpr (std::is_void_v<typename Shape::Value>) {
                co_await detail::start_operation(op, inner);
                result->answer.emplace();
            } else {
                result->take(co_await detail::start_operation(op, inner));
            }
        } catch (...) {
            result->take_exception();
        }
    } else if (!time) {
        result.emplace(co_await detail::co_attempt(std::move(op), context));
    } else {
        auto raced = co_await runtime.race(detail::co_attempt(std::move(op), context), *time);
        timed_out = raced.timed_out || !raced.result;
        result.emplace(raced.result ? *std::move(raced.result) : typename Shape::Result{});
    }

    call.end(timed_out || result->late);
    bool stopped = options.stop.stop_requested();
    if constexpr (requires { runtime.cancelled(); }) {
        if (!call.is_late() && !stopped && !result->has_value() && !result->refused()) {
            try {
                stopped = co_await runtime.cancelled();
            } catch (...) {
                stopped = true;
            }
        }
    }

    if (timed_out && !result->has_value() && !result->refused()) {
        result->thrown = nullptr;
        result->answer.emplace(std::unexpect, TimeoutError{*time});
    }
    if (result->thrown) {
        call.settle_thrown(result->thrown, stopped, options.trace_id);
        std::rethrow_exception(result->thrown);
    }
    call.settle_answer(*result->answer, stopped, options.trace_id);
    co_return *std::move(result->answer);
}

}  // namespace fusebox
