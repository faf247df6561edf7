// Gives every operation's answer the one form that policies compose, whatever the operation returns:
// `std::expected<T, CallError<E>>`.
#pragma once

#include <exception>
#include <expected>
#include <memory>
#include <type_traits>
#include <utility>

#include <fusebox/core/call_context.hpp>
#include <fusebox/core/call_error.hpp>
#include <fusebox/core/detail/call_shape.hpp>

namespace fusebox::detail {

/// The operation's own error, where an operation returns `std::expected<T, E>`: `E`, or what a `CallError` holds.
template <class E>
struct OperationError {
    using Type = E;
    static constexpr bool is_call_error = false;
};
template <class E>
struct OperationError<CallError<E>> {
    using Type = E;
    static constexpr bool is_call_error = true;
};

/// The answer of an operation that returns an `R`.
template <class R>
using OperationAnswer = std::expected<typename ExpectedShape<R>::Value,
                                      CallError<typename OperationError<typename ExpectedShape<R>::Error>::Type>>;

/// The answer of an operation that returned `result`: its own error becomes `OperationFailed`, a `CallError` is
/// passed on.
template <class T, class E>
OperationAnswer<std::expected<T, E>> answer_of_expected(std::expected<T, E> result) {
    using Answer = OperationAnswer<std::expected<T, E>>;
    if constexpr (OperationError<E>::is_call_error) {
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

/// Calls `op(context)` where `op` takes a context, else `op()`; gives what `op` returns.
template <class Op>
decltype(auto) invoke_in(const CallContext& context, Op& op) {
    return invoke_operation(op, [&]() -> const CallContext& { return context; });
}

/// Calls `op` and gives its answer: a value stays a value, an own error or a thrown exception becomes
/// `OperationFailed`. An operation that gives `CallError` already (a call through another breaker, say) is passed on.
template <class Op>
auto answer_of_operation(Op& op, const CallContext& context) {
    using Shape = CallShape<Op&>;
    using Value = typename Shape::Value;

    if constexpr (Shape::returns_expected) {
        return answer_of_expected(invoke_in(context, op));
    } else {
        using Answer = OperationAnswer<Value>;
        try {
            if constexpr (std::is_void_v<Value>) {
                invoke_in(context, op);
                return Answer{};
            } else {
                return Answer{std::in_place, invoke_in(context, op)};
            }
        } catch (...) {
            return Answer{std::unexpect, OperationFailed{std::current_exception()}};
        }
    }
}

/// For a policy to call: gives the answer of an operation that outlives the call.
template <class Op>
class OperationRef {
public:
    explicit OperationRef(Op& op) noexcept : op_(&op) {}
    auto operator()(const CallContext& context) const { return answer_of_operation(*op_, context); }

private:
    Op* op_;
};

/// The same with the operation in shared ownership, for attempts that may outlive the call that started them.
template <class Op>
class SharedOperation {
public:
    explicit SharedOperation(Op op) : op_(std::make_shared<Op>(std::move(op))) {}
    auto operator()(const CallContext& context) const { return answer_of_operation(*op_, context); }

private:
    std::shared_ptr<Op> op_;
};

}  // namespace fusebox::detail
