// Turns the processor's tick counter into the nanoseconds of another clock, without reading that clock.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace fusebox::detail {

/// The line `nanoseconds = base + (ticks - base_ticks) * slope`, fitted anew from time to time to the clock it follows.
/// Each line serves for a while and then says that it is due. In between it is off by what the clock's rate has changed
/// since: nothing to speak of, unless that clock is steered, and then by as much as it is steered in a second.
///
/// A new line begins no lower than the old one was read. Where that is ahead of the clock, it rises less steeply until the
/// clock has caught up; where it is behind, it jumps. Thread contract: `read` from any thread, without ever waiting; `fit`
/// from one thread at a time.
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
            // acquire: pairs with the release in publish(): what is read of that line was written before.
            const auto number = newest_.load(std::memory_order_acquire);
            const auto& line = lines_[number % 2];
            // acquire: so that the second look below comes after them.
            const auto base_ticks = line.base_ticks.load(std::memory_order_acquire);
            const auto base = line.base.load(std::memory_order_acquire);
            const auto slope = line.slope.load(std::memory_order_acquire);
            const auto good_for = line.good_for.load(std::memory_order_acquire);
            // relaxed: ordered behind the acquires. Another number: the line may have been written over by the one after the
            // next, seconds later.
            if (newest_.load(std::memory_order_relaxed) != number) continue;
            const auto elapsed = ticks - base_ticks;
            if (elapsed >= (until == Read::due ? good_for : 2 * good_for)) [[unlikely]] {
                // The counter of another core may lag a little behind that of the one who fitted the line.
                if (good_for != 0 && base_ticks - ticks < most_lag) return base;
                return std::nullopt;
            }
            return base + static_cast<std::int64_t>(elapsed * slope >> slope_bits);
        }
    }

    /// Says that it is `nanoseconds` at `ticks` by the clock it follows. The first fits only measure the slope.
    void fit(std::uint64_t ticks, std::int64_t nanoseconds) noexcept;

    /// No time below this may be given where there is no line, by whoever falls back to the clock itself.
    [[nodiscard]] std::int64_t floor() const noexcept {
        return floor_.load(std::memory_order_acquire);  // pairs with the release in fit()
    }

private:
    static constexpr unsigned slope_bits = 30;
    static constexpr std::uint64_t most_lag = 1U << 16U;

    struct Line {
        std::atomic<std::uint64_t> base_ticks{};
        std::atomic<std::int64_t> base{};
        std::atomic<std::uint64_t> slope{};     // nanoseconds per tick, in units of 2^-slope_bits
        std::atomic<std::uint64_t> good_for{};  // ticks; 0: there is no line
    };

    [[nodiscard]] const Line& newest() const noexcept {
        return lines_[newest_.load(std::memory_order_relaxed) % 2];  // relaxed: for who fits, and so wrote it
    }
    void publish(std::uint64_t base_ticks, std::int64_t base, std::uint64_t slope, std::uint64_t good_for) noexcept;

    std::atomic<std::uint64_t> newest_{};  // number of the line that is read; the other place is for the next one
    Line lines_[2];
    std::atomic<std::int64_t> floor_{};

    // The earlier fit, for the slope. Of who fits.
    std::uint64_t fitted_ticks_{};
    std::int64_t fitted_at_{};
    bool measuring_{};
    double measured_{};  // nanoseconds per tick at the earlier fit; 0: none
};

}  // namespace fusebox::detail
