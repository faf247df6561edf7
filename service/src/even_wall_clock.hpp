// Whether the wall clock can be believed when it says that something is old.
#pragma once

#include <fusebox/core/clock.hpp>

namespace fusebox::service {

/// Watches the wall clock beside the steady clock. A machine that starts with a wrong date, or whose date is set, would
/// make everything look old at once; whoever deletes by age waits until the wall clock has run evenly for a while. For
/// one thread.
class EvenWallClock {
public:
    /// Taken as stepped just now.
    explicit EvenWallClock(const Clock& clock = steady_clock());

    /// Whether the last step is at least `how_long` ago on the steady clock. Sees a step since the last call.
    [[nodiscard]] bool even_for(Duration how_long);

private:
    /// Between two calls the clocks drift apart by much less than this, even while NTP corrects the wall clock slowly.
    static constexpr Duration step{std::chrono::seconds{2}};

    [[nodiscard]] Duration wall_ahead_of_steady() const;

    const Clock& clock_;
    TimePoint stepped_at_;
    Duration ahead_;  // at the last call
};

}  // namespace fusebox::service
