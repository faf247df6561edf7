// The bodies of what is inline in a circuit breaker: quick admission and settlement, and the forms of a call.
#pragma once

#include <algorithm>
#include <exception>
#include <expected>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/detail/call_in_flight.hpp>
#include <fusebox/core/detail/call_shape.hpp>

namespace fusebox {

// ---- permits ----

inline Permit::~Permit() {
    if (breaker_ != nullptr) breaker_->abandon(admission_.copy());
}
inline std::uint64_t Permit::generation() const noexcept { return CircuitBreaker::generation_of(admission_.word); }
inline bool Permit::is_probe() const noexcept { return CircuitBreaker::state_of(admission_.word) == State::half_open; }

// ---- time ----

inline TimePoint CircuitBreaker::now() const noexcept { return by_steady_clock_ ? SteadyClock::read() : clock_->now(); }

inline TimePoint CircuitBreaker::end_of(const detail::Admission& admission, TimePoint deadline) const noexcept {
    return admission.started == unmeasured && deadline == no_deadline ? unmeasured : now();
}

inline TimePoint CircuitBreaker::deadline_of(const detail::Admission& admission, TimePoint limit) const noexcept {
    // relaxed: a number that stands for itself.
    const auto timeout = operation_timeout_.load(std::memory_order_relaxed);
    if (timeout == 0 || admission.started == unmeasured) return limit;
    return std::min(limit, admission.started + Duration{timeout});
}

// ---- admission ----

[[gnu::always_inline]] inline bool CircuitBreaker::admits_at_once(detail::Admission& admission) const noexcept {
    // acquire: pairs with the release in Impl::transition: a thread that sees a state sees what belongs to that state.
    admission.word = word_.load(std::memory_order_acquire);
    // relaxed: a call that misses the switch by a moment is only not watched.
    if (!admits_all(state_of(admission.word)) || watching_.load(std::memory_order_relaxed)) [[unlikely]]
        return false;
    // relaxed: a flag that stands for itself.
    admission.started = measuring_.load(std::memory_order_relaxed) ? now() : unmeasured;
    return true;
}

[[gnu::always_inline]] inline std::optional<Rejection> CircuitBreaker::admit(detail::Admission& admission) noexcept {
    if (admits_at_once(admission)) [[likely]]
        return std::nullopt;
    if (const auto left = reject_quickly(admission.word); left > Duration::zero()) {
        return std::optional<Rejection>{std::in_place, Rejection::Kind::circuit_open, State::open, left,
                                        generation_of(admission.word)};
    }
    auto acquired = acquire();
    if (acquired) {
        admission = acquired->release();
        return std::nullopt;
    }
    // Field by field: a copy in one piece would keep the rejection above in memory, too.
    const auto& refused = acquired.error();
    return std::optional<Rejection>{std::in_place, refused.kind, refused.state, refused.retry_after,
                                    refused.generation};
}

inline std::expected<Permit, Rejection> CircuitBreaker::try_acquire() noexcept {
    detail::Admission admission;
    if (const auto rejection = admit(admission)) [[unlikely]]
        return std::expected<Permit, Rejection>{std::unexpect, rejection->kind, rejection->state,
                                                rejection->retry_after, rejection->generation};
    return Permit{*this, admission};
}

// ---- settlement ----

inline void CircuitBreaker::settle(const detail::Admission& admission, Outcome outcome, TimePoint ended,
                                   std::string_view trace_id) noexcept {
    if (outcome == Outcome::success && admission.ticket == 0 &&
        succeed_quickly(admission.word, admission.started, ended)) [[likely]] {
        return;
    }
    settle(admission.copy(), outcome, ended, Settlement{.trace_id = trace_id});
}

// ---- the forms of a call ----

template <class Error>
Outcome CircuitBreaker::classify(const Error& error) const {
    if constexpr (std::is_same_v<Error, std::exception_ptr>) {
        return classify_exception(error);
    } else if constexpr (detail::HasOutcomeOf<Error>) {
        return outcome_of(error);
    } else {
        return Outcome::failure;
    }
}

template <class Error>
Outcome CircuitBreaker::classify_inside(const CallError<Error>& error) const {
    if constexpr (std::is_same_v<Error, std::exception_ptr>) {
        if (const auto* own = error.operation_error()) return classify_exception(*own);
    }
    return outcome_of(error);
}

template <class Op, class Classify>
auto CircuitBreaker::call_guarded(Op&& op, Classify&& classify, TimePoint limit, const std::stop_token& stop,
                                  bool* late, std::string_view trace_id) {
    using Shape = detail::CallShape<Op>;
    using Value = typename Shape::Value;
    using Error = typename Shape::Error;
    using Answer = std::expected<Value, CallError<Error>>;

    detail::CallInFlight call{*this, detail::direct_call, late};
    if (const auto rejection = call.admit(limit)) [[unlikely]]
        return Answer{std::unexpect, *rejection};

    // No late flag in the context: a policy inside the operation does not make this call late.
    const auto context = [&] { return call.context(stop); };
    auto result = [&]() -> typename Shape::Result {
        try {
            if constexpr (Shape::returns_expected) {
                return detail::invoke_operation(std::forward<Op>(op), context);
            } else if constexpr (std::is_void_v<Value>) {
                detail::invoke_operation(std::forward<Op>(op), context);
                return {};
            } else {
                return typename Shape::Result{std::in_place, detail::invoke_operation(std::forward<Op>(op), context)};
            }
        } catch (...) {
            if constexpr (Shape::returns_expected) {
                call.end();
                call.settle_thrown(std::current_exception(), stop.stop_requested(), trace_id);
                throw;
            } else {
                return std::unexpected{std::current_exception()};
            }
        }
    }();
    call.end();
    const Outcome outcome = std::invoke(std::forward<Classify>(classify), std::as_const(result));
    if (result) [[likely]] {
        call.settle_value(outcome, trace_id);
    } else {
        call.settle_error(result.error(), stop.stop_requested(), [outcome] { return outcome; }, trace_id);
    }

    if (!result) return Answer{std::unexpect, OperationFailed<Error>{std::move(result).error()}};
    if constexpr (std::is_void_v<Value>) {
        return Answer{};
    } else {
        return Answer{std::in_place, *std::move(result)};
    }
}

// Without options none are made: reading back what was just written would cost as much as the rest of the call.
template <class Op>
auto CircuitBreaker::call(Op&& op) {
    return call_guarded(
        std::forward<Op>(op),
        [this](const auto& result) { return result ? Outcome::success : this->classify(result.error()); }, no_deadline,
        {}, nullptr, {});
}

template <class Op>
auto CircuitBreaker::call(Op&& op, const CallOptions& options) {
    return call_guarded(
        std::forward<Op>(op),
        [this](const auto& result) { return result ? Outcome::success : this->classify(result.error()); },
        options.deadline.value_or(no_deadline), options.stop, options.late, options.trace_id);
}

template <class Op, class Classify>
auto CircuitBreaker::call_classified(Op&& op, Classify&& classify, const CallOptions& options) {
    return call_guarded(std::forward<Op>(op), std::forward<Classify>(classify), options.deadline.value_or(no_deadline),
                        options.stop, options.late, options.trace_id);
}

template <class Op>
auto CircuitBreaker::run(Op&& op, const CallOptions& options) {
    using Shape = detail::CallShape<Op>;
    static_assert(!Shape::returns_expected,
                  "run is for operations that throw; use call for those that return expected");

    detail::CallInFlight call{*this, detail::direct_call, options.late};
    if (const auto rejection = call.admit(options.deadline.value_or(no_deadline))) throw CircuitOpenError{*rejection};
    const auto context = [&] { return call.context(options.stop); };
    try {
        if constexpr (std::is_void_v<typename Shape::Value>) {
            detail::invoke_operation(std::forward<Op>(op), context);
            call.end();
            call.settle_value(Outcome::success, options.trace_id);
        } else {
            typename Shape::Value value = detail::invoke_operation(std::forward<Op>(op), context);
            call.end();
            call.settle_value(Outcome::success, options.trace_id);
            return value;
        }
    } catch (...) {
        if (call.is_settled()) throw;  // only the value could not be handed on
        call.end();
        const auto error = std::current_exception();
        call.settle_error(
            error, options.stop.stop_requested(), [&] { return classify_exception(error); }, options.trace_id);
        throw;
    }
}

template <class Op, class Fallback>
auto CircuitBreaker::call_with_fallback(Op&& op, Fallback&& fallback, FallbackOn on, const CallOptions& options) {
    using Value = typename detail::CallShape<Op>::Value;
    auto answer = call(std::forward<Op>(op), options);
    if (answer || (on == FallbackOn::rejection && !answer.error().is_circuit_protection())) return answer;
    try {
        const auto run_fallback = [&]() -> decltype(auto) {
            if constexpr (std::is_invocable_v<Fallback, decltype(std::as_const(answer).error())>) {
                return std::invoke(std::forward<Fallback>(fallback), std::as_const(answer).error());
            } else {
                return std::invoke(std::forward<Fallback>(fallback));
            }
        };
        if constexpr (std::is_void_v<Value>) {
            run_fallback();
            answer.emplace();
        } else {
            // Built before the error goes, so that the handler below can still name that error.
            Value value = run_fallback();
            answer = std::move(value);
        }
    } catch (...) {
        record_fallback(true);
        return decltype(answer){std::unexpect,
                                InternalError{detail::both_errors(answer.error(), std::current_exception())}};
    }
    record_fallback(false);
    return answer;
}

}  // namespace fusebox
