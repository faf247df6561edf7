// How often this thread has allocated, for the promises not to.
#pragma once

#include <cstddef>

namespace fusebox::test {

/// Under the sanitizers, which bring their own allocator, nothing is counted.
[[nodiscard]] bool allocations_are_counted() noexcept;
/// Since the thread began.
[[nodiscard]] std::size_t allocations() noexcept;

}  // namespace fusebox::test
