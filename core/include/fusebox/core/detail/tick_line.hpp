// Turns the processor's tick counter into the nanoseconds of another clock, without reading that clock.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace fusebox::detail {

/// The line `nanoseconds = base + (ticks - base_ticks) * slope`, fitted anew from time to time to the clock it follows.
/// Each line serves for a while and then says that it is due; between two fits it is off by what the clock's rate has
/// changed, which is microseconds at worst.
///
/// Never goes back: a new line begins no lower than the old one was ever read. Where that is ahead of the clock, it rises
/// less steeply until the clock has caught up; where it is behind, it jumps. Thread contract: `read` from any thread,
/// without a lock; `fit` from one thread at a time.
class TickLine {
public:
    enum class Read : std::uint8_t {
        due,      ///< nothing once the line should be fitted anew
        overdue,  ///< for twice as long, so that nobody waits for the one who fits
    };

    constexpr TickLine() = default;

    /// The time at `ticks`; empty where the line is not, or no longer, good for it.
    [[nodiscard]] std::optional<std::int64_t> read(std::uint64_t ticks, Read until = Read::due) const noexcept {
        for (;;) {
            // A sequence lock. acquire: pairs with the release in publish(), what follows is that line's or a newer one's.
            const auto sequence = sequence_.load(std::memory_order_acquire);
            // acquire: each pairs with its release in publish(). Who sees a newer value here sees the newer sequence below.
            const auto base_ticks = base_ticks_.load(std::memory_order_acquire);
            const auto base = base_.load(std::memory_order_acquire);
            const auto slope = slope_.load(std::memory_order_acquire);
            const auto good_for = good_for_.load(std::memory_order_acquire);
            // relaxed: ordered behind the acquires above.
            if ((sequence & 1U) != 0 || sequence_.load(std::memory_order_relaxed) != sequence) continue;
            // Ticks before the line (another core's may lag) wrap around, and are no good either.
            const auto elapsed = ticks - base_ticks;
            if (elapsed >= (until == Read::due ? good_for : 2 * good_for)) return std::nullopt;
            return base + static_cast<std::int64_t>(elapsed * slope >> slope_bits);
        }
    }

    /// Says that it is `nanoseconds` at `ticks` by the clock it follows. The first fits only measure the slope.
    void fit(std::uint64_t ticks, std::int64_t nanoseconds) noexcept;

    /// No time below this may be given while there is no line, by whoever falls back to the clock itself.
    [[nodiscard]] std::int64_t floor() const noexcept {
        return floor_.load(std::memory_order_acquire);  // pairs with the release in fit()
    }

private:
    static constexpr unsigned slope_bits = 30;

    void publish(std::uint64_t base_ticks, std::int64_t base, std::uint64_t slope, std::uint64_t good_for) noexcept;

    std::atomic<std::uint64_t> sequence_{};  // odd while the line is being replaced
    std::atomic<std::uint64_t> base_ticks_{};
    std::atomic<std::int64_t> base_{};
    std::atomic<std::uint64_t> slope_{};     // nanoseconds per tick, in units of 2^-slope_bits
    std::atomic<std::uint64_t> good_for_{};  // ticks; 0: there is no line
    std::atomic<std::int64_t> floor_{};

    // The earlier fit, for the slope. Of who fits.
    std::uint64_t fitted_ticks_{};
    std::int64_t fitted_at_{};
    bool measuring_{};
    double measured_{};  // nanoseconds per tick at the earlier fit; 0: none
};

}  // namespace fusebox::detail
