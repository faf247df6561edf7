#include <fusebox/core/detail/error_text.hpp>

#include "text.hpp"

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

std::string timeout_text(const TimeoutError& error) { return "timed out after " + duration_text(error.after); }

}  // namespace fusebox::detail
