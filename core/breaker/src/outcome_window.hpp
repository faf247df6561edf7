// The recent outcomes by which a breaker is judged: those of the last so many seconds, or the last N (R13). An outcome
// is "bad" if it is a failure, a slow call, or both; only of bad outcomes more than their number has to be kept.
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
#include "success_cell.hpp"

namespace fusebox::detail {

/// The outcomes of the last so many seconds, counted in slices of time. Not thread-safe.
///
/// T1  Slice i covers the time from `origin_ + i * length_` to `origin_ + (i + 1) * length_`, without its end.
/// T2  The newest slice is `running_`, and outcomes are added to it. The newest `capacity_` slices are kept, one more
///     than configured: the running slice is not complete, and without the extra slice an outcome would be forgotten up
///     to a slice too early.
/// T3  `sums_` is the sum over all slices that are kept.
/// T4  Slice i lies at index `i % capacity_` of `totals_` and `bad_`. As long as only the running slice holds anything,
///     `sums_` says it all and there are no arrays: `totals_` is allocated when the first slice ends that holds an
///     outcome (8 bytes a slice), `bad_` when the first slice ends that holds a bad outcome (16 bytes a slice).
class TimeSlices {
public:
    TimeSlices(const TimeWindow& shape, TimePoint origin, TimePoint now);

    /// Adds to the running slice.
    void add(const WindowCounts& counts) noexcept;
    /// When the running slice ends.
    [[nodiscard]] TimePoint end() const noexcept;
    /// Makes the slice of `now` the running one, and forgets slices that are too old; without memory, all of them.
    void roll(TimePoint now) noexcept;
    void clear(TimePoint now) noexcept;
    /// What sums() would be after roll(now), plus `in_cells` successes in the running slice. Changes nothing (R5).
    [[nodiscard]] WindowCounts counts_at(TimePoint now, std::uint64_t in_cells) const noexcept;
    [[nodiscard]] const WindowCounts& sums() const noexcept { return sums_; }
    /// Takes over what slices of another length hold, as far as this window still covers it. After reserve().
    void take_over(const TimeSlices& other) noexcept;
    /// Allocates both arrays now. False: there is no memory.
    bool reserve() noexcept { return reserve_totals() && reserve_bad(); }

private:
    struct Bad {
        std::uint64_t failures{};
        std::uint64_t slow{};
    };

    [[nodiscard]] std::int64_t slice_of(TimePoint time) const noexcept { return (time - origin_) / length_; }
    [[nodiscard]] std::size_t index_of(std::int64_t slice) const noexcept {
        return static_cast<std::size_t>(slice % capacity_);
    }
    bool reserve_totals() noexcept;
    bool reserve_bad() noexcept;
    [[nodiscard]] WindowCounts counts_of(std::int64_t slice) const noexcept;
    void add_to_slice(std::int64_t slice, const WindowCounts& counts) noexcept;
    void forget(std::int64_t slice) noexcept;
    void clear() noexcept;

    TimePoint origin_;  // no time before this one is ever given to this window
    Duration length_;
    std::int64_t running_;
    std::int64_t capacity_;
    std::unique_ptr<std::uint64_t[]> totals_;  // T4
    std::unique_ptr<Bad[]> bad_;               // T4
    WindowCounts sums_;                        // T3
};

/// The last N outcomes. Not thread-safe.
///
/// L1  Outcomes are numbered from 1 in the order in which they are recorded. Successes in the cells have no number yet:
///     they count as the newest ones, and the caller of a function says how many there are (`in_cells`).
/// L2  `recorded_` is how many outcomes have been recorded outside the cells. So the newest of all has the number
///     `recorded_ + in_cells`, and the window is that number and the N - 1 numbers below it.
/// L3  Only bad outcomes are stored: `bad_` is a ring of N places, in which `stored_` entries begin at `first_`, the
///     oldest first. More than N cannot be among the last N.
/// L4  An entry may be older than the window: newer successes push it out without touching the ring. counts() leaves
///     such entries out, add_bad() removes them.
/// L5  `failures_` and `slow_` are the sums over all stored entries, those older than the window included.
class LastOutcomes {
public:
    explicit LastOutcomes(const CountWindow& shape);

    void add_successes(std::uint64_t count) noexcept { recorded_ += static_cast<std::int64_t>(count); }
    void add_bad(bool failure, bool slow, std::uint64_t in_cells) noexcept;
    void clear() noexcept;
    [[nodiscard]] WindowCounts counts(std::uint64_t in_cells) const noexcept;
    /// May be true although the last bad outcome has left the window (L4).
    [[nodiscard]] bool any_bad() const noexcept { return stored_ != 0; }
    [[nodiscard]] std::uint32_t size() const noexcept { return static_cast<std::uint32_t>(bad_.size()); }
    /// Takes over what a window of another size holds, as far as it fits. Nothing may be in the cells.
    void take_over(const LastOutcomes& other) noexcept;

private:
    struct Bad {
        std::int64_t number{};  // L1
        bool failure{};
        bool slow{};
    };
    [[nodiscard]] const Bad& bad(std::size_t index) const noexcept { return bad_[(first_ + index) % bad_.size()]; }

    std::int64_t recorded_{};   // L2
    std::vector<Bad> bad_;      // L3
    std::size_t first_{};       // L3
    std::size_t stored_{};      // L3
    std::uint64_t failures_{};  // L5
    std::uint64_t slow_{};      // L5
};

/// The window of a breaker. Thread contract: try_success() from any thread; everything else under the breaker's mutex.
///
/// Plain successes are by far the most frequent outcomes. try_success() records them without the mutex, in the
/// SuccessCell of the calling thread's stripe: "the cells" are those of all stripes. All other outcomes are recorded
/// under the mutex.
///
/// W1  Where an outcome is. A success that try_success() has recorded is in one cell, until a thread with the mutex
///     empties the cell; from then on it is in `lifetime_`, and in `outcomes_` if the window still holds it. All other
///     outcomes go to `outcomes_` at once. So the successes since the breaker was made are `lifetime_` plus the cells;
///     and while the window records (`recording_`), the window is `outcomes_` plus the cells. A window that does not
///     record is empty.
/// W2  Who writes. A cell: any thread, by the compare-and-swap in try_success(); a thread with the mutex, by an
///     exchange. The breaker's word, `end_` and everything else here: only a thread with the mutex.
/// W3  The seal. A sealing, seal_cells(), exchanges each cell for an empty one with the next seal number. So a
///     compare-and-swap that succeeds proves that its cell was not sealed between the load and the swap. (Seal numbers
///     repeat after 2^25. The proof fails for a thread that stands still between its load and its swap for exactly so
///     many sealings, or a multiple, and then finds the same successes and nanoseconds in the cell again.)
/// W4  The slice. `end_` is when the running slice ends. roll() seals the cells first and stores the new `end_`
///     afterwards (release). try_success() loads the cell, then `end_` (acquire), and swaps last. If `end_` is that of
///     the new slice, the sealing comes before the swap, so the swap fails if its cell is older than the sealing (W3).
///     So no success gets into a slice that had ended before it. A success that finds the new cell and the old `end_`
///     came before the end of the old slice, and is counted in the new slice, as if it had come a moment later.
/// W5  The generation. A transition does four things, in this order and all under the mutex: it stores the earliest of
///     all times in `end_` (suspend()), stores the word, seals the cells, and stores the end of the slice in `end_`;
///     each store is a release. try_success() does four things in this order: it loads the cell, the word and `end_`,
///     each by an acquire, and swaps. Say that the word is the one that admitted the call, and that the swap succeeds.
///     Then the cell belongs to the generation of this word:
///     - Not to a later one: the cells are sealed for a generation only after its word is stored, so a thread that
///       loads such a cell also loads that word, or one after it.
///     - Not to an earlier one: a thread that loads the word also loads the suspension or a later `end_`. By the
///       suspension it is refused. A later `end_` was stored after the sealing, so a swap against a cell from before
///       the sealing fails (W3).
/// W6  Full cells. make_room() exchanges a full cell for an empty one with the same seal. Slice and generation stay the
///     same, so a swap that takes the emptied cell for the one that was loaded adds to the right cell.
/// W7  Durations. The cells count successes with known durations, or those with unknown ones (`measured_`):
///     set_measured() seals the cells. A success of the other kind is refused, and recorded under the mutex.
/// W8  Judging. The swap of try_success() and the loads of in_cells() are seq_cst: I5 in circuit_breaker_impl.hpp needs
///     them in one order with the stores and loads of the countdown.
/// W9  Metrics. successes() loads each cell with acquire, which pairs with the swaps of try_success(): a thread that
///     reads the metrics also sees what other threads wrote before the successes that it counts.
class OutcomeWindow {
public:
    OutcomeWindow(Stripes& stripes, const Window& shape, bool measured, bool recording, TimePoint now);

    /// A plain success.
    struct Success {
        std::uint64_t admitted_by{};  ///< the breaker's word when the call was admitted
        TimePoint ended{};
        bool measured{};
        Duration duration{};  ///< 0 … SuccessCell::longest; 0 unless measured
    };
    enum class Try : std::uint8_t {
        refused,    ///< not recorded: it takes the mutex
        recorded,   ///< in the window, and counted for life
        contended,  ///< not recorded, because another thread changed the cell in the same moment: try again
    };
    /// Records a success, by one compare-and-swap. `word`: the breaker's.
    [[nodiscard]] Try try_success(Stripe& stripe, const Atomic<std::uint64_t>& word, const Success& success) noexcept {
        auto bits = stripe.cell.load(std::memory_order_acquire);  // pairs with the exchange in empty() (W4, W5)
        const SuccessCell cell{bits};
        if (word.load(std::memory_order_acquire) != success.admitted_by || !cell.takes(success.measured) ||  // W5, W7
            success.ended.time_since_epoch().count() >= end_.load(std::memory_order_acquire)) {              // W4, W5
            return Try::refused;
        }
        // strong: a swap that fails without a cause would look like contention. seq_cst: W8. relaxed on failure: what
        // the swap finds is not used.
        return stripe.cell.compare_exchange_strong(bits, cell.plus(success.duration).bits(), std::memory_order_seq_cst,
                                                   std::memory_order_relaxed)
                   ? Try::recorded
                   : Try::contended;
    }

    /// Gives every core its own cell.
    void widen() noexcept { stripes_.widen(empty_cell()); }
    /// Records a success that try_success() refused.
    void add_success() noexcept;
    /// Counts for life a success that try_success() refused.
    void count_success(bool measured, Duration duration) noexcept;
    /// Empties the calling thread's cell if it is full (W6).
    void make_room() noexcept;
    void add_bad(bool failure, bool slow) noexcept;
    /// Begins the slice of `now` if the running slice has ended (W4). To be called before adding.
    void roll(TimePoint now) noexcept;
    /// Which successes try_success() takes from now on: those with known durations, or those with unknown ones (W7).
    void set_measured(bool measured) noexcept;
    /// Lets no success in by try_success() until clear(), seal() or reshape(). Before a new word is stored (W5).
    void suspend() noexcept;
    /// Empties the window. After a new word is stored (W5), and in between where a window begins anew. Without
    /// `recording` it stays empty, and successes are only counted for life.
    void clear(bool recording, TimePoint now) noexcept;
    /// Keeps what the window holds. After a new word is stored (W5).
    void seal() noexcept;
    /// Takes a new shape, and keeps what it holds as far as both shapes allow (R51). May throw, and then changes
    /// nothing.
    void reshape(const Window& shape, TimePoint now);

    [[nodiscard]] WindowCounts counts(TimePoint now) const noexcept;
    /// Successes since the breaker was made: those that try_success() recorded, and those given to count_success(). All
    /// is read from each cell at once, so `durations` are those of the successes in `measured` (C3 in
    /// success_cell.hpp).
    struct Successes {
        std::uint64_t measured{};
        std::uint64_t unmeasured{};
        Duration durations{};
    };
    [[nodiscard]] Successes successes() const noexcept;
    /// False where no bad outcome is in the window, so that no rate can be reached. True may be too much (L4).
    [[nodiscard]] bool any_bad() const noexcept;
    /// `minimum_requests`, or the size of a count window that cannot hold so many.
    [[nodiscard]] std::uint64_t minimum(std::uint32_t configured) const noexcept;

private:
    /// What widen() and emptying put into a cell.
    [[nodiscard]] SuccessCell empty_cell() const noexcept { return {seal_, measured_}; }
    /// Moves what the cell holds to `lifetime_` and returns how many successes the window has to take over, none where
    /// it does not record (W1).
    std::uint64_t empty(Stripe& stripe) noexcept;
    /// A sealing (W3): does the same for all cells.
    std::uint64_t seal_cells() noexcept;
    /// How many successes are in the cells.
    [[nodiscard]] std::uint64_t in_cells() const noexcept;
    void add_successes(std::uint64_t count) noexcept;
    void publish_end() noexcept;

    static constexpr auto never = std::numeric_limits<TimePoint::rep>::max();
    static constexpr auto suspended = std::numeric_limits<TimePoint::rep>::min();

    /// From which time on try_success() refuses (W4, W5): the end of the running slice; `never` in a count window and
    /// in one that does not record; or `suspended`.
    Atomic<TimePoint::rep> end_{never};
    Stripes& stripes_;
    TimePoint origin_;
    std::uint32_t seal_{};                             // number of the last sealing; the cells have 25 bits of it (W3)
    bool measured_;                                    // the cells count successes with known durations (W7)
    bool recording_;                                   // W1
    Successes lifetime_{};                             // W1
    std::variant<TimeSlices, LastOutcomes> outcomes_;  // W1
};

}  // namespace fusebox::detail
