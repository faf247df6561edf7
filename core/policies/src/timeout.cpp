#include <fusebox/policies/timeout.hpp>

#include <fusebox/core/detail/validator.hpp>
#include <fusebox/text/duration.hpp>

namespace fusebox {

Timeout::Timeout(Duration limit, const Clock& clock) : clock_(&clock), limit_(limit) {
    detail::Validator validator;
    validator.within("limit", limit, Duration{1}, std::chrono::hours{24 * 3650});
    validator.finish("timeout");
}

std::string Timeout::describe() const { return "timeout(" + text::format_duration(limit_) + ")"; }

}  // namespace fusebox
