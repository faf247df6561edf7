#include "support/allocations/allocations.hpp"

#include <cstdlib>
#include <limits>
#include <new>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define OWN_OPERATOR_NEW 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define OWN_OPERATOR_NEW 0
#endif
#endif
#ifndef OWN_OPERATOR_NEW
#define OWN_OPERATOR_NEW 1
#endif

namespace {
thread_local std::size_t count = 0;
constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();
[[maybe_unused]] thread_local std::size_t left = unlimited;
}  // namespace

#if OWN_OPERATOR_NEW
// Counts, and goes on as before.
// NOLINTBEGIN(misc-new-delete-overloads)
void* operator new(std::size_t size) {
    ++count;
    if (left == 0) throw std::bad_alloc{};
    if (left != unlimited) --left;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc{};
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    ++count;
    void* memory{};
    if (posix_memalign(&memory, static_cast<std::size_t>(alignment), size) == 0) return memory;
    throw std::bad_alloc{};
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { std::free(memory); }
// NOLINTEND(misc-new-delete-overloads)
#endif

namespace fusebox::test {
bool allocations_are_counted() noexcept { return OWN_OPERATOR_NEW == 1; }
std::size_t allocations() noexcept { return count; }
NoMemory::NoMemory(std::size_t after) noexcept { left = after; }
NoMemory::~NoMemory() { left = unlimited; }
}  // namespace fusebox::test
