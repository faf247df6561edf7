// Errors as RFC 9457 problem details: the one shape of every error body.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/clock.hpp>
#include <fusebox/middleware/http.hpp>

namespace fusebox::middleware {

/// One field that is wrong.
struct FieldError {
    std::string field;    ///< where: "alerts[3].labels.severity"; empty for the body as a whole
    std::string message;  ///< what is wrong and what would be right
};

struct Problem {
    int status{};
    std::string detail;  ///< one sentence about this occurrence; never a secret
    std::vector<FieldError> errors{};
    std::optional<Duration>
        retry_after{};  ///< becomes `Retry-After` (whole seconds, rounded up) and `retry_after_seconds`
};

/// The standard's phrase: "Not Found". "Error" for a status that has none.
[[nodiscard]] std::string_view status_phrase(int status) noexcept;
/// `type` is about:blank and `title` the status phrase, as RFC 9457 §4.2.1 has it. Invalid UTF-8 is replaced, never
/// thrown at.
[[nodiscard]] Response problem_response(const Problem& problem);
[[nodiscard]] Response problem_response(int status, std::string detail);

}  // namespace fusebox::middleware
