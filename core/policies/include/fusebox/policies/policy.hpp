// The one small interface that every policy has, and the call through a single policy.
#pragma once

#include <concepts>
#include <expected>
#include <string>
#include <type_traits>
#include <utility>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/policies/detail/operation_answer.hpp>

namespace fusebox {

namespace detail {
struct SampleError {};
struct SampleCall {
    std::expected<int, CallError<SampleError>> operator()(const CallContext&) const { return 0; }
};
}  // namespace detail

/// A policy wraps a call: `execute(context, next)` calls `next(inner context)` never, once or several times, and gives
/// an answer of the same type, `std::expected<T, CallError<E>>`. What a policy refuses by itself is a `Rejection`.
///
/// Policies are siblings and know nothing of each other: breaker, retry, timeout, bulkhead, rate limiter, hedge and
/// fallback are used alone with `call_with` or stacked in a `Pipeline`, which is a policy itself. Each is a handle:
/// copies are cheap and share one state (slots, permits, budget). Any thread may call any of them at any time.
///
/// A context and the policies that it passes through must read the same clock.
template <class P>
concept Policy = requires(const P& policy, const CallContext& context, detail::SampleCall& next) {
    { policy.execute(context, next) } -> std::same_as<std::expected<int, CallError<detail::SampleError>>>;
    /// One term for people: "timeout(2s)".
    { policy.describe() } -> std::convertible_to<std::string>;
};

/// True for a policy that may leave a call running when it returns (`static constexpr bool detaches_calls = true`). The
/// operation is then moved into shared ownership, and may be called from several threads at once.
template <class P>
inline constexpr bool detaches_calls = [] {
    if constexpr (requires { P::detaches_calls; }) {
        return bool{P::detaches_calls};
    } else {
        return false;
    }
}();

/// What the call inside a policy gives.
template <class Next>
using AnswerOf = std::remove_cvref_t<std::invoke_result_t<Next&, const CallContext&>>;

/// Calls `op` under one policy: `std::expected<T, CallError<E>>`.
///
/// `op` is what `CircuitBreaker::call` takes: called as `op(const CallContext&)` or `op()`, it returns
/// `std::expected<T, E>`, or `T` and throws (then `E` is `std::exception_ptr`), or already
/// `std::expected<T, CallError<E>>`. An operation that returns `expected` and throws all the same: the exception passes
/// through every policy, which settle and release what they hold. Nothing is allocated unless the policy detaches
/// calls.
///
///     fusebox::Bulkhead bulkhead{{.max_concurrent = 8}};
///     auto answer = fusebox::call_with(bulkhead, [&] { return client.fetch(key); });
template <Policy P, class Op>
auto call_with(const P& policy, Op&& op, const CallContext& context = {}) {
    if constexpr (detaches_calls<P>) {
        return policy.execute(context, detail::SharedOperation<std::decay_t<Op>>{std::forward<Op>(op)});
    } else {
        return policy.execute(context, detail::OperationRef<std::remove_reference_t<Op>>{op});
    }
}

}  // namespace fusebox
