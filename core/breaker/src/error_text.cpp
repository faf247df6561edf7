#include <fusebox/core/detail/error_text.hpp>

namespace fusebox::detail {

std::string exception_text(const std::exception_ptr& error) {
    if (error == nullptr) return "unknown exception";
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return exception.what();
    } catch (...) {
        return "unknown exception";
    }
}

std::string_view exception_view(const std::exception_ptr& error) noexcept {
    if (error == nullptr) return {};
    try {
        std::rethrow_exception(error);
    } catch (const std::exception& exception) {
        return exception.what();  // of the object that `error` keeps alive
    } catch (...) {
        return {};
    }
}

}  // namespace fusebox::detail
