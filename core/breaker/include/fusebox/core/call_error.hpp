// Why a protected call gave no value.
#pragma once

#include <cstdint>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/detail/error_text.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/state.hpp>

namespace fusebox {

/// Why admission was refused. Trivially copyable: a rejection allocates nothing (R6).
struct Rejection {
    enum class Kind : std::uint8_t {
        circuit_open,     ///< open or forced open
        too_many_probes,  ///< half-open, and every probe slot is taken
        bulkhead_full,    ///< every slot of the bulkhead or the pool is taken, and so is its queue
        rate_limited,     ///< the rate limiter has no permit left
    };
    Kind kind{};
    State state{};  ///< of the breaker; closed where another policy refused
    /// Time until the call may be admitted; zero when unknown (forced open, no free slot).
    Duration retry_after{};
    std::uint64_t generation{};
};
/// `circuit_open`, `too_many_probes`, `bulkhead_full` or `rate_limited`.
[[nodiscard]] std::string_view to_string(Rejection::Kind kind) noexcept;
/// One sentence for people: "circuit is open, retry after 12.5s".
[[nodiscard]] std::string describe(const Rejection& rejection);

/// The call did not finish in time.
struct TimeoutError {
    Duration after{};  ///< how long it was given, or was waited for
    /// False where all that time it stood in a queue on our side: the dependency was never asked, and no breaker blames
    /// it.
    bool began{true};
};
/// One sentence for people.
[[nodiscard]] std::string describe(const TimeoutError& timeout);
/// fusebox itself could not do its part (a fallback that failed says both errors here).
struct InternalError {
    std::string message;
};
/// The operation ran and failed with its own error.
template <class E>
struct OperationFailed {
    E error;
};

/// The error side of `CircuitBreaker::call` and of every policy. A value; a closed set of cases:
///
///     if (const auto* rejection = error.rejection()) return retry_later(rejection->retry_after);
///     if (const auto* own = error.operation_error()) return report(*own);
///     log(fusebox::describe(error));   // a timeout or an internal error
///
/// `std::visit(…, error.variant())` sees every case.
template <class E>
class CallError {
public:
    using Variant = std::variant<Rejection, TimeoutError, OperationFailed<E>, InternalError>;

    // Field by field: a copy in one would read back together what was just written apart, and wait for it.
    CallError(const Rejection& refused)  // NOLINT(google-explicit-constructor)
        : variant_(std::in_place_type<Rejection>, refused.kind, refused.state, refused.retry_after,
                   refused.generation) {}
    CallError(TimeoutError timeout) : variant_(timeout) {}                 // NOLINT(google-explicit-constructor)
    CallError(InternalError internal) : variant_(std::move(internal)) {}   // NOLINT(google-explicit-constructor)
    CallError(OperationFailed<E> failed) : variant_(std::move(failed)) {}  // NOLINT(google-explicit-constructor)

    [[nodiscard]] const Variant& variant() const& noexcept { return variant_; }
    [[nodiscard]] Variant&& variant() && noexcept { return std::move(variant_); }
    /// The rejection, or null when the operation ran.
    [[nodiscard]] const Rejection* rejection() const noexcept { return std::get_if<Rejection>(&variant_); }
    /// The operation's own error, or null.
    [[nodiscard]] const E* operation_error() const noexcept {
        const auto* failed = std::get_if<OperationFailed<E>>(&variant_);
        return failed ? &failed->error : nullptr;
    }
    /// True where the dependency, not the protection, is to blame: the operation failed, timed out or broke internally.
    [[nodiscard]] bool counts_as_failure() const noexcept { return !is_circuit_protection(); }
    /// True where the breaker or another policy refused and the operation never ran.
    [[nodiscard]] bool is_circuit_protection() const noexcept { return std::holds_alternative<Rejection>(variant_); }

private:
    Variant variant_;
};

/// One sentence for people. The operation's own error is as good as its type allows: its text, `what()`, `message()`,
/// `message`, `to_string`, `describe`; else "operation failed".
template <class E>
[[nodiscard]] std::string describe(const CallError<E>& error) {
    struct Words {
        std::string operator()(const Rejection& rejection) const { return describe(rejection); }
        std::string operator()(const TimeoutError& timeout) const { return describe(timeout); }
        std::string operator()(const InternalError& internal) const { return internal.message; }
        std::string operator()(const OperationFailed<E>& failed) const { return detail::error_text(failed.error); }
    };
    return std::visit(Words{}, error.variant());
}

namespace detail {
/// True where the call never reached the dependency: a policy refused it, or it waited on our side until its time was
/// over.
template <class E>
[[nodiscard]] constexpr bool never_reached(const E& /*error*/) noexcept {
    return false;
}
template <class E>
[[nodiscard]] bool never_reached(const CallError<E>& error) noexcept {
    const auto* timeout = std::get_if<TimeoutError>(&error.variant());
    return error.is_circuit_protection() || (timeout != nullptr && !timeout->began);
}
}  // namespace detail

/// What an error says about the health of the dependency, for a breaker around a call that is protected already: a
/// refusal says nothing (a permit must never be lost to it, contract §14), the rest is judged as the breaker would.
template <class E>
[[nodiscard]] Outcome outcome_of(const CallError<E>& error) {
    if (detail::never_reached(error)) return Outcome::ignored;
    if (std::holds_alternative<TimeoutError>(error.variant())) return Outcome::timeout;
    if constexpr (requires(const E& own) { Outcome{outcome_of(own)}; }) {
        if (const auto* own = error.operation_error()) return outcome_of(*own);
    }
    return Outcome::failure;
}

namespace detail {
/// "FIRST; fallback failed: SECOND".
template <class E>
[[nodiscard]] std::string both_errors(const CallError<E>& error, const std::exception_ptr& fallback_error) {
    return describe(error) + "; fallback failed: " + exception_text(fallback_error);
}
template <class E>
[[nodiscard]] std::string_view error_view(const CallError<E>& error) {
    if (const auto* own = error.operation_error()) return error_view(*own);
    if (const auto* internal = std::get_if<InternalError>(&error.variant())) return internal->message;
    return {};
}
}  // namespace detail

/// Thrown by the throwing form (`CircuitBreaker::run`) when the breaker refuses.
class CircuitOpenError : public std::runtime_error {
public:
    explicit CircuitOpenError(const Rejection& rejection);
    [[nodiscard]] const Rejection& rejection() const noexcept { return rejection_; }

private:
    Rejection rejection_;
};

}  // namespace fusebox
