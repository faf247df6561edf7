// Handles to breakers, a set for each core.
//
// All copies of a std::shared_ptr are counted in one place. Where several cores look the same breaker up, each of them
// has to wait for the cache line with that count, which takes longer than the look-up. So each core but the first gets
// a handle of its own to every breaker that is looked up there: a std::shared_ptr with a count of its own, which keeps
// one copy of the registry's std::shared_ptr (the entry). "The lock" is the registry's StripedSharedMutex.
//
// H1. `sets_[core]` is touched only by the lone reader of stripe `core` (M7 in striped_mutex.hpp), and by writers,
//     which hold the lock alone (M3). So the sets have no lock of their own.
// H2. A set has a handle only to a breaker that the registry has under that name: handle_to() is given an entry of the
//     registry, under the lock shared, and remove() takes the handles away under the lock alone, together with the
//     entry. So what a set finds is right without a look at the registry's own table.
// H3. The entry is counted once for the registry, once for each set with a handle to it, and once for each copy. A
//     handle is counted once for its set, and once for each copy.
// H4. `first_core_` is `none` until the first look-up, then the core of that look-up for good: the look-up sets it by a
//     compare-and-swap. Look-ups on that core copy entries. Only speed depends on which core it is, and no other data
//     is published with the number, so all accesses are relaxed.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>

#include "name_table.hpp"
#include "striped_mutex.hpp"

namespace fusebox::detail {

/// Thread contract: `of_core`, and what it gives, under a StripedSharedMutex held shared; `remove` and `holders` under
/// the same mutex held alone.
class CoreHandles {
    struct NoRecord {};
    using Handles = NameTable<NoRecord>;
    // On cache lines of its own: each core writes to its set.
    struct alignas(64) Set {
        Handles handles;
    };

public:
    static constexpr std::size_t cores = StripedSharedMutex::stripes;

    /// The handles that one look-up may use: those of its core, or none. Valid as long as the look-up holds its lock.
    class OfCore {
    public:
        /// False: this look-up copies entries.
        [[nodiscard]] explicit operator bool() const noexcept { return set_ != nullptr; }
        /// Null where this core has no handle of that name.
        [[nodiscard]] const std::shared_ptr<CircuitBreaker>* find(std::string_view name) const noexcept {
            return set_ ? find_in(*set_, name) : nullptr;
        }
        /// What the look-up copies: the handle of this core to `entry`'s breaker, made now where there is none; `entry`
        /// itself where this look-up has no handles, or there is no room or no memory for another one.
        [[nodiscard]] const std::shared_ptr<CircuitBreaker>& handle_to(
            const std::shared_ptr<CircuitBreaker>& entry) const noexcept {
            if (!set_) return entry;
            if (const auto* handle = find(entry->name())) return *handle;
            if (set_->handles.size() == most_handles) return entry;
            try {
                const auto counted = std::make_shared<Counted>(entry);
                set_->handles.insert(entry->name(), {counted, entry.get()}, {});  // H1, H2
            } catch (const std::bad_alloc&) {
                return entry;
            }
            return *find(entry->name());
        }

    private:
        friend CoreHandles;
        explicit OfCore(Set* set) noexcept : set_(set) {}
        Set* set_;
    };

    /// For the look-up that holds `lock`. It has no handles on the first core (H4), and where another thread is at the
    /// stripe (H1): one that lost its core in the midst of a look-up, or is on a core that shares the stripe, where
    /// there are more than 16.
    [[nodiscard]] OfCore of_core(const StripedSharedMutex::Shared& lock) noexcept {
        const auto core = lock.stripe();
        // relaxed, here and in the swap: H4.
        auto first = first_core_.load(std::memory_order_relaxed);
        if (first == none && first_core_.compare_exchange_strong(first, core, std::memory_order_relaxed)) first = core;
        return OfCore{first == core || !lock.alone() ? nullptr : &sets_[core]};
    }
    /// The registry has no breaker of this name any more.
    void remove(std::string_view name) noexcept {
        for (auto& set : sets_) {
            if (const auto at = set.handles.find(name); at != Handles::nowhere) set.handles.extract(at);
        }
    }
    /// How many hold `entry`'s breaker beside the registry, that is: copies of `entry` and of the handles to it (H3).
    [[nodiscard]] long holders(const std::shared_ptr<CircuitBreaker>& entry) const noexcept {
        auto count = entry.use_count() - 1;
        for (const auto& set : sets_) {
            // Less one in the entry's count for the set, less one in the handle's count for the set.
            if (const auto* handle = find_in(set, entry->name())) count += handle->use_count() - 2;
        }
        return count;
    }

private:
    // Where a handle is counted: on a cache line of its own.
    struct alignas(64) Counted {
        explicit Counted(std::shared_ptr<CircuitBreaker> entry) : copy(std::move(entry)) {}
        std::shared_ptr<CircuitBreaker> copy;
    };

    [[nodiscard]] static const std::shared_ptr<CircuitBreaker>* find_in(const Set& set,
                                                                        std::string_view name) noexcept {
        const auto at = set.handles.find(name);
        return at == Handles::nowhere ? nullptr : &set.handles.breaker(at);
    }

    static constexpr std::size_t none = cores;
    // For each core, so that a registry of a million breakers stays small: a handle takes some 200 bytes.
    static constexpr std::size_t most_handles = 12'288;

    std::atomic<std::size_t> first_core_{none};  // H4
    std::array<Set, cores> sets_;                // H1
};

}  // namespace fusebox::detail
