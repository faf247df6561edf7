// A shared mutex whose readers share no cache line.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <thread>

#include <fusebox/core/detail/stripe_number.hpp>

namespace fusebox::detail {

/// For what is read much, written seldom, and never held for long. A reader counts itself in at the stripe of its core, so
/// that readers on different stripes touch no common cache line and looking things up does not get slower with more threads.
/// A writer says that it is there, and then waits until every stripe has been empty.
///
/// Why it is right: a reader adds to its stripe and then looks for a writer; a writer announces itself and then looks at the
/// stripes. All four are seq_cst, so that at least one of the two sees the other: the writer waits for the reader, or the
/// reader steps back and sleeps until the writer has left. Neither waits for the other at the same time.
class StripedSharedMutex {
public:
    static constexpr std::size_t stripes = 16;

private:
    struct alignas(64) Stripe {
        std::atomic<std::size_t> readers{0};
    };

public:
    /// What a reader holds. One thread at a time, and no second one while it holds the first.
    class Shared {
    public:
        // In line: what counts it in waits until all that was written before has left for the cache.
        [[gnu::always_inline]] explicit Shared(StripedSharedMutex& mutex,
                                               std::size_t stripe = stripe_number() % stripes)
            : number_(stripe), stripe_(mutex.stripes_[stripe]) {
            while (true) {
                alone_ = stripe_.readers.fetch_add(1) == 0;
                if (!mutex.writing_.load()) [[likely]]
                    return;
                stripe_.readers.fetch_sub(1);
                const std::lock_guard until_it_has_left{mutex.writers_};
            }
        }
        Shared(const Shared&) = delete;
        Shared& operator=(const Shared&) = delete;
        // release: pairs with the load in lock(), so that the writer comes after all that the reader read, and with what
        // counts the next one in, so that a reader alone comes after all that one before it wrote.
        ~Shared() { stripe_.readers.fetch_sub(1, std::memory_order_release); }

        /// That of the core on which it was taken.
        [[nodiscard]] std::size_t stripe() const noexcept { return number_; }
        /// Whether it found no other at its stripe. While it is there, all that come do find one: of those at a stripe never
        /// more than one is alone. So it may write to what only such a one of that stripe, or a writer, touches.
        [[nodiscard]] bool alone() const noexcept { return alone_; }

    private:
        std::size_t number_;
        Stripe& stripe_;
        bool alone_{};
    };

    void lock() {
        writers_.lock();
        writing_.store(true);
        for (auto& stripe : stripes_) {
            while (stripe.readers.load() != 0) std::this_thread::yield();
        }
    }
    void unlock() {
        // release: pairs with the load in Shared(), so that a reader sees all that was written.
        writing_.store(false, std::memory_order_release);
        writers_.unlock();
    }

private:
    std::mutex writers_;  // held by the one writer
    // Read by every reader, so on a line that nothing else is written to.
    alignas(64) std::atomic<bool> writing_{false};
    std::array<Stripe, stripes> stripes_;
};

}  // namespace fusebox::detail
