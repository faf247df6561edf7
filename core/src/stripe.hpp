// The counters that every call touches, one copy per core, so that calls on different cores share no cache line.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>

#include <fusebox/core/circuit_breaker_metrics.hpp>
#include <fusebox/core/detail/sync.hpp>

namespace fusebox::detail {

#ifndef FUSEBOX_EXPLORE  // see sync.hpp
[[nodiscard]] inline unsigned thread_number() noexcept {
    static std::atomic<unsigned> next{0};
    // relaxed: only has to be different, most of the time.
    thread_local const unsigned number = next.fetch_add(1, std::memory_order_relaxed);
    return number;
}
[[nodiscard]] inline unsigned core_count() noexcept { return std::thread::hardware_concurrency(); }
#endif

using Counter = Sum<std::uint64_t>;
using Buckets = std::array<Counter, duration_bucket_bounds.size() + 1>;

/// The histogram bucket of a duration (R42).
[[nodiscard]] inline std::size_t bucket_of(Duration duration) noexcept {
    static constexpr auto bounds = [] {
        std::array<Duration::rep, duration_bucket_bounds.size()> result{};
        for (std::size_t i = 0; i < result.size(); ++i) {
            result[i] = std::chrono::round<Duration>(std::chrono::duration<double>{duration_bucket_bounds[i]}).count();
        }
        return result;
    }();
    std::size_t bucket = 0;
    while (bucket < bounds.size() && duration.count() > bounds[bucket]) ++bucket;
    return bucket;
}

/// Lifetime counters are only ever added to. A whole is the sum of its parts, computed when it is read.
struct alignas(64) Stripe {
    Atomic<std::uint64_t> cell{};  // successes of the window that are not sealed yet: see OutcomeWindow
    Sum<Duration::rep> duration_sum{};
    Buckets successes{};
    Counter rejected_open{};
    Counter rejected_probes{};
};

/// The stripes of one breaker: as many as the machine has cores, 8 at most, so that memory stays predictable.
class Stripes {
public:
    Stripes() : count_(std::bit_ceil(std::clamp(core_count(), 1U, 8U))) {
        stripes_ = std::make_unique<Stripe[]>(count_);
    }

    /// The calling thread's. Several threads may have the same one.
    [[nodiscard]] Stripe& own() const noexcept { return stripes_[thread_number() & (count_ - 1)]; }
    [[nodiscard]] std::span<Stripe> all() const noexcept { return {stripes_.get(), count_}; }

private:
    std::unique_ptr<Stripe[]> stripes_;
    unsigned count_;
};

}  // namespace fusebox::detail
