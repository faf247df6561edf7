// L1 … L6: see tick_line.hpp.
#include <fusebox/core/detail/tick_line.hpp>

#include <algorithm>
#include <cmath>

namespace fusebox::detail {
namespace {

// Times in nanoseconds.

// A line is fitted to two readings of the clock that lie this far apart at least. Each is right to some ten
// nanoseconds, so the first slope is right to some parts in a million.
constexpr std::int64_t shortest_base = 10'000'000;
// A line serves no longer than this, nor than ten times the interval that it was fitted to.
constexpr std::int64_t longest_service = 1'000'000'000;
// A clock's rate is corrected by some parts in ten thousand. A counter whose rate changes more is no steady counter: it
// was stopped or set, or the program goes on on another machine.
constexpr double largest_change = 0.01;
// For so long the fitting thread may be interrupted before it has published its line, without time going back for
// others.
constexpr std::int64_t longest_pause = 100'000'000;
// A line is no further ahead of its clock than this.
constexpr std::int64_t furthest_ahead = 100'000'000;

}  // namespace

void TickLine::fit(std::uint64_t ticks, std::int64_t nanoseconds) noexcept {
    // relaxed, here and below: the atomics are written by fit() only (L1).
    constexpr auto relaxed = std::memory_order_relaxed;
    const auto& old = newest();
    const auto good_for = old.good_for.load(relaxed);
    const auto old_slope = good_for == 0 ? 0 : old.slope.load(relaxed);
    if (good_for != 0) {
        // The highest time that may have been read (L4). Where the counter was set back, the elapsed ticks are a huge
        // number, and the two bounds matter.
        const auto elapsed = std::min(ticks - old.base_ticks.load(relaxed), 2 * good_for);
        const auto highest = old.base.load(relaxed) + static_cast<std::int64_t>(elapsed * old_slope >> slope_bits);
        // release: pairs with the load in floor() (L5).
        floor_.store(std::max(std::min(highest, nanoseconds + furthest_ahead), floor_.load(relaxed)),
                     std::memory_order_release);
    }

    const auto measure_anew = [&] {
        fitted_ticks_ = ticks;
        fitted_at_ = nanoseconds;
        has_fitted_ = true;
        fitted_rate_ = 0;
        if (good_for != 0) publish(ticks, 0, 0, 0);  // ends the old line: from now on there is none
    };
    if (!has_fitted_ || ticks <= fitted_ticks_ || nanoseconds <= fitted_at_) return measure_anew();
    const auto interval = nanoseconds - fitted_at_;
    if (interval < shortest_base) return;  // only where there is no line yet: a service is longer

    const auto rate = static_cast<double>(interval) / static_cast<double>(ticks - fitted_ticks_);
    if (fitted_rate_ != 0 && std::abs(rate / fitted_rate_ - 1) > largest_change) return measure_anew();
    fitted_rate_ = rate;
    fitted_ticks_ = ticks;
    fitted_at_ = nanoseconds;

    const auto service = std::min(longest_service, 10 * interval);
    auto base = std::max(nanoseconds, floor_.load(relaxed));  // L4
    const auto ahead = static_cast<double>(base - nanoseconds) / static_cast<double>(service);
    const auto slope =
        static_cast<std::uint64_t>(rate * (1 - std::min(ahead, 0.5)) * static_cast<double>(1U << slope_bits));
    if (slope < old_slope) {
        // L4: until this line is published, others read the old line, which is steeper.
        const auto pause = static_cast<double>(longest_pause) / rate;
        base += static_cast<std::int64_t>(static_cast<double>(old_slope - slope) / (1U << slope_bits) * pause) + 1;
    }
    publish(ticks, base, slope, static_cast<std::uint64_t>(static_cast<double>(service) / rate));
}

void TickLine::publish(std::uint64_t base_ticks, std::int64_t base, std::uint64_t slope,
                       std::uint64_t good_for) noexcept {
    const auto next = newest_.load(std::memory_order_relaxed) + 1;
    auto& line = lines_[next % 2];
    // release: each pairs with the load of the same field in read(). A slow reader may still be reading the line that
    // lay in this place before (L3).
    line.base_ticks.store(base_ticks, std::memory_order_release);
    line.base.store(base, std::memory_order_release);
    line.slope.store(slope, std::memory_order_release);
    line.good_for.store(good_for, std::memory_order_release);
    newest_.store(next, std::memory_order_release);  // pairs with the first load in read() (L2)
}

}  // namespace fusebox::detail
