// What an operation takes and returns, worked out for `CircuitBreaker::call`.
#pragma once

#include <concepts>
#include <coroutine>
#include <exception>
#include <expected>
#include <functional>
#include <optional>
#include <stop_token>
#include <type_traits>
#include <utility>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/outcome.hpp>

namespace fusebox::detail {

/// True where argument-dependent look-up finds `Outcome outcome_of(const E&)`.
template <class E>
concept HasOutcomeOf = requires(const E& error) {
    { outcome_of(error) } -> std::convertible_to<Outcome>;
};

template <class Op>
inline constexpr bool takes_context = std::is_invocable_v<Op, const CallContext&>;

/// Calls `op(const CallContext&)` where it can be called so, with the context that `make_context` makes; else `op()`.
template <class Op, class MakeContext>
decltype(auto) invoke_operation(Op&& op, const MakeContext& make_context) {
    if constexpr (takes_context<Op>) {
        return std::invoke(std::forward<Op>(op), make_context());
    } else {
        static_assert(std::is_invocable_v<Op>, "an operation is called as op(const CallContext&) or op()");
        return std::invoke(std::forward<Op>(op));
    }
}

template <class T>
struct ExpectedShape {
    using Value = T;
    using Error = std::exception_ptr;
    static constexpr bool returns_expected = false;
};
template <class T, class E>
struct ExpectedShape<std::expected<T, E>> {
    using Value = T;
    using Error = E;
    static constexpr bool returns_expected = true;
};

/// True for what must be awaited before the operation has ended: a type with the members of an awaiter or with an
/// `operator co_await`, and the type of a coroutine, which may be awaitable only inside of its own kind
/// (`asio::awaitable`). False for a generator, which is read and not awaited.
template <class T>
concept MustBeAwaited =
    std::is_class_v<T> &&
    (requires(T& value) { value.await_ready(); } ||
     requires(T&& value) { static_cast<T&&>(value).operator co_await(); } ||
     requires(T&& value) { operator co_await(static_cast<T&&>(value)); } ||
     (requires { typename std::coroutine_traits<T>::promise_type; } && !requires(T& value) { value.begin(); }));

/// `Value` and `Error` of an operation: those of the `expected` it returns, or what it returns and `exception_ptr`.
template <class Op>
struct CallShape
    : ExpectedShape<
          std::remove_cvref_t<decltype(invoke_operation(std::declval<Op>(), std::declval<CallContext (*)()>()))>> {
    static_assert(!MustBeAwaited<typename CallShape::Value>,
                  "the operation returns an awaitable, which has not run when the operation returns: use "
                  "fusebox::co_call of <fusebox/policies/coroutine.hpp>");
    using Result = std::expected<typename CallShape::Value, typename CallShape::Error>;
};

}  // namespace fusebox::detail
