// A flat hash table of breakers by name.
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

/// Eight bytes at a time, each mixed in by a multiplication; the last eight may overlap those before. In line, a third of a
/// look-up less than `std::hash`. Who chooses the names can make them collide, as there: bound how many may come.
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

/// Breakers by name, each with a `Rest` that a look-up does not need. Open addressing with linear probing: a look-up
/// allocates nothing and reads a slot and a name. The name is the breaker's own (or its end), so that there is one copy
/// of it. Not thread-safe. Positions hold until the next `insert` or `extract`.
template <class Rest>
class NameTable {
public:
    static constexpr auto nowhere = static_cast<std::size_t>(-1);

    [[nodiscard]] std::size_t find(std::string_view name) const noexcept {
        if (slots_.empty()) return nowhere;
        const auto hash = hash_of(name);
        for (auto at = home(hash); slots_[at].breaker; at = next(at)) {
            if (slots_[at].hash == hash && slots_[at].view() == name) return at;
        }
        return nowhere;
    }
    [[nodiscard]] const std::shared_ptr<CircuitBreaker>& breaker(std::size_t at) const noexcept {
        return slots_[at].breaker;
    }
    [[nodiscard]] std::string_view name(std::size_t at) const noexcept { return slots_[at].view(); }
    [[nodiscard]] const Rest& rest(std::size_t at) const noexcept { return rests_[at]; }
    [[nodiscard]] Rest& rest(std::size_t at) noexcept { return rests_[at]; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// `name` lies in the breaker and is not in the table yet.
    void insert(std::string_view name, const std::shared_ptr<CircuitBreaker>& breaker, Rest rest) {
        // At most three quarters full, so that runs stay short and every search ends at an empty slot.
        if ((size_ + 1) * 4 > slots_.size() * 3) grow();
        place({.name = name.data(),
               .length = static_cast<std::uint32_t>(name.size()),
               .hash = hash_of(name),
               .breaker = breaker},
              std::move(rest));
        ++size_;
    }

    /// Takes out what is at `at`.
    std::shared_ptr<CircuitBreaker> extract(std::size_t at) noexcept {
        auto breaker = std::exchange(slots_[at], Slot{}).breaker;
        rests_[at] = Rest{};
        --size_;
        // Those behind the gap move up where their search would otherwise end in it.
        auto gap = at;
        for (at = next(gap); slots_[at].breaker; at = next(at)) {
            const bool stays = steps(home(slots_[at].hash), at) < steps(gap, at);
            if (stays) continue;
            slots_[gap] = std::exchange(slots_[at], Slot{});
            rests_[gap] = std::exchange(rests_[at], Rest{});
            gap = at;
        }
        return breaker;
    }

    /// Calls `visit(position)` for each, in no order.
    template <class Visit>
    void for_each(Visit visit) const {
        for (std::size_t at = 0; at < slots_.size(); ++at) {
            if (slots_[at].breaker) visit(at);
        }
    }

private:
    struct Slot {
        const char* name{};
        std::uint32_t length{};
        std::uint32_t hash{};
        std::shared_ptr<CircuitBreaker> breaker{};  // null: empty

        [[nodiscard]] std::string_view view() const noexcept { return {name, length}; }
    };

    [[nodiscard]] std::size_t home(std::uint32_t hash) const noexcept { return hash & (slots_.size() - 1); }
    [[nodiscard]] std::size_t next(std::size_t at) const noexcept { return (at + 1) & (slots_.size() - 1); }
    [[nodiscard]] std::size_t steps(std::size_t from, std::size_t to) const noexcept {
        return (to - from) & (slots_.size() - 1);
    }

    void place(Slot slot, Rest rest) noexcept {
        auto at = home(slot.hash);
        while (slots_[at].breaker) at = next(at);
        slots_[at] = std::move(slot);
        rests_[at] = std::move(rest);
    }
    void grow() {
        const auto size = std::max<std::size_t>(16, slots_.size() * 2);
        std::vector<Slot> slots(size);
        std::vector<Rest> rests(size);
        slots.swap(slots_);
        rests.swap(rests_);
        for (std::size_t at = 0; at < slots.size(); ++at) {
            if (slots[at].breaker) place(std::move(slots[at]), std::move(rests[at]));
        }
    }

    std::vector<Slot> slots_;  // a power of two of them, or none
    std::vector<Rest> rests_;  // each of the slot at its position; apart, so that a look-up has less to load
    std::size_t size_{};
};

}  // namespace fusebox::detail
