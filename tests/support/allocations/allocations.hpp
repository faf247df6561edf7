// How often this thread has allocated, for the promises not to.
#pragma once

#include <cstddef>

namespace fusebox::test {

/// Under the sanitizers, which bring their own allocator, nothing is counted.
[[nodiscard]] bool allocations_are_counted() noexcept;
/// Since the thread began.
[[nodiscard]] std::size_t allocations() noexcept;

/// While it lives this thread gets no memory. Not under the sanitizers.
class NoMemory {
public:
    NoMemory() noexcept;
    NoMemory(const NoMemory&) = delete;
    NoMemory& operator=(const NoMemory&) = delete;
    ~NoMemory();
};

}  // namespace fusebox::test
