#include <fusebox/core/clock.hpp>

namespace fusebox {

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
