#include "even_wall_clock.hpp"

namespace fusebox::service {

EvenWallClock::EvenWallClock(const Clock& clock)
    : clock_(clock), stepped_at_(clock.now()), ahead_(wall_ahead_of_steady()) {}

Duration EvenWallClock::wall_ahead_of_steady() const {
    return clock_.wall_now().time_since_epoch() - clock_.now().time_since_epoch();
}

bool EvenWallClock::even_for(Duration how_long) {
    const auto ahead = wall_ahead_of_steady();
    const auto change = ahead - ahead_;
    ahead_ = ahead;
    if (change > step || change < -step) stepped_at_ = clock_.now();
    return clock_.now() - stepped_at_ >= how_long;
}

}  // namespace fusebox::service
