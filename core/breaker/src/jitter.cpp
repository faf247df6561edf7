#include <fusebox/core/detail/jitter.hpp>

namespace fusebox::detail {

double JitterSource::next() noexcept {
    state_ += 0x9E37'79B9'7F4A'7C15U;
    auto bits = state_;
    bits = (bits ^ (bits >> 30U)) * 0xBF58'476D'1CE4'E5B9U;
    bits = (bits ^ (bits >> 27U)) * 0x94D0'49BB'1331'11EBU;
    bits ^= bits >> 31U;
    return static_cast<double>(bits >> 11U) * 0x1p-53;
}

}  // namespace fusebox::detail
