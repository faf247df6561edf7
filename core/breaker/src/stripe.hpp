// The counters that every call changes. Where cores compete there is one copy per core, so that no two cores change the
// same cache line.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <new>

#include <fusebox/core/detail/stripe_number.hpp>
#include <fusebox/core/detail/sync.hpp>

#include "success_cell.hpp"

namespace fusebox::detail {

/// One copy of the counters. Any thread may change any stripe at any time (S2). Each change is one read-modify-write of
/// one of the three atomics. No thread concludes from the value of one atomic what another one holds.
struct Stripe {
    /// The bits of a SuccessCell: plain successes, and the time that they took. Who changes the bits, and with which
    /// memory order, stands in outcome_window.hpp (W2 … W9).
    Atomic<std::uint64_t> cell{};
    /// Rejections since the breaker was made, by their kind. The thread that rejects a call adds 1; the metrics sum the
    /// stripes. All accesses are relaxed, because no other data is published with these counters.
    Sum<std::uint64_t> rejected_open{};
    Sum<std::uint64_t> rejected_probes{};
};

/// The stripes of one breaker: one, and after widen() a second set of as many as the machine has cores, 8 at most. Most
/// breakers never need the second set, so a million breakers stay small.
///
/// S1  What the breaker has counted is the sum over all stripes, `first_` included; for successes, together with what
///     was taken out of the cells (outcome_window.hpp, W1). No stripe ever goes away. So what was counted in `first_`
///     before widen() is still counted after it.
/// S2  own() chooses a stripe for the sake of speed only. Two threads may get the same one. A thread that moves to
///     another core, or that called own() before widen(), goes on with a stripe that is no longer its own. Every count
///     is right all the same, because every change is a read-modify-write.
/// S3  `more_` is null until widen() publishes the second set, and then never changes. widen() runs under the breaker's
///     mutex. It writes `width_` and all cells of the second set first and stores `more_` last (release). Every load of
///     `more_` but the destructor's is an acquire. So a thread that finds the second set finds its width and its cells
///     ready.
/// S4  Under the mutex the set of stripes stands still: for_each() visits every stripe that any thread can change.
///
/// At most 48 bytes, so that `first_` lies in one cache line with what else a call reads of the breaker. As long as one
/// core changes `first_`, that core has the line anyway; with more cores the changes go to the second set.
class Stripes {
public:
    Stripes() = default;
    Stripes(const Stripes&) = delete;
    Stripes& operator=(const Stripes&) = delete;
    ~Stripes() { delete[] more_.load(std::memory_order_relaxed); }  // relaxed: no other thread is left

    /// The calling thread's stripe, from any thread.
    [[nodiscard]] Stripe& own() noexcept {
        auto* more = more_.load(std::memory_order_acquire);  // S3
        return more == nullptr ? first_ : more[stripe_number() & (width_ - 1)].stripe;
    }
    /// Whether the second set is there. From any thread.
    [[nodiscard]] bool is_wide() const noexcept { return more_.load(std::memory_order_acquire) != nullptr; }
    /// Makes the second set, with `cell` in each stripe, unless it is there or there is no memory for it. Under the
    /// mutex.
    void widen(SuccessCell cell) noexcept {
        if (is_wide()) return;
        width_ = std::bit_ceil(std::clamp(core_count(), 1U, 8U));
        auto* more = new (std::nothrow) Line[width_];
        if (more == nullptr) return;
        for (unsigned i = 0; i < width_; ++i)
            more[i].stripe.cell.store(cell.bits(), std::memory_order_relaxed);  // relaxed: more_ publishes it (S3)
        more_.store(more, std::memory_order_release);                           // S3
    }
    /// Calls visit(stripe) for every stripe (S4). Under the mutex.
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
    Atomic<Line*> more_{nullptr};  // S3
    unsigned width_{};             // stripes in the second set, a power of two; written before more_ (S3)
};
#ifndef FUSEBOX_EXPLORE  // the atomics of the exploration are larger
static_assert(sizeof(Stripes) <= 48);
#endif

}  // namespace fusebox::detail
