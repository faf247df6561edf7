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

}  // namespace fusebox::detail
