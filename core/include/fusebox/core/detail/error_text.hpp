// The words for errors of any type.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <type_traits>

namespace fusebox::detail {

/// `what()` of the exception, or "unknown exception".
[[nodiscard]] std::string exception_text(const std::exception_ptr& error);

/// As good as the type allows: its text, `what()`, `message()`, `message`, `to_string`, `describe`; else "operation failed".
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
    } else if constexpr (requires { std::string{describe(error)}; }) {
        return std::string{describe(error)};
    } else {
        return "operation failed";
    }
}

}  // namespace fusebox::detail
