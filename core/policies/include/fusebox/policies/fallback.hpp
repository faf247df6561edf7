// Answers in place of a call that was refused or failed.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/policy.hpp>

namespace fusebox {

/// Where the call inside gives an error that `on` covers, answers with `handler(const CallError<E>&)` or `handler()`,
/// which returns a `T` (nothing, for calls without a value). A handler that throws gives `InternalError` naming both
/// errors.
///
/// Usually the outermost policy: what it hides, nobody outside sees.
/// Given a breaker, that one counts and reports each fallback (R36), as `CircuitBreaker::call_with_fallback` does.
///
/// A value: copies have handlers of their own. Thread contract: any thread at any time, and so must `handler` be.
///
///     fusebox::Fallback cached{[&] { return cache.last_known(); }, fusebox::FallbackOn::any_failure};
template <class Handler>
class Fallback {
public:
    explicit Fallback(Handler handler, FallbackOn on = FallbackOn::rejection) : handler_(std::move(handler)), on_(on) {}
    Fallback(Handler handler, FallbackOn on, BreakerPolicy counted_by)
        : handler_(std::move(handler)), on_(on), counted_by_(std::move(counted_by)) {}

    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const {
        auto answer = next(context);
        if (answer || (on_ == FallbackOn::rejection && !answer.error().is_circuit_protection())) return answer;
        try {
            AnswerOf<Next> substitute{substitute_for(std::as_const(answer))};
            count(false);
            return substitute;
        } catch (...) {
            count(true);
            return AnswerOf<Next>{std::unexpect,
                                  InternalError{detail::both_errors(answer.error(), std::current_exception())}};
        }
    }

    [[nodiscard]] std::string describe() const {
        return on_ == FallbackOn::rejection ? "fallback(on rejection)" : "fallback(on any failure)";
    }

private:
    void count(bool failed) const noexcept {
        if (counted_by_.breaker_) counted_by_.record_fallback(failed);
    }
    template <class Answer>
    Answer substitute_for(const Answer& failed) const {
        using Error = typename Answer::error_type;
        if constexpr (std::is_invocable_v<const Handler&, const Error&>) {
            return answer_from<Answer>([&]() -> decltype(auto) { return std::invoke(handler_, failed.error()); });
        } else if constexpr (std::is_invocable_v<const Handler&>) {
            return answer_from<Answer>([&]() -> decltype(auto) { return std::invoke(handler_); });
        } else {
            check_sample<Answer>();
            return failed;
        }
    }
    template <class Answer, class Handle>
    static Answer answer_from(Handle&& handle) {
        using Value = typename Answer::value_type;
        using Given = std::invoke_result_t<Handle&>;
        if constexpr (std::is_void_v<Value>) {
            handle();
            return Answer{};
        } else if constexpr (std::is_convertible_v<Given, Value>) {
            return Answer{std::in_place, handle()};
        } else {
            check_sample<Answer>();
            return Answer{};
        }
    }
    // A pipeline is checked with an answer of its own; the handler need not know that one.
    template <class Answer>
    static void check_sample() {
        static_assert(std::is_same_v<Answer, AnswerOf<detail::SampleCall>>,
                      "the handler of a fallback takes const CallError<E>& or nothing and gives what the call gives");
    }

    Handler handler_;
    FallbackOn on_;
    BreakerPolicy counted_by_;
};

namespace detail {
template <class T>
struct Constant {
    const T& operator()() const { return value; }
    T value;
};
}  // namespace detail

/// A fallback that always answers with a copy of `value`.
template <class T>
[[nodiscard]] auto fallback_value(T value, FallbackOn on = FallbackOn::rejection) {
    return Fallback{detail::Constant<T>{std::move(value)}, on};
}
template <class T>
[[nodiscard]] auto fallback_value(T value, FallbackOn on, BreakerPolicy counted_by) {
    return Fallback{detail::Constant<T>{std::move(value)}, on, std::move(counted_by)};
}

}  // namespace fusebox
