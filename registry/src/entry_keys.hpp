// The keys that a breaker's table may have.
#pragma once

#include <span>

#include "config_value.hpp"

namespace fusebox {

/// In the order in which they apply.
[[nodiscard]] std::span<const ConfigKey> entry_keys() noexcept;

}  // namespace fusebox
