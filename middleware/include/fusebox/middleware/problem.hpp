// Errors as RFC 9457 problem details: the one shape of every error body.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/clock.hpp>
#include <fusebox/middleware/http.hpp>

namespace fusebox::middleware {

/// One field that is wrong.
struct FieldError {
    std::string field{};    ///< where: "alerts[3].labels.severity"; empty for the body as a whole
    std::string message{};  ///< what is wrong and what would be right
};

struct Problem {
    int status{};
    std::string detail{};  ///< one sentence about this occurrence; never a secret
    std::vector<FieldError> errors{};
    std::optional<Duration>
        retry_after{};  ///< becomes `Retry-After` (whole seconds, rounded up) and `retry_after_seconds`
};

/// How much of a problem is said; the rest is cut, at a code point, and the cut text ends in "…". Sizes are in bytes.
struct ProblemLimits {
    static constexpr std::size_t errors = 100;
    static constexpr std::size_t field = 200;
    static constexpr std::size_t message = 500;
    static constexpr std::size_t detail = 1000;
};

/// The standard's phrase: "Not Found". "Error" for a status that has none.
[[nodiscard]] std::string_view status_phrase(int status) noexcept;
/// Bounded as `ProblemLimits` say. `type` is about:blank and `title` the status phrase, as RFC 9457 §4.2.1 has it.
/// Invalid UTF-8 is replaced, never thrown at.
[[nodiscard]] Response problem_response(const Problem& problem);
[[nodiscard]] Response problem_response(int status, std::string detail);

}  // namespace fusebox::middleware
