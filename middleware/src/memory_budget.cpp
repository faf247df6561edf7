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
    const bool is_small = bytes <= small_share && bytes_ <= small_share - bytes;
    const auto most = is_small ? budget_.most_ : budget_.most_ - budget_.most_ / 4;
    auto held = budget_.held_.load();
    do {
        if (held > most || bytes > most - held) {
            budget_.short_at_ = std::chrono::steady_clock::now();
            return false;
        }
    } while (!budget_.held_.compare_exchange_weak(held, held + bytes));
    bytes_ += bytes;
    return true;
}

bool MemoryBudget::was_short() const noexcept {
    const auto at = short_at_.load();
    return at != std::chrono::steady_clock::time_point{} &&
           std::chrono::steady_clock::now() - at < std::chrono::seconds{2};
}

void MemoryBudget::give_back(std::size_t bytes) {
    if (bytes == 0) return;
    if (bytes >= large) was_large_ = true;
    const auto left = held_.fetch_sub(bytes) - bytes;
    // Once, by whoever ends a burst: trimming walks over every free block.
    if (left < large && was_large_.exchange(false)) give_back_to_system();
}

}  // namespace fusebox::middleware
