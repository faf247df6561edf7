#include <cassert>
#include <fusebox/core/manual_clock.hpp>

namespace fusebox {

void ManualClock::advance(Duration by) noexcept {
    const auto forwards = by >= Duration::zero();
    assert(forwards && "a monotonic clock cannot go back");
    if (!forwards) return;
    // acquire/release: pairs with the loads in now() and wall_now().
    wall_.fetch_add(std::chrono::duration_cast<std::chrono::microseconds>(by).count(), std::memory_order_acq_rel);
    monotonic_.fetch_add(by.count(), std::memory_order_acq_rel);
}

void ManualClock::step_wall(std::chrono::microseconds by) noexcept {
    wall_.fetch_add(by.count(), std::memory_order_acq_rel);  // pairs with the load in wall_now()
}

}  // namespace fusebox
