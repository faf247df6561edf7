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

}  // namespace

void TickLine::fit(std::uint64_t ticks, std::int64_t nanoseconds) noexcept {
    // relaxed, here and below: written by who fits only.
    const auto good_for = good_for_.load(std::memory_order_relaxed);
    if (good_for != 0) {
        // The highest time that anybody may have read. Nobody reads further than twice the service.
        const auto elapsed = std::min(ticks - base_ticks_.load(std::memory_order_relaxed), 2 * good_for);
        const auto reached = base_.load(std::memory_order_relaxed) +
                             static_cast<std::int64_t>(elapsed * slope_.load(std::memory_order_relaxed) >> slope_bits);
        // release: pairs with the acquire in floor().
        floor_.store(std::max(reached, floor_.load(std::memory_order_relaxed)), std::memory_order_release);
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
    const auto base = std::max(nanoseconds, floor_.load(std::memory_order_relaxed));
    const auto ahead = static_cast<double>(base - nanoseconds) / static_cast<double>(service);
    const auto slope = rate * (1 - std::min(ahead, 0.5));
    publish(ticks, base, static_cast<std::uint64_t>(slope * static_cast<double>(1U << slope_bits)),
            static_cast<std::uint64_t>(static_cast<double>(service) / rate));
}

void TickLine::publish(std::uint64_t base_ticks, std::int64_t base, std::uint64_t slope,
                       std::uint64_t good_for) noexcept {
    const auto sequence = sequence_.load(std::memory_order_relaxed);
    sequence_.store(sequence + 1, std::memory_order_relaxed);  // relaxed: the releases below order it before themselves
    // release: pair with the acquires in read().
    base_ticks_.store(base_ticks, std::memory_order_release);
    base_.store(base, std::memory_order_release);
    slope_.store(slope, std::memory_order_release);
    good_for_.store(good_for, std::memory_order_release);
    sequence_.store(sequence + 2, std::memory_order_release);
}

}  // namespace fusebox::detail
