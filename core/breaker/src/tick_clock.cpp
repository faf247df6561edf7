#include <fusebox/core/detail/tick_clock.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fusebox::detail {
namespace {

std::int64_t steady() noexcept {
    return std::chrono::nanoseconds{std::chrono::steady_clock::now().time_since_epoch()}.count();
}

// Whether Linux keeps the time by `source`. The kernel watches its clock sources from boot on, and drops a counter that
// differs between cores or stops.
bool kernel_uses(std::string_view source) noexcept {
    auto* file = std::fopen("/sys/devices/system/clocksource/clocksource0/current_clocksource", "re");
    if (file == nullptr) return false;
    char line[64]{};
    const std::string_view text{line, std::fread(line, 1, sizeof line, file)};
    std::fclose(file);
    return text.substr(0, text.find('\n')) == source;
}

bool counter_is_steady() noexcept {
#if defined(__x86_64__)
    // AMD64 Architecture Programmer's Manual, volume 3, CPUID 8000'0007h: EDX bit 8, TscInvariant.
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    if (__get_cpuid(0x8000'0007U, &eax, &ebx, &ecx, &edx) == 0 || (edx & 1U << 8U) == 0) return false;
    return kernel_uses("tsc");
#elif defined(__aarch64__)
    return kernel_uses("arch_sys_counter");
#else
    return false;
#endif
}

// Held by the thread that fits `steady_line`: keeps a second thread out of TickLine::fit (L1 in tick_line.hpp). It is
// only tried, never waited for, so no reader of the time waits for another one.
std::mutex fit_mutex;

}  // namespace

constinit TickLine steady_line;

std::int64_t read_steady_clock() noexcept {
    static const bool usable = counter_is_steady();  // found out once; the language guards it
    if (!usable) return steady();

    const std::unique_lock lock{fit_mutex, std::try_to_lock};
    if (!lock) {
        // Another thread fits. Until it is done the old line, if there is one, is good for a while yet. Else the clock
        // itself is, as far as it is not behind what the line has given (L5).
        if (const auto time = steady_line.read(processor_ticks(), TickLine::Read::overdue)) return *time;
        return std::max(steady(), steady_line.floor());
    }
    if (const auto time = steady_line.read(processor_ticks())) return *time;  // fitted since the caller looked

    // Counter and clock are to be read at the same moment, and something else may run in between. The closest of three
    // attempts counts.
    std::uint64_t ticks = 0;
    std::int64_t now = 0;
    auto closest = ~std::uint64_t{0};
    for (int attempt = 0; attempt < 3; ++attempt) {
        const auto before = processor_ticks();
        const auto read = steady();
        const auto apart = processor_ticks() - before;
        if (apart >= closest) continue;
        closest = apart;
        // The tick before the clock, not the one after it: so the line is ahead of the clock by the time that reading
        // the clock takes, a few ten nanoseconds. A thread that has taken the clock itself until now does not find the
        // line below it.
        ticks = before;
        now = read;
    }
    steady_line.fit(ticks, now);
    if (const auto time = steady_line.read(processor_ticks())) return *time;
    return std::max(now, steady_line.floor());
}

}  // namespace fusebox::detail
