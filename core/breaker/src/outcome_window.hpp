// The recent outcomes that are judged: over a time, or the last N (R13).
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>
#include <memory>
#include <variant>
#include <vector>

#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/detail/sync.hpp>
#include <fusebox/core/transition_report.hpp>

#include "stripe.hpp"

namespace fusebox::detail {

/// Outcomes in slices of time. One slice more than the configured ones is kept: the running one is not complete, and
/// without the extra one an outcome would be forgotten up to a slice too early (R13). Takes memory when the first slice that
/// holds anything ends (8 bytes a slice), and when the first one ends that holds a failure or a slow call (16 more). Not
/// thread-safe.
class TimeSlices {
public:
    TimeSlices(const TimeWindow& shape, TimePoint origin, TimePoint now);

    /// Adds to the running slice.
    void add(const WindowCounts& counts) noexcept;
    /// When the running slice ends.
    [[nodiscard]] TimePoint end() const noexcept;
    /// Begins the slice of `now`, forgets those that are too old; where there is no memory for them, all of them.
    void roll(TimePoint now) noexcept;
    void clear(TimePoint now) noexcept;
    /// As roll(now) would leave it, plus `live` in the running slice; changes nothing (R5).
    [[nodiscard]] WindowCounts counts_at(TimePoint now, std::uint64_t live) const noexcept;
    [[nodiscard]] const WindowCounts& sums() const noexcept { return sums_; }
    /// Takes what another division of time holds and this one still covers. This one must have its memory.
    void take(const TimeSlices& other) noexcept;
    /// Takes all that memory now. False: there is none.
    bool reserve() noexcept { return reserve_totals() && reserve_bad(); }

private:
    struct Bad {
        std::uint64_t failures{};
        std::uint64_t slow{};
    };

    [[nodiscard]] std::int64_t slice_of(TimePoint time) const noexcept { return (time - origin_) / length_; }
    [[nodiscard]] std::size_t place(std::int64_t slice) const noexcept {
        return static_cast<std::size_t>(slice % reach_);
    }
    bool reserve_totals() noexcept;
    bool reserve_bad() noexcept;
    [[nodiscard]] WindowCounts held_by(std::int64_t slice) const noexcept;
    void add_to_slice(std::int64_t slice, const WindowCounts& counts) noexcept;
    void forget(std::int64_t slice) noexcept;
    void clear() noexcept;

    TimePoint origin_;  // of all slices; no slice begins before it
    Duration length_;
    std::int64_t running_;  // number of the slice that is added to
    std::int64_t reach_;    // how many are kept
    // Null: all that there is of it, is in the running one.
    std::unique_ptr<std::uint64_t[]> totals_;
    std::unique_ptr<Bad[]> bad_;
    WindowCounts sums_;
};

/// The last N outcomes: how many there were, and the numbers of those that were failures or slow. Not thread-safe.
class LastOutcomes {
public:
    explicit LastOutcomes(const CountWindow& shape);

    void add_successes(std::uint64_t count) noexcept { recorded_ += static_cast<std::int64_t>(count); }
    /// `live`: successes recorded before this one that were not added yet.
    void add_bad(bool failure, bool slow, std::uint64_t live) noexcept;
    void clear() noexcept;
    [[nodiscard]] WindowCounts counts(std::uint64_t live) const noexcept;
    /// Those that are kept; may still count what newer successes have pushed out.
    [[nodiscard]] bool any_bad() const noexcept { return kept_ != 0; }
    [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(bad_.size()); }
    /// Takes what the other one holds, as far as it fits. The other one must have all its successes.
    void take(const LastOutcomes& other) noexcept;

private:
    struct Bad {
        std::int64_t number{};
        bool failure{};
        bool slow{};
    };
    [[nodiscard]] const Bad& bad(std::size_t index) const noexcept { return bad_[(first_ + index) % bad_.size()]; }

    std::int64_t recorded_{};  // outcomes so far, without live ones; the newest one has this number
    std::vector<Bad> bad_;     // ring of N: more cannot be among the last N
    std::size_t first_{};
    std::size_t kept_{};
    std::uint64_t failures_{};
    std::uint64_t slow_{};
};

/// The window of a breaker. Thread contract: `try_success` from any thread; everything else under the breaker's mutex.
///
/// Plain successes are by far the most frequent and are recorded without a lock: each stripe has one atomic cell
///     { generation: 24 bits | measured: 1 bit | seal: 23 bits | successes: 16 bits }
/// that a success bumps by compare-and-swap, which is the moment at which it is recorded, and counted for life. Beginning a
/// new slice, or a transition, seals the cells: under the mutex each one is exchanged for an empty one with a new seal, and
/// what it held goes to the slice that has ended, or is dropped. A success that looked before and swaps after therefore
/// fails, and looks again: none can land in a slice or a generation that it does not belong to (R8, R13).
class OutcomeWindow {
public:
    OutcomeWindow(Stripes& stripes, const Window& shape, bool measured, bool recording, TimePoint now);

    enum class Try : std::uint8_t {
        refused,    ///< nothing was done: ask again under the mutex
        recorded,   ///< at the first attempt
        contended,  ///< recorded, but another thread was at the same cell in the same moment
    };
    /// Records a plain success of `generation` at `now`. `measured`: whether its duration is known.
    [[nodiscard]] Try try_success(Stripe& stripe, std::uint64_t generation, bool measured, TimePoint now) noexcept {
        // acquire: pairs with the exchange in gather(): with the new cell comes all that was written before it.
        auto cell = stripe.cell.load(std::memory_order_acquire);
        for (auto result = Try::recorded;; result = Try::contended) {
            // acquire on end_: pairs with the release in publish_end(): who sees the end of a new slice comes after the sealing
            // of the old one, so that the swap below fails if `cell` is older.
            if (tag_of(cell) != tag(generation, measured) || successes_of(cell) == most_successes ||
                now.time_since_epoch().count() >= end_.load(std::memory_order_acquire)) {
                return Try::refused;
            }
            // strong: one that fails without a cause would count as contention. seq_cst on success: the caller reads next
            // when to judge, I5 in circuit_breaker_impl.hpp.
            if (stripe.cell.compare_exchange_strong(cell, cell + 1, std::memory_order_seq_cst,
                                                    std::memory_order_acquire)) {
                return result;
            }
        }
    }

    /// Gives every core its own cell.
    void widen() noexcept { stripes_.widen(empty_cell()); }
    void add_success() noexcept;
    /// Empties cells that are full. Once in 65535 successes this costs a sealing.
    void make_room() noexcept;
    /// Counts for life a success that `try_success` did not record.
    void count_success(bool measured) noexcept { ++(measured ? gathered_.measured : gathered_.unmeasured); }
    void add_bad(bool failure, bool slow) noexcept;
    /// Begins the slice of `now` if the last one has ended. To be called before adding.
    void roll(TimePoint now) noexcept;
    /// From now on successes are recorded without the lock if their durations are known, or if they are not.
    void set_measured(bool measured) noexcept;
    /// Empties it, for `generation`. Not `recording`: its successes are counted for life and are not in the window.
    void clear(std::uint64_t generation, bool recording, TimePoint now) noexcept;
    /// Keeps what it holds, to be read only: outcomes of an earlier generation come in no more.
    void seal(std::uint64_t generation) noexcept;
    /// Takes a new shape, keeps what it holds as far as that makes sense (R51).
    void reshape(const Window& shape, TimePoint now);

    [[nodiscard]] WindowCounts counts(TimePoint now) const noexcept;
    /// What `try_success` has recorded ever since, and `count_success` counted: with known durations, and without.
    struct Successes {
        std::uint64_t measured{};
        std::uint64_t unmeasured{};
    };
    [[nodiscard]] Successes successes() const noexcept;
    /// False where no failure and no slow call is in the window, hence no rate can be reached.
    [[nodiscard]] bool any_bad() const noexcept;
    /// `minimum_requests`, as far as the window can hold so many.
    [[nodiscard]] std::uint64_t minimum(std::uint32_t configured) const noexcept;

private:
    static constexpr std::uint64_t most_successes = 0xFFFF;
    static constexpr std::uint64_t tag(std::uint64_t generation, bool measured) noexcept {
        return (generation & 0xFF'FFFFU) << 1U | (measured ? 1U : 0U);
    }
    static constexpr std::uint64_t tag_of(std::uint64_t cell) noexcept { return cell >> 39U; }
    static constexpr std::uint64_t successes_of(std::uint64_t cell) noexcept { return cell & most_successes; }

    [[nodiscard]] std::uint64_t empty_cell() const noexcept {
        return tag(generation_, measured_) << 39U | (std::uint64_t{seals_} & 0x7F'FFFFU) << 16U;
    }
    /// Seals all cells for `generation`; what they held for the window.
    std::uint64_t gather(std::uint64_t generation) noexcept;
    std::uint64_t gather(std::uint64_t generation, bool measured) noexcept;
    /// What the cells hold now.
    [[nodiscard]] std::uint64_t live() const noexcept;
    void add_gathered(std::uint64_t successes) noexcept;
    void publish_end() noexcept;

    // When the running slice ends; of a count window, and where it does not record, never.
    Atomic<TimePoint::rep> end_{std::numeric_limits<TimePoint::rep>::max()};
    Stripes& stripes_;
    TimePoint origin_;
    std::uint64_t generation_{};  // that the cells are tagged with
    std::uint32_t seals_{};       // the cells have its lower 23 bits
    bool measured_;               // the cells are tagged with it, too
    bool recording_;
    Successes gathered_{};
    std::variant<TimeSlices, LastOutcomes> sealed_;
};

}  // namespace fusebox::detail
