// How `co_call` runs: its types, the operation as a task, and the body of coroutine.hpp.
#pragma once

#include <exception>
#include <expected>
#include <optional>
#include <type_traits>
#include <utility>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/core/detail/call_in_flight.hpp>
#include <fusebox/core/detail/call_shape.hpp>
#include <fusebox/policies/coroutine.hpp>
#include <fusebox/policies/detail/operation_answer.hpp>

namespace fusebox {

namespace detail {

/// The types of a call through `co_call`.
template <class Op>
struct CoroutineShape {
    using Awaitable = std::remove_cvref_t<decltype(invoke_in(std::declval<CallContext&>(), std::declval<Op&>()))>;
    using Value = std::remove_cvref_t<typename CoroutineTraits<Awaitable>::Value>;
    using Answer = OperationAnswer<Value>;
    template <class T>
    using Task = typename CoroutineTraits<Awaitable>::template Rebind<T>;

    /// What awaiting the operation came to.
    struct AttemptResult {
        std::optional<Answer> answer{};
        std::exception_ptr thrown{};  ///< by an operation that returns `expected`: passes through
        bool late{};                  ///< as a policy inside said

        template <class R>
        void record_return(R&& result) {
            if constexpr (ExpectedShape<Value>::returns_expected) {
                answer.emplace(answer_of_expected(std::forward<R>(result)));
            } else {
                answer.emplace(std::in_place, std::forward<R>(result));
            }
        }
        void record_exception() {
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
auto operation_task(Op op, CallContext context) ->
    typename CoroutineShape<Op>::template Task<typename CoroutineShape<Op>::AttemptResult> {
    typename CoroutineShape<Op>::AttemptResult result;
    const auto inner = context.with_late_flag(&result.late);
    try {
        if constexpr (std::is_void_v<typename CoroutineShape<Op>::Value>) {
            co_await invoke_in(inner, op);
            result.answer.emplace();
        } else {
            result.record_return(co_await invoke_in(inner, op));
        }
    } catch (...) {
        result.record_exception();
    }
    co_return result;
}

}  // namespace detail

template <class Op, class Runtime>
auto co_call(CircuitBreaker& breaker, Op op, Runtime runtime, CallOptions options) -> detail::CoroutineAnswer<Op> {
    using Shape = detail::CoroutineShape<Op>;
    using Answer = typename Shape::Answer;

    detail::CallInFlight call{breaker, detail::policy_call, options.late};
    if (const auto rejection = call.admit(options.deadline.value_or(call.no_deadline)))
        co_return Answer{std::unexpect, *rejection};
    const auto context = call.context(options.stop);
    const auto time = context.remaining();

    std::optional<typename Shape::AttemptResult> result;
    bool timed_out = false;
    if constexpr (std::is_same_v<Runtime, NoRuntime>) {
        // As operation_task, without a frame of its own.
        result.emplace();
        const auto inner = context.with_late_flag(&result->late);
        try {
            if constexpr (std::is_void_v<typename Shape::Value>) {
                co_await detail::invoke_in(inner, op);
                result->answer.emplace();
            } else {
                result->record_return(co_await detail::invoke_in(inner, op));
            }
        } catch (...) {
            result->record_exception();
        }
    } else if (!time) {
        result.emplace(co_await detail::operation_task(std::move(op), context));
    } else {
        auto raced = co_await runtime.race(detail::operation_task(std::move(op), context), *time);
        timed_out = raced.timed_out || !raced.result;
        result.emplace(raced.result ? *std::move(raced.result) : typename Shape::AttemptResult{});
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
