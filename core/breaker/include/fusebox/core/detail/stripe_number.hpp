// Which of several copies of a counter the calling thread uses, so that threads that run at the same time share no
// copy.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <thread>

#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif

#include <fusebox/core/detail/sync.hpp>

namespace fusebox::detail {

#ifndef FUSEBOX_EXPLORE  // the exploration has both functions of its own: see sync.hpp
/// A number that threads which run at the same time mostly do not share. Thread contract: any thread at any time. The
/// caller must be right with any number, and the same thread may get another number with each call.
///
/// Where glibc has registered the thread for restartable sequences (rseq(2)), it is the number of the core that runs
/// the thread: the kernel writes it into the thread's own `struct rseq`, hence a volatile read and no atomic. Elsewhere
/// each thread draws a number of its own when it first asks.
[[nodiscard]] inline unsigned stripe_number() noexcept {
#if __has_include(<sys/rseq.h>)
    const auto* area = static_cast<const std::byte*>(__builtin_thread_pointer()) + __rseq_offset;
    const auto core = *reinterpret_cast<const volatile std::int32_t*>(area + offsetof(struct rseq, cpu_id));
    if (core >= 0) [[likely]]  // below zero: this thread is not registered
        return static_cast<unsigned>(core);
#endif
    static std::atomic<unsigned> last_drawn{0};  // how many threads have drawn a number
    constinit thread_local unsigned drawn = 0;   // 0: none yet
    if (drawn == 0) [[unlikely]]
        drawn = last_drawn.fetch_add(1, std::memory_order_relaxed) + 1;  // relaxed: only the number itself counts
    return drawn;
}
/// How many threads can run at the same time; 0 where nobody knows.
[[nodiscard]] inline unsigned core_count() noexcept { return std::thread::hardware_concurrency(); }
#endif

}  // namespace fusebox::detail
