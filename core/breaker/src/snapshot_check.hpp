// Which snapshots can be restored (R52).
#pragma once

#include <fusebox/core/breaker_snapshot.hpp>

namespace fusebox::detail {

/// Throws `InvalidSnapshot`, naming the first field whose value no breaker could have saved.
void check_snapshot(const BreakerSnapshot& snapshot);

}  // namespace fusebox::detail
