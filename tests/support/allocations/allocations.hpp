// How often this thread has allocated, for the promises not to.
#pragma once

#include <cstddef>

namespace fusebox::test {

/// Under the sanitizers, which bring their own allocator, nothing is counted.
[[nodiscard]] bool allocations_are_counted() noexcept;
/// Since the thread began.
[[nodiscard]] std::size_t allocations() noexcept;

/// While it lives this thread gets no memory after so many allocations. Not under the sanitizers.
class NoMemory {
public:
    explicit NoMemory(std::size_t after = 0) noexcept;
    NoMemory(const NoMemory&) = delete;
    NoMemory& operator=(const NoMemory&) = delete;
    ~NoMemory();
};

}  // namespace fusebox::test
