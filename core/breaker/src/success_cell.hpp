// The 64 bits in which one stripe counts plain successes and the time that they took.
#pragma once

#include <cstdint>

#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// A value. The atomic that holds one is `Stripe::cell`; who changes the atomic, and when, stands in
/// outcome_window.hpp.
///
///      63                39   38         37              14   13             0
///     +--------------------+----------+---------------------+------------------+
///     | seal               | measured | nanoseconds         | successes        |
///     | 25 bits            | 1 bit    | 24 bits             | 14 bits          |
///     +--------------------+----------+---------------------+------------------+
///
/// C1  `seal` is the number of the last sealing (outcome_window.hpp, W3), modulo 2^25.
/// C2  `measured` tells whether the durations of these successes are known. Where they are not, `nanoseconds` is 0.
/// C3  `nanoseconds` is the sum of the durations of exactly those successes that `successes` counts. plus() changes
///     both, and the new value replaces the old one in one compare-and-swap. So a thread that loads the cell once finds
///     no duration without its success and no success without its duration.
/// C4  The cell is full when the highest bit of `nanoseconds` or of `successes` is set: after 8.4 ms or 8,192
///     successes. A full cell takes nothing more. So neither field runs over into its neighbour: below its highest bit
///     `successes` grows by 1 and `nanoseconds` by at most `longest`, and either step ends within the field.
class SuccessCell {
public:
    /// The longest duration that plus() takes: 1.05 ms.
    static constexpr Duration longest{(std::int64_t{1} << 20U) - 1};

    constexpr explicit SuccessCell(std::uint64_t bits) noexcept : bits_{bits} {}
    /// Empty.
    constexpr SuccessCell(std::uint32_t seal, bool measured) noexcept
        : bits_{std::uint64_t{seal} << seal_shift | (measured ? measured_bit : 0)} {}

    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }
    [[nodiscard]] constexpr bool measured() const noexcept { return (bits_ & measured_bit) != 0; }
    [[nodiscard]] constexpr bool full() const noexcept { return (bits_ & full_bits) != 0; }
    [[nodiscard]] constexpr std::uint64_t successes() const noexcept {
        return bits_ & ((std::uint64_t{1} << nanoseconds_shift) - 1U);
    }
    [[nodiscard]] constexpr Duration durations() const noexcept {
        return Duration{static_cast<Duration::rep>((bits_ & (measured_bit - 1U)) >> nanoseconds_shift)};
    }

    /// Whether a success with a known duration (`measured`), or with an unknown one, may be added (C2, C4).
    [[nodiscard]] constexpr bool takes(bool measured) const noexcept {
        return (bits_ & (measured_bit | full_bits)) == (measured ? measured_bit : 0);
    }
    /// The cell with one success more, which took 0 … `longest` (C3). Only where takes() is true.
    [[nodiscard]] constexpr SuccessCell plus(Duration duration) const noexcept {
        return SuccessCell{bits_ + (static_cast<std::uint64_t>(duration.count()) << nanoseconds_shift) + 1U};
    }

private:
    static constexpr unsigned nanoseconds_shift = 14;
    static constexpr unsigned measured_shift = nanoseconds_shift + 24;
    static constexpr unsigned seal_shift = measured_shift + 1;
    static constexpr std::uint64_t measured_bit = std::uint64_t{1} << measured_shift;
    static constexpr std::uint64_t full_bits = std::uint64_t{1} << (measured_shift - 1U)        // of nanoseconds
                                               | std::uint64_t{1} << (nanoseconds_shift - 1U);  // of successes

    std::uint64_t bits_;
};

}  // namespace fusebox::detail
