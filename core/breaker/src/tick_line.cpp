#include <fusebox/core/detail/tick_line.hpp>

#include <algorithm>
#include <cmath>

namespace fusebox::detail {
namespace {

// A line is fitted to two looks at the clock that lie this far apart at least: each is right to some ten nanoseconds, so
// that the first slope is right to some parts in a million.
constexpr std::int64_t shortest_base = 10'000'000;
// How long a line serves: no longer than this, nor than ten times what it was fitted to.
constexpr std::int64_t longest_service = 1'000'000'000;
// A clock's rate is corrected by some parts in ten thousand. What changes more is no steady counter: it was stopped or set,
// or is another machine's since.
constexpr double largest_change = 0.01;
// Between a fit and its publication the thread may be interrupted for so long without time going back for others.
constexpr std::int64_t longest_pause = 100'000'000;
// A line is no further ahead of its clock than this.
constexpr std::int64_t furthest_ahead = 100'000'000;

}  // namespace

void TickLine::fit(std::uint64_t ticks, std::int64_t nanoseconds) noexcept {
    // relaxed, here and below: written by who fits only.
    constexpr auto relaxed = std::memory_order_relaxed;
    const auto& old = newest();
    const auto good_for = old.good_for.load(relaxed);
    const auto old_slope = good_for == 0 ? 0 : old.slope.load(relaxed);
    if (good_for != 0) {
        // The highest time that anybody may have read. Nobody reads further than twice the service, and no line is so far
        // ahead of its clock: that matters where the counter was set back.
        const auto elapsed = std::min(ticks - old.base_ticks.load(relaxed), 2 * good_for);
        const auto reached = old.base.load(relaxed) + static_cast<std::int64_t>(elapsed * old_slope >> slope_bits);
        // release: pairs with the acquire in floor().
        floor_.store(std::max(std::min(reached, nanoseconds + furthest_ahead), floor_.load(relaxed)),
                     std::memory_order_release);
    }

    const auto begin_again = [&] {
        fitted_ticks_ = ticks;
        fitted_at_ = nanoseconds;
        measuring_ = true;
        measured_ = 0;
        if (good_for != 0) publish(ticks, 0, 0, 0);
    };
    if (!measuring_ || ticks <= fitted_ticks_ || nanoseconds <= fitted_at_) return begin_again();
    const auto interval = nanoseconds - fitted_at_;
    if (interval < shortest_base) return;  // the service was longer, so there is no line yet

    const auto rate = static_cast<double>(interval) / static_cast<double>(ticks - fitted_ticks_);
    if (measured_ != 0 && std::abs(rate / measured_ - 1) > largest_change) return begin_again();
    measured_ = rate;
    fitted_ticks_ = ticks;
    fitted_at_ = nanoseconds;

    const auto service = std::min(longest_service, 10 * interval);
    auto base = std::max(nanoseconds, floor_.load(relaxed));
    const auto ahead = static_cast<double>(base - nanoseconds) / static_cast<double>(service);
    const auto slope =
        static_cast<std::uint64_t>(rate * (1 - std::min(ahead, 0.5)) * static_cast<double>(1U << slope_bits));
    if (slope < old_slope) {
        // Until this line is published others read the old, steeper one.
        const auto pause = static_cast<double>(longest_pause) / rate;
        base += static_cast<std::int64_t>(static_cast<double>(old_slope - slope) / (1U << slope_bits) * pause) + 1;
    }
    publish(ticks, base, slope, static_cast<std::uint64_t>(static_cast<double>(service) / rate));
}

void TickLine::publish(std::uint64_t base_ticks, std::int64_t base, std::uint64_t slope,
                       std::uint64_t good_for) noexcept {
    const auto next = newest_.load(std::memory_order_relaxed) + 1;
    auto& line = lines_[next % 2];
    // release: a reader who is still at the line that lay here, two before this one, and sees any of these, sees in its second
    // look that it is no longer the newest.
    line.base_ticks.store(base_ticks, std::memory_order_release);
    line.base.store(base, std::memory_order_release);
    line.slope.store(slope, std::memory_order_release);
    line.good_for.store(good_for, std::memory_order_release);
    newest_.store(next, std::memory_order_release);  // pairs with the acquire in read()
}

}  // namespace fusebox::detail
