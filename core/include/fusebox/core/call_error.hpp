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
#include <fusebox/core/state.hpp>

namespace fusebox {

/// Why admission was refused. Trivially copyable: a rejection allocates nothing (R6).
struct Rejection {
    enum class Kind : std::uint8_t {
        circuit_open,     ///< open or forced open
        too_many_probes,  ///< half-open, and every probe slot is taken
    };
    Kind kind{};
    State state{};
    /// Time until a probe may be admitted; zero when unknown (forced open, no free probe slot).
    Duration retry_after{};
    std::uint64_t generation{};
};
/// `circuit_open` or `too_many_probes`.
[[nodiscard]] std::string_view to_string(Rejection::Kind kind) noexcept;
/// One sentence for people: "circuit is open, retry after 12.5 s".
[[nodiscard]] std::string describe(const Rejection& rejection);

/// The call did not finish in time.
struct TimeoutError {
    Duration after{};
};
/// fusebox itself could not do its part (a fallback that failed says both errors here).
struct InternalError {
    std::string message;
};
/// The operation ran and failed with its own error.
template <class E>
struct OperationFailed {
    E error;
};

/// The error side of `CircuitBreaker::call`. A closed set: `std::visit(error.variant(), …)` sees every case.
template <class E>
class CallError {
public:
    using Variant = std::variant<Rejection, TimeoutError, OperationFailed<E>, InternalError>;

    CallError(Rejection rejection) : variant_(rejection) {}                // NOLINT(google-explicit-constructor)
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
    /// True where the dependency, not the breaker, is to blame: the operation failed, timed out or broke internally.
    [[nodiscard]] bool counts_as_failure() const noexcept { return !is_circuit_protection(); }
    /// True where the breaker refused and the operation never ran.
    [[nodiscard]] bool is_circuit_protection() const noexcept { return std::holds_alternative<Rejection>(variant_); }

private:
    Variant variant_;
};

/// Thrown by the throwing form (`CircuitBreaker::run`) when the breaker refuses.
class CircuitOpenError : public std::runtime_error {
public:
    explicit CircuitOpenError(const Rejection& rejection);
    [[nodiscard]] const Rejection& rejection() const noexcept { return rejection_; }

private:
    Rejection rejection_;
};

}  // namespace fusebox
