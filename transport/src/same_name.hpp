// Names of HTTP headers compare without case.
#pragma once

#include <strings.h>

#include <string_view>

namespace fusebox::transport {

[[nodiscard]] inline bool same_name(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace fusebox::transport
