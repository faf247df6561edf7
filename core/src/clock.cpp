#include <fusebox/core/clock.hpp>

namespace fusebox {

const Clock& steady_clock() noexcept {
    // Never destroyed in effect: it has no state, so a breaker that outlives `main` may still read it.
    static const SteadyClock clock;
    return clock;
}

}  // namespace fusebox
