#include "memory_budget.hpp"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace fusebox::middleware {
namespace {

constexpr std::size_t large = 1U << 20U;

/// The allocator keeps what was freed for the threads that freed it; after a burst of large bodies that is most of
/// them.
void give_back_to_system() {
#ifdef __GLIBC__
    ::malloc_trim(0);
#endif
}

}  // namespace

bool MemoryBudget::Share::grow(std::size_t bytes) {
    auto held = budget_.held_.load();
    do {
        if (bytes > budget_.most_ - held) return false;
    } while (!budget_.held_.compare_exchange_weak(held, held + bytes));
    bytes_ += bytes;
    return true;
}

void MemoryBudget::give_back(std::size_t bytes) {
    if (bytes == 0) return;
    if (bytes >= large) was_large_ = true;
    const auto left = held_.fetch_sub(bytes) - bytes;
    // Once, by whoever ends a burst: trimming walks over every free block.
    if (left < large && was_large_.exchange(false)) give_back_to_system();
}

}  // namespace fusebox::middleware
