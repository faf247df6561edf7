// Turns the processor's tick counter into the nanoseconds of another clock, without reading that clock.
//
// L1. One thread at a time fits: whoever calls fit() sees to it. What one fitting thread wrote, the next one sees. So
//     the members that only fit() touches are plain, and fit() loads the atomic ones relaxed.
// L2. Line number n lies at `lines_[n % 2]`, and `newest_` is the number of the line that is read. publish() writes the
//     next line to the other place, then stores its number (release). read() loads the number first (acquire): so it
//     sees all four fields of that line.
// L3. Nobody gets parts of two lines. A reader may be so slow that the line after the next is written over the one that
//     it reads. Then it sees at least one field of that later line. The field was stored with release after `newest_`
//     had got a higher number, and is loaded with acquire; so the second load of `newest_`, after the four fields,
//     finds a higher number too, and the reader starts again.
// L4. Time does not go back from one line to the next. A reader may use the old line until twice its service is over,
//     and no line is further ahead of its clock than `furthest_ahead`. These two facts bound the highest time that can
//     have been read. The new line begins no lower than that bound; where the new line rises less steeply, it begins
//     higher still, because other threads go on along the old line until the new one is published.
// L5. `floor_` is the bound of L4. A thread that finds no line takes the clock itself, but no time below `floor_`. Each
//     fit stores `floor_` before it ends the old line: a thread that loads from `newest_` (acquire) that the old line
//     has ended also loads this bound, or a later one. `floor_` itself is stored with release and loaded with acquire,
//     although no other data is published with it. A thread for which the old line is over before any fit needs no
//     bound: a line that begins ahead of its clock rises less steeply, and the clock has caught up by the end of twice
//     the service.
// L6. The counters of two cores may differ by a little. A tick just below `base_ticks` is taken for the tick at which
//     the line begins.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

namespace fusebox::detail {

/// The line `nanoseconds = base + (ticks - base_ticks) * slope`, fitted anew from time to time to the clock it follows.
/// Each line serves for a while and is then due to be fitted anew. In between it is off by what the clock's rate has
/// changed since the fit: nothing to speak of, unless that clock is steered, and then by as much as it is steered in a
/// second.
///
/// A new line begins no lower than the old one was read (L4). Where that is ahead of the clock, the line rises less
/// steeply until the clock has caught up; where that is behind, it begins at the clock.
///
/// Thread contract: `read` and `floor` from any thread, without ever waiting; `fit` from one thread at a time (L1).
class TickLine {
public:
    enum class Read : std::uint8_t {
        due,      ///< until the line should be fitted anew
        overdue,  ///< for twice as long, so that nobody waits for the thread that fits
    };

    constexpr TickLine() = default;

    /// The time at `ticks`; empty where the line is not, or no longer, good for it.
    [[nodiscard]] std::optional<std::int64_t> read(std::uint64_t ticks, Read until = Read::due) const noexcept {
        for (;;) {
            // acquire: pairs with the store of the number in publish() (L2).
            const auto number = newest_.load(std::memory_order_acquire);
            const auto& line = lines_[number % 2];
            // acquire: each pairs with the store of the same field in publish() (L3).
            const auto base_ticks = line.base_ticks.load(std::memory_order_acquire);
            const auto base = line.base.load(std::memory_order_acquire);
            const auto slope = line.slope.load(std::memory_order_acquire);
            const auto good_for = line.good_for.load(std::memory_order_acquire);
            // relaxed: the acquire loads above come before it (L3).
            if (newest_.load(std::memory_order_relaxed) != number) continue;
            const auto elapsed = ticks - base_ticks;
            if (elapsed >= (until == Read::due ? good_for : 2 * good_for)) [[unlikely]] {
                // L6
                if (good_for != 0 && base_ticks - ticks < most_lag) return base;
                return std::nullopt;
            }
            return base + static_cast<std::int64_t>(elapsed * slope >> slope_bits);
        }
    }

    /// Says that it is `nanoseconds` at `ticks` by the clock it follows. The first fits only measure the slope.
    void fit(std::uint64_t ticks, std::int64_t nanoseconds) noexcept;

    /// Where `read` gives nothing and the caller takes the clock itself, it must not give a time below this one.
    [[nodiscard]] std::int64_t floor() const noexcept {
        return floor_.load(std::memory_order_acquire);  // pairs with the store in fit() (L5)
    }

private:
    static constexpr unsigned slope_bits = 30;
    static constexpr std::uint64_t most_lag = 1U << 16U;  // ticks (L6)

    struct Line {  // L2, L3
        std::atomic<std::uint64_t> base_ticks{};
        std::atomic<std::int64_t> base{};       // nanoseconds at base_ticks
        std::atomic<std::uint64_t> slope{};     // nanoseconds per tick, in units of 2^-slope_bits
        std::atomic<std::uint64_t> good_for{};  // ticks; 0: there is no line
    };

    [[nodiscard]] const Line& newest() const noexcept {
        return lines_[newest_.load(std::memory_order_relaxed) % 2];  // relaxed: called by fit() only (L1)
    }
    void publish(std::uint64_t base_ticks, std::int64_t base, std::uint64_t slope, std::uint64_t good_for) noexcept;

    std::atomic<std::uint64_t> newest_{};  // L2
    Line lines_[2];
    std::atomic<std::int64_t> floor_{};  // L5

    // The last fit, from which the next one measures the rate. Touched by fit() only (L1).
    bool has_fitted_{};
    std::uint64_t fitted_ticks_{};
    std::int64_t fitted_at_{};  // nanoseconds
    double fitted_rate_{};      // nanoseconds per tick; 0: not measured yet
};

}  // namespace fusebox::detail
