// A shared mutex whose readers share no cache line.
//
// M1. `writers_` is held by at most one thread, from the beginning of lock() to the end of unlock(): the writer.
//     `writing_` is true only while a writer holds `writers_`.
// M2. `Stripe::readers` is the number of readers at that stripe: of those that hold the lock shared, and of those that
//     have just come, have not looked at `writing_` yet, and may still step back.
// M3. A reader and a writer never hold the lock at the same time. A reader adds to `readers` and then loads `writing_`;
//     a writer stores `writing_` and then loads every `readers`. All four operations are seq_cst, so at least one of
//     the two sees the other: the reader steps back, or the writer waits until `readers` is 0.
// M4. A reader that sees `writing_` takes itself out of `readers` before it waits for `writers_`. So a reader and a
//     writer never wait for each other, as long as no thread takes the lock, shared or alone, while it holds it
//     already.
// M5. A reader sees all that earlier writers wrote: unlock() stores false to `writing_` with release, and the load of
//     that false by the reader (seq_cst, hence acquire) pairs with the store.
// M6. A writer sees all that earlier readers did: ~Shared() subtracts from `readers` with release, and the load of 0 in
//     lock() pairs with it. Additions and subtractions of further readers in between are read-modify-writes, which pass
//     the release on.
// M7. Of the readers at one stripe at most one is alone. It is the one whose addition found 0; every addition until it
//     has left finds more. Each lone reader sees what the lone readers of that stripe before it wrote: its addition
//     (seq_cst, hence acquire) pairs with their subtractions (release).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <thread>

#include <fusebox/core/detail/stripe_number.hpp>

namespace fusebox::detail {

/// For what is read much, written seldom, and never held for long. A reader counts itself in at the stripe of its core:
/// readers on different cores write to different cache lines, so looking things up does not get slower with more
/// threads. A writer looks at every stripe and is slower for it.
///
/// Thread contract: as std::shared_mutex, with `Shared` as the shared lock; not recursive in either form (M4).
class StripedSharedMutex {
public:
    static constexpr std::size_t stripes = 16;

private:
    struct alignas(64) Stripe {
        std::atomic<std::size_t> readers{0};  // M2, M3, M6, M7
    };

public:
    /// The lock, held shared. Belongs to one thread.
    class Shared {
    public:
        // In line: the addition waits until everything written before it has left for the cache, and a call writes.
        [[gnu::always_inline]] explicit Shared(StripedSharedMutex& mutex,
                                               std::size_t stripe = stripe_number() % stripes)
            : number_(stripe), stripe_(mutex.stripes_[stripe]) {
            while (true) {
                alone_ = stripe_.readers.fetch_add(1) == 0;  // seq_cst: M3, M7
                if (!mutex.writing_.load()) [[likely]]       // seq_cst: M3, M5
                    return;
                stripe_.readers.fetch_sub(1);  // M4
                const std::lock_guard until_the_writer_has_left{mutex.writers_};
            }
        }
        Shared(const Shared&) = delete;
        Shared& operator=(const Shared&) = delete;
        // release: pairs with the load in lock() (M6), and with the addition of the next lone reader (M7).
        ~Shared() { stripe_.readers.fetch_sub(1, std::memory_order_release); }

        /// The stripe at which this reader is counted: that of the core on which it took the lock.
        [[nodiscard]] std::size_t stripe() const noexcept { return number_; }
        /// True for at most one reader of a stripe at a time (M7). That reader may write to what only lone readers of
        /// its stripe, and writers, touch.
        [[nodiscard]] bool alone() const noexcept { return alone_; }

    private:
        std::size_t number_;
        Stripe& stripe_;
        bool alone_{};
    };

    void lock() {
        writers_.lock();
        writing_.store(true);  // seq_cst: M3
        for (auto& stripe : stripes_) {
            while (stripe.readers.load() != 0) std::this_thread::yield();  // seq_cst: M3, M6
        }
    }
    void unlock() {
        writing_.store(false, std::memory_order_release);  // release: pairs with the load in Shared() (M5)
        writers_.unlock();
    }

private:
    // M1: keeps writers apart, and readers that step back wait for it (M4). It guards no member.
    std::mutex writers_;
    // True: a writer holds the lock or waits for readers to leave (M1, M3, M5). Every reader loads the flag, so nothing
    // else lies on its cache line.
    alignas(64) std::atomic<bool> writing_{false};
    std::array<Stripe, stripes> stripes_;
};

}  // namespace fusebox::detail
