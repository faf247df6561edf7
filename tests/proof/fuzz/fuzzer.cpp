// libFuzzer's entry. FUSEBOX_FUZZ: the function of targets.hpp that is fuzzed.
#include <cstddef>
#include <cstdint>

#include "proof/fuzz/targets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fusebox::test::fuzz::FUSEBOX_FUZZ({reinterpret_cast<const char*>(data), size});
    return 0;
}
