// What a breaker is built with besides its configuration.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/outcome.hpp>

namespace fusebox {

/// Every field is optional.
struct BreakerOptions {
    const Clock* clock{&steady_clock()};  ///< must outlive the breaker
    std::optional<std::uint64_t> seed{};  ///< of the jitter generator (R28); default: random
    /// Says the outcome of operations that throw; default: every exception is a failure. Called on the thread of the
    /// call, with no lock held; where it throws itself, the exception is a failure.
    std::function<Outcome(const std::exception_ptr&)> classify_exception{};
    std::size_t report_capacity{16};  ///< reports kept (R40); 1 … 1024
};

}  // namespace fusebox
