// The words for errors of any type, for the one error that has to name two.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>

#include <fusebox/core/call_error.hpp>

namespace fusebox::detail {

/// `what()` of the exception, or "unknown exception".
[[nodiscard]] std::string exception_text(const std::exception_ptr& error);
[[nodiscard]] std::string timeout_text(const TimeoutError& error);

/// As good as the type allows: its text, `what()`, `message()`, `message`, `to_string`; else "operation failed".
template <class E>
[[nodiscard]] std::string error_text(const E& error) {
    if constexpr (std::is_same_v<E, std::exception_ptr>) {
        return exception_text(error);
    } else if constexpr (std::is_convertible_v<const E&, std::string_view>) {
        return std::string{std::string_view{error}};
    } else if constexpr (requires { std::string{error.what()}; }) {
        return std::string{error.what()};
    } else if constexpr (requires { std::string{error.message()}; }) {
        return std::string{error.message()};
    } else if constexpr (requires { std::string{error.message}; }) {
        return std::string{error.message};
    } else if constexpr (requires { std::string{to_string(error)}; }) {
        return std::string{to_string(error)};
    } else {
        return "operation failed";
    }
}

template <class E>
[[nodiscard]] std::string call_error_text(const CallError<E>& error) {
    struct Words {
        std::string operator()(const Rejection& rejection) const { return describe(rejection); }
        std::string operator()(const TimeoutError& timeout) const { return timeout_text(timeout); }
        std::string operator()(const InternalError& internal) const { return internal.message; }
        std::string operator()(const OperationFailed<E>& failed) const { return error_text(failed.error); }
    };
    return std::visit(Words{}, error.variant());
}

/// "FIRST; fallback failed: SECOND".
template <class E>
[[nodiscard]] std::string both_errors(const CallError<E>& error, const std::exception_ptr& fallback_error) {
    return call_error_text(error) + "; fallback failed: " + exception_text(fallback_error);
}

}  // namespace fusebox::detail
