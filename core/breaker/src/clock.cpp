#include <fusebox/core/clock.hpp>

#include "coarse_clock.hpp"

namespace fusebox {

std::optional<TimePoint> SteadyClock::coarse_now() const noexcept { return detail::coarse_steady_clock(); }

const Clock& steady_clock() noexcept {
    // Never destroyed: a breaker that outlives `main` may still read it.
    union Immortal {
        SteadyClock clock{};
        Immortal() noexcept {}
        ~Immortal() {}
    };
    static const Immortal immortal;
    return immortal.clock;
}

}  // namespace fusebox
