// The calls in flight, so that a call that hangs is seen before it returns (R17).
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/detail/sync.hpp>

namespace fusebox::detail {

/// Up to 1024 calls in flight, oldest first. A call hangs when it has been in flight for the threshold or longer.
/// Further calls are not watched: with so many in flight the breaker has long had the chance to see that the dependency
/// hangs. Takes 40 KiB, so a breaker makes one for its first threshold.
///
/// Thread contract: any member from any thread.
///
/// N1  `mutex_` guards all other members. Each member function holds it from its beginning to its end.
/// N2  A watched call has a slot of `calls_` from begin() to end(). Until end() or take_hung() takes it out, it is in
///     the list from `oldest_` to `newest_`, in the order of admission.
/// N3  The slots without a call are in the list that begins at `free_`.
/// N4  `mutex_` may be taken under the breaker's mutex. No lock is taken under it.
class WatchedCalls {
public:
    static constexpr std::uint32_t capacity = 1024;

    struct Place {
        std::uint32_t slot{};
        std::uint64_t ticket{};  // 0: not watched
    };
    struct Settled {
        bool counted_as_hung{};  // take_hung() has returned this call
        bool another_hangs{};
    };

    WatchedCalls() {
        for (std::uint32_t slot = 0; slot < capacity; ++slot) calls_[slot].next = slot + 1 < capacity ? slot + 1 : none;
    }

    /// Empty: no call hangs any more, however long it takes.
    void set_threshold(std::optional<Duration> threshold) noexcept {
        const std::scoped_lock lock{mutex_};
        threshold_ = threshold;
    }

    /// Watches a call that is admitted at `now`. Empty, with nothing done: a call hangs and has to be judged first.
    [[nodiscard]] std::optional<Place> begin(std::uint64_t generation, TimePoint now) noexcept {
        const std::scoped_lock lock{mutex_};
        if (any_hangs(now)) return std::nullopt;
        if (!threshold_ || free_ == none) return Place{};
        const auto slot = free_;
        auto& call = calls_[slot];
        free_ = call.next;
        call = {.ticket = ++last_ticket_, .generation = generation, .started = now, .previous = newest_};
        if (newest_ == none) {
            oldest_ = slot;
        } else {
            calls_[newest_].next = slot;
        }
        newest_ = slot;
        return Place{slot, call.ticket};
    }

    Settled end(const Place& place, TimePoint now) noexcept {
        const std::scoped_lock lock{mutex_};
        auto& call = calls_[place.slot];
        const auto counted = call.counted_as_hung;
        if (!counted) unlink(place.slot);
        call = {.next = std::exchange(free_, place.slot)};
        return {counted, any_hangs(now)};
    }

    [[nodiscard]] bool any_hung(TimePoint now) noexcept {
        const std::scoped_lock lock{mutex_};
        return any_hangs(now);
    }

    /// Marks every call that hangs as counted. Returns how many of these calls belong to `generation`, and calls
    /// `each(in_flight)` for each of them, with the time since its admission. `each` runs under `mutex_` and must not
    /// call a member.
    template <class Each>
    std::uint32_t take_hung(std::uint64_t generation, TimePoint now, const Each& each) noexcept {
        const std::scoped_lock lock{mutex_};
        std::uint32_t count = 0;
        while (any_hangs(now)) {
            auto& call = calls_[oldest_];
            unlink(oldest_);
            call.counted_as_hung = true;
            if (call.generation != generation) continue;
            ++count;
            each(now - call.started);
        }
        return count;
    }

private:
    static constexpr std::uint32_t none = ~0U;

    struct Call {
        std::uint64_t ticket{};
        std::uint64_t generation{};
        TimePoint started{};
        std::uint32_t previous{none};
        std::uint32_t next{none};  // younger call, or next free slot
        bool counted_as_hung{};
    };

    [[nodiscard]] bool any_hangs(TimePoint now) const noexcept {
        return threshold_ && oldest_ != none && now - calls_[oldest_].started >= *threshold_;
    }
    void unlink(std::uint32_t slot) noexcept {
        const auto& call = calls_[slot];
        (call.previous == none ? oldest_ : calls_[call.previous].next) = call.next;
        (call.next == none ? newest_ : calls_[call.next].previous) = call.previous;
    }

    Mutex mutex_;  // guards everything below (N1, N4)
    std::optional<Duration> threshold_;
    std::array<Call, capacity> calls_;
    std::uint32_t oldest_{none};
    std::uint32_t newest_{none};
    std::uint32_t free_{};
    std::uint64_t last_ticket_{};
};

}  // namespace fusebox::detail
