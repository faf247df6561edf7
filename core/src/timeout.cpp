#include <fusebox/core/timeout.hpp>

#include "validator.hpp"

namespace fusebox {

Timeout::Timeout(Duration limit, const Clock& clock) : clock_(&clock), limit_(limit) {
    detail::Validator validator;
    validator.within("limit", limit, Duration{1}, std::chrono::hours{24 * 3650});
    validator.finish("timeout");
}

std::string Timeout::describe() const { return "timeout(" + detail::duration_text(limit_) + ")"; }

}  // namespace fusebox
