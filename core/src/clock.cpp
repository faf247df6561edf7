#include <fusebox/core/clock.hpp>

namespace fusebox {

const Clock& steady_clock() noexcept {
    // Never destroyed: a breaker that outlives `main` may still read it.
    static const auto& clock = *new SteadyClock;
    return clock;
}

}  // namespace fusebox
