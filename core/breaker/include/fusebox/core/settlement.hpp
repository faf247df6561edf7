// What is known about a call that has ended, beyond its outcome.
#pragma once

#include <optional>
#include <string_view>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/detail/error_text.hpp>
#include <fusebox/core/detail/retry_hint.hpp>

namespace fusebox {

/// Goes with the outcome to `Permit::settle`. Every field is optional.
struct Settlement {
    std::optional<Duration> duration{};  ///< measured elsewhere; default: clock now − admission
    /// The dependency's own hint; can lengthen the open time (R29). The hint holds until its time has passed or the
    /// circuit closes.
    std::optional<Duration> retry_after{};
    std::string_view message{};   ///< short, for the reports; cut at 96 bytes; never a secret
    std::string_view trace_id{};  ///< for the reports (R40); cut at 32 bytes
};

namespace detail {

/// What an error says by itself: its hint (R29) and its words (R40). The words live as long as the error.
template <class E>
[[nodiscard]] Settlement settlement_of(const E& error) {
    return {.retry_after = retry_hint(error), .message = error_view(error)};
}

}  // namespace detail

}  // namespace fusebox
