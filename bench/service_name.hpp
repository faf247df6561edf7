// Names of breakers as they are in practice: too long for a string's own buffer, and alike up to their middle.
#pragma once

#include <cstddef>
#include <string>

namespace fusebox::bench {

/// All of one length. `index` is below 9 million.
inline std::string service_name(std::size_t index) {
    return "service-" + std::to_string(1'000'000 + index) + ".internal";
}

}  // namespace fusebox::bench
