// The words for errors of any type.
#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <type_traits>

namespace fusebox::detail {

/// `what()` of the exception, or "unknown exception".
[[nodiscard]] std::string exception_text(const std::exception_ptr& error);

/// As good as the type allows: its text, `what()`, `message()`, `message`, `to_string`, `describe`; else "operation
/// failed".
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

/// A text that is there already, as opposed to one that would have to be made.
template <class T>
concept TextInPlace = std::is_convertible_v<T, std::string_view> &&
                      (std::is_lvalue_reference_v<T> || std::is_same_v<T, std::string_view> || std::is_pointer_v<T>);

/// True where argument-dependent look-up finds `std::string_view message_of(const E&)`.
template <class E>
concept HasMessageOf = requires(const E& error) {
    { message_of(error) } -> TextInPlace;
};

/// `what()` of the exception, or nothing. Lives as long as the exception.
[[nodiscard]] std::string_view exception_view(const std::exception_ptr& error) noexcept;

template <class Text>
[[nodiscard]] std::string_view view_of(const Text& text) {
    if constexpr (std::is_pointer_v<Text>) {
        return text == nullptr ? std::string_view{} : std::string_view{text};
    } else {
        return text;
    }
}

/// The words of an error for a report, taken without taking memory: what `message_of` says where there is one, else its
/// text, `what()`, `message()`, `message` or `to_string` where that lies in place; else nothing. Lives as long as
/// `error`.
template <class E>
[[nodiscard]] std::string_view error_view(const E& error) {
    if constexpr (HasMessageOf<E>) {
        return view_of(message_of(error));
    } else if constexpr (std::is_same_v<E, std::exception_ptr>) {
        return exception_view(error);
    } else if constexpr (TextInPlace<const E&>) {
        return view_of(error);
    } else if constexpr (requires { requires TextInPlace<decltype(error.what())>; }) {
        return view_of(error.what());
    } else if constexpr (requires { requires TextInPlace<decltype(error.message())>; }) {
        return view_of(error.message());
    } else if constexpr (requires { requires TextInPlace<decltype((error.message))>; }) {
        return view_of(error.message);
    } else if constexpr (requires { requires TextInPlace<decltype(to_string(error))>; }) {
        return view_of(to_string(error));
    } else {
        return {};
    }
}

}  // namespace fusebox::detail
