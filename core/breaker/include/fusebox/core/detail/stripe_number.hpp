// Which of several copies of a counter the calling thread uses, so that threads that run at the same time share none.
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

#ifndef FUSEBOX_EXPLORE  // see sync.hpp
/// Different for threads that run at the same time, most of the time; all that hangs on it is speed. The core that the thread
/// is on, which glibc keeps for restartable sequences (rseq(2)) where the kernel writes it; elsewhere the thread's own.
[[nodiscard]] inline unsigned stripe_number() noexcept {
#if __has_include(<sys/rseq.h>)
    const auto* area = static_cast<const std::byte*>(__builtin_thread_pointer()) + __rseq_offset;
    const auto core = *reinterpret_cast<const volatile std::int32_t*>(area + offsetof(struct rseq, cpu_id));
    if (core >= 0) [[likely]]  // less: this thread is not registered
        return static_cast<unsigned>(core);
#endif
    static std::atomic<unsigned> last{0};
    constinit thread_local unsigned number = 0;  // 0: none yet
    // relaxed: orders nothing
    if (number == 0) [[unlikely]]
        number = last.fetch_add(1, std::memory_order_relaxed) + 1;
    return number;
}
[[nodiscard]] inline unsigned core_count() noexcept { return std::thread::hardware_concurrency(); }
#endif

}  // namespace fusebox::detail
