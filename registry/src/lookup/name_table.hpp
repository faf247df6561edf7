// A flat hash table of breakers by name.
//
// T1. `slots_` and `records_` have the same size, which is 0 or a power of two. A slot is free exactly where its
//     `breaker` is null. `records_[at]` belongs to `slots_[at]`.
// T2. At most three quarters of the slots are taken, so every search comes to a free slot.
// T3. Between the home of a name and the slot where it lies no slot is free, so a search that comes to a free slot has
//     seen every slot where its name may lie. extract() moves later slots up into the gap to keep it so.
// T4. A name lies in one slot at most, and is the name of the slot's own breaker (or its end): as long as the slot
//     holds the breaker, the bytes of the name are there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <fusebox/core/circuit_breaker.hpp>

namespace fusebox::detail {

/// Eight bytes at a time, each mixed in by a multiplication; the last eight may overlap those before. In line, a
/// look-up takes a third less than with `std::hash`. Whoever chooses the names can make them collide, as with
/// `std::hash`: bound how many names may come from outside.
[[nodiscard]] inline std::uint32_t hash_of(std::string_view name) noexcept {
    const auto mix = [](std::uint64_t hash, const char* from, std::size_t size) {
        std::uint64_t word = 0;
        std::memcpy(&word, from, size);
        hash = (hash ^ word) * 0xff51afd7ed558ccdU;
        return hash ^ hash >> 32U;
    };
    std::uint64_t hash = name.size() * 0x9e3779b97f4a7c15U;
    if (name.size() >= 8) {
        for (std::size_t at = 0; at + 8 < name.size(); at += 8) hash = mix(hash, name.data() + at, 8);
        hash = mix(hash, name.data() + name.size() - 8, 8);
    } else if (!name.empty()) {
        hash = mix(hash, name.data(), name.size());
    }
    return static_cast<std::uint32_t>(hash * 0xc4ceb9fe1a85ec53U >> 32U);
}

/// Breakers by name, each with a `Record` that finding the breaker does not need. Open addressing with linear probing:
/// a search allocates nothing and reads a slot and a name.
///
/// Thread contract: const members from any number of threads at once, the others from one thread that is alone.
/// Positions hold until the next `insert` or `extract`.
template <class Record>
class NameTable {
public:
    static constexpr auto nowhere = static_cast<std::size_t>(-1);

    [[nodiscard]] std::size_t find(std::string_view name) const noexcept {
        if (slots_.empty()) return nowhere;
        const auto hash = hash_of(name);
        for (auto at = home(hash); slots_[at].breaker; at = next(at)) {  // T2, T3
            if (slots_[at].hash == hash && slots_[at].view() == name) return at;
        }
        return nowhere;
    }
    [[nodiscard]] const std::shared_ptr<CircuitBreaker>& breaker(std::size_t at) const noexcept {
        return slots_[at].breaker;
    }
    [[nodiscard]] std::string_view name(std::size_t at) const noexcept { return slots_[at].view(); }
    [[nodiscard]] const Record& record(std::size_t at) const noexcept { return records_[at]; }
    [[nodiscard]] Record& record(std::size_t at) noexcept { return records_[at]; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// `name` lies in the breaker and is not in the table yet (T4).
    void insert(std::string_view name, const std::shared_ptr<CircuitBreaker>& breaker, Record record) {
        if ((size_ + 1) * 4 > slots_.size() * 3) grow();  // T2
        place({.name = name.data(),
               .length = static_cast<std::uint32_t>(name.size()),
               .hash = hash_of(name),
               .breaker = breaker},
              std::move(record));
        ++size_;
    }

    /// Takes out the breaker at `at`.
    std::shared_ptr<CircuitBreaker> extract(std::size_t at) noexcept {
        auto breaker = std::exchange(slots_[at], Slot{}).breaker;
        records_[at] = Record{};
        --size_;
        // T3: a slot behind the gap moves up where the gap lies between its home and itself.
        auto gap = at;
        for (at = next(gap); slots_[at].breaker; at = next(at)) {
            const bool home_is_behind_gap = steps(home(slots_[at].hash), at) < steps(gap, at);
            if (home_is_behind_gap) continue;
            slots_[gap] = std::exchange(slots_[at], Slot{});
            records_[gap] = std::exchange(records_[at], Record{});
            gap = at;
        }
        return breaker;
    }

    /// Calls `visit(position)` for each breaker, in no order.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t at = 0; at < slots_.size(); ++at) {
            if (slots_[at].breaker) visit(at);
        }
    }

private:
    struct Slot {
        const char* name{};  // T4
        std::uint32_t length{};
        std::uint32_t hash{};
        std::shared_ptr<CircuitBreaker> breaker{};  // null: the slot is free (T1)

        [[nodiscard]] std::string_view view() const noexcept { return {name, length}; }
    };

    /// Where the search for a name of this hash begins.
    [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept { return hash & (slots_.size() - 1); }
    [[nodiscard]] std::size_t next(std::size_t at) const noexcept { return (at + 1) & (slots_.size() - 1); }
    [[nodiscard]] std::size_t steps(std::size_t from, std::size_t to) const noexcept {
        return (to - from) & (slots_.size() - 1);
    }

    void place(Slot slot, Record record) noexcept {
        auto at = home(slot.hash);
        while (slots_[at].breaker) at = next(at);
        slots_[at] = std::move(slot);
        records_[at] = std::move(record);
    }
    void grow() {
        const auto size = std::max<std::size_t>(16, slots_.size() * 2);  // T1
        std::vector<Slot> slots(size);
        std::vector<Record> records(size);
        slots.swap(slots_);
        records.swap(records_);
        for (std::size_t at = 0; at < slots.size(); ++at) {
            if (slots[at].breaker) place(std::move(slots[at]), std::move(records[at]));
        }
    }

    std::vector<Slot> slots_;
    std::vector<Record> records_;  // apart from the slots, so that a search has less to load
    std::size_t size_{};           // taken slots
};

}  // namespace fusebox::detail
