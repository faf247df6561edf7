// What a snapshot must be to be restored (R52).
#pragma once

#include <fusebox/core/breaker_snapshot.hpp>

namespace fusebox::detail {

/// Throws `InvalidSnapshot` at the first field that cannot be.
void check_snapshot(const BreakerSnapshot& snapshot);

}  // namespace fusebox::detail
