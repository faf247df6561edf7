// Brings an operation, whatever it returns, into the one shape that policies compose: CallContext → expected<T,
// CallError<E>>.
#pragma once

#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/core/detail/call_shape.hpp>

namespace fusebox::detail {

template <class E>
struct OwnError {
    using Type = E;
    static constexpr bool is_lifted = false;
};
template <class E>
struct OwnError<CallError<E>> {
    using Type = E;
    static constexpr bool is_lifted = true;
};

/// What an operation that gives an `R` is lifted to.
template <class R>
using LiftedAnswer = std::expected<typename ExpectedShape<R>::Value,
                                   CallError<typename OwnError<typename ExpectedShape<R>::Error>::Type>>;

/// Lifts an `expected`: its own error becomes `OperationFailed`, a `CallError` is passed on.
template <class T, class E>
LiftedAnswer<std::expected<T, E>> lift_expected(std::expected<T, E> result) {
    using Answer = LiftedAnswer<std::expected<T, E>>;
    if constexpr (OwnError<E>::is_lifted) {
        return Answer{std::move(result)};
    } else {
        if (!result) return Answer{std::unexpect, OperationFailed<E>{std::move(result).error()}};
        if constexpr (std::is_void_v<T>) {
            return Answer{};
        } else {
            return Answer{std::in_place, *std::move(result)};
        }
    }
}

/// Calls `op` and lifts what it gives: a value stays a value, an own error or a thrown exception becomes
/// `OperationFailed`. An operation that gives `CallError` already (a call through another breaker, say) is passed on.
template <class Op>
auto invoke_lifted(Op& op, const CallContext& context) {
    using Shape = CallShape<Op&>;
    using Value = typename Shape::Value;

    const auto invoke = [&]() -> decltype(auto) {
        if constexpr (takes_context<Op&>) {
            return std::invoke(op, context);
        } else {
            return std::invoke(op);
        }
    };
    if constexpr (Shape::returns_expected) {
        return lift_expected(invoke());
    } else {
        using Answer = LiftedAnswer<Value>;
        try {
            if constexpr (std::is_void_v<Value>) {
                invoke();
                return Answer{};
            } else {
                return Answer{std::in_place, invoke()};
            }
        } catch (...) {
            return Answer{std::unexpect, OperationFailed{std::current_exception()}};
        }
    }
}

/// Lifts an operation that outlives the call.
template <class Op>
class LiftedRef {
public:
    explicit LiftedRef(Op& op) noexcept : op_(&op) {}
    auto operator()(const CallContext& context) const { return invoke_lifted(*op_, context); }

private:
    Op* op_;
};

/// Owns the operation together with its copies, for calls that may outlive the one that started them.
template <class Op>
class LiftedShared {
public:
    explicit LiftedShared(Op op) : op_(std::make_shared<Op>(std::move(op))) {}
    auto operator()(const CallContext& context) const { return invoke_lifted(*op_, context); }

private:
    std::shared_ptr<Op> op_;
};

}  // namespace fusebox::detail
