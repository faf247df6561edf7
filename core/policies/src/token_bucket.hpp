// A lock-free token bucket in one word.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <fusebox/core/clock.hpp>

namespace fusebox::detail {

/// The generic cell rate algorithm. Starts full. Thread contract: any member from any thread.
///
/// K1  `full_at_` is the time at which the bucket will be full again; a time that has passed means that it is full. It
///     is the whole state: any thread changes it, by one compare-and-swap in take() or one subtraction in give_back().
/// K2  No other data is published with `full_at_`: a thread that takes a token learns nothing about the threads before
///     it. So all accesses are relaxed.
class TokenBucket {
public:
    /// One token every `interval`, at most `burst` of them saved up.
    TokenBucket(Duration interval, std::uint32_t burst, TimePoint now) noexcept
        : interval_(interval), slack_(interval * (static_cast<Duration::rep>(burst) - 1)), full_at_(ticks(now)) {}

    /// Takes the next token if its time comes within `patience`, and gives the time until then; if it does not, gives
    /// that time all the same and takes nothing.
    Duration take(TimePoint now, Duration patience) noexcept {
        // relaxed, here and in the swap: K2.
        auto full_at = full_at_.load(std::memory_order_relaxed);
        while (true) {
            const auto from = std::max(full_at, ticks(now));
            const auto wait = std::max(Duration::zero(), Duration{from - ticks(now)} - slack_);
            if (wait > patience) return wait;
            if (full_at_.compare_exchange_weak(full_at, from + interval_.count(), std::memory_order_relaxed))
                return wait;
        }
    }
    /// Undoes one `take` that took a token. relaxed: K2.
    void give_back() noexcept { full_at_.fetch_sub(interval_.count(), std::memory_order_relaxed); }

private:
    static Duration::rep ticks(TimePoint time) noexcept { return time.time_since_epoch().count(); }

    Duration interval_;
    Duration slack_;
    std::atomic<Duration::rep> full_at_;  // K1
};

}  // namespace fusebox::detail
