// std::chrono::steady_clock at half its cost, from the processor's own counter.
#pragma once

#include <cstdint>

#include <fusebox/core/detail/tick_line.hpp>

namespace fusebox::detail {

/// The processor's counter: the time-stamp counter, on Arm the generic timer. 0 where none is known.
[[nodiscard]] inline std::uint64_t processor_ticks() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    std::uint64_t ticks = 0;
    // No isb before it, as steady_clock has: like rdtsc it may be read ahead of its turn (see SteadyClock).
    asm volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

/// The line of std::chrono::steady_clock, shared by the process. Fitted only where the counter can be trusted: it has
/// one rate in all states of the processor, and the kernel kept the time by it when the process began. Elsewhere the
/// line never gives a time. Any thread reads it; read_steady_clock() sees to it that one thread at a time fits it.
extern constinit TickLine steady_line;

/// Where the line gives no time: reads steady_clock itself and fits the line anew, unless another thread is doing so.
/// Thread contract: any thread at any time; waits for nobody.
[[nodiscard]] std::int64_t read_steady_clock() noexcept;

/// Nanoseconds of std::chrono::steady_clock, or a few more. Thread contract: any thread at any time.
[[nodiscard]] inline std::int64_t steady_nanoseconds() noexcept {
    if (const auto time = steady_line.read(processor_ticks())) [[likely]]
        return *time;
    return read_steady_clock();
}

}  // namespace fusebox::detail
