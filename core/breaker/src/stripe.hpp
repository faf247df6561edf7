// The counters that every call touches, one copy per core where cores compete, so that they share no cache line.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>

#include <fusebox/core/circuit_breaker_metrics.hpp>
#include <fusebox/core/detail/stripe_number.hpp>
#include <fusebox/core/detail/sync.hpp>

namespace fusebox::detail {

using Counter = Sum<std::uint64_t>;

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

/// Lifetime counters are only ever added to.
struct Stripe {
    Atomic<std::uint64_t> cell{};  // successes of the window that are not sealed yet: see OutcomeWindow
    Sum<Duration::rep>
        quick_sum{};  // of the durations of all successes that were ever in the cell, or counted with them
    Counter rejected_open{};
    Counter rejected_probes{};

    // release and acquire: whose duration is in the sum, his success is in the cell already, or was taken from it.
    void add_duration(Duration duration) noexcept { quick_sum.fetch_add(duration.count(), std::memory_order_release); }
    [[nodiscard]] Duration sum_of_durations() const noexcept {
        return Duration{quick_sum.load(std::memory_order_acquire)};
    }
};

/// The stripes of one breaker: one, and as many more as the machine has cores (8 at most) once two threads have got into
/// each other's way. A million idle breakers stay small. No more than 48 bytes, so that the first stripe shares its cache line
/// with what else every call looks at: whoever counts there has that line already, and once there are more nobody does.
class Stripes {
public:
    Stripes() = default;
    Stripes(const Stripes&) = delete;
    Stripes& operator=(const Stripes&) = delete;
    ~Stripes() { delete[] more_.load(std::memory_order_relaxed); }  // relaxed: nobody else is left

    /// The calling thread's. Several threads may have the same one.
    [[nodiscard]] Stripe& own() noexcept {
        // acquire: pairs with the release in widen().
        auto* more = more_.load(std::memory_order_acquire);
        return more == nullptr ? first_ : more[stripe_number() & (width_ - 1)].stripe;
    }
    [[nodiscard]] bool is_wide() const noexcept { return more_.load(std::memory_order_acquire) != nullptr; }
    /// Where there is memory for it. `cell`: what each new one begins with. Not thread-safe: under the breaker's mutex,
    /// which makes that everybody who seals or counts the cells there sees them all.
    void widen(std::uint64_t cell) noexcept {
        if (is_wide()) return;
        width_ = std::bit_ceil(std::clamp(core_count(), 1U, 8U));
        auto* more = new (std::nothrow) Line[width_];
        if (more == nullptr) return;
        for (unsigned i = 0; i < width_; ++i)
            more[i].stripe.cell.store(cell, std::memory_order_relaxed);  // relaxed: see below
        // release: pairs with the acquires here, so that who sees a stripe sees its cell.
        more_.store(more, std::memory_order_release);
    }

    template <class Visit>
    void for_each(Visit visit) {
        visit(first_);
        if (auto* more = more_.load(std::memory_order_acquire)) {
            std::for_each_n(more, width_, [&](Line& line) { visit(line.stripe); });
        }
    }

private:
    struct alignas(64) Line {
        Stripe stripe;
    };

    Stripe first_;
    Atomic<Line*> more_{nullptr};
    unsigned width_{};  // written once, before more_
};
#ifndef FUSEBOX_EXPLORE  // whose atomics are larger
static_assert(sizeof(Stripes) <= 48);
#endif

}  // namespace fusebox::detail
