// What a breaker knows of a call that it has admitted.
#pragma once

#include <cstdint>

#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// The compiler keeps the admission of a call in registers as long as nobody takes its address. Functions that are not
/// inline therefore get a reference to a `copy()`.
struct Admission {
    std::uint64_t word{};    ///< the breaker's word when it admitted the call: generation and state
    TimePoint started{};     ///< when it admitted the call, or `CircuitBreaker::unmeasured`
    std::uint64_t ticket{};  ///< of the probe's lease, or of the entry among the watched calls; 0: neither
    std::uint32_t slot{};    ///< where that ticket lies

    /// Field by field: copying the whole would take its address.
    [[nodiscard]] Admission copy() const noexcept { return {word, started, ticket, slot}; }
};

}  // namespace fusebox::detail
