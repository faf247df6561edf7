// Handles to breakers, a set for each core.
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

/// All copies of a `std::shared_ptr` are counted in one place. Cores that look the same breakers up wait there for each other's
/// cache line, longer than the look-up takes. So each core but the first gets handles of its own to what is looked up on it: a
/// second count, which holds the first.
///
/// Thread contract: `of_core` under a lock that is shared, and what it gives until that is released; the rest under the same
/// one held alone.
class CoreHandles {
    struct Nothing {};
    using Handles = NameTable<Nothing>;

public:
    static constexpr std::size_t cores = StripedSharedMutex::stripes;

    /// Those of one core, which is a stripe of the lock. Touched by a reader that is alone at that stripe, or by a writer.
    class alignas(64) OfCore {
    public:
        /// Null where there is none.
        [[nodiscard]] const std::shared_ptr<CircuitBreaker>* find(std::string_view name) const noexcept {
            const auto at = handles_.find(name);
            return at == Handles::nowhere ? nullptr : &handles_.breaker(at);
        }
        /// `entry`, which the registry holds itself, where there is none and no room for one.
        [[nodiscard]] const std::shared_ptr<CircuitBreaker>& find_or_add(
            const std::shared_ptr<CircuitBreaker>& entry) noexcept {
            if (const auto* handle = find(entry->name())) return *handle;
            if (handles_.size() == most) return entry;
            try {
                const auto held = std::make_shared<Held>(entry);
                handles_.insert(entry->name(), {held, entry.get()}, {});
            } catch (const std::bad_alloc&) {
                return entry;
            }
            return *find(entry->name());
        }

    private:
        friend CoreHandles;
        Handles handles_;
    };

    /// Null where what the registry holds itself serves: for the first core, and where another thread is at the stripe: one
    /// that lost its core in the midst of a look-up, or is on a core that shares the stripe, where there are more than 16.
    [[nodiscard]] OfCore* of_core(const StripedSharedMutex::Shared& lock) noexcept {
        const auto core = lock.stripe();
        // relaxed: whichever core is the first, all that hangs on it is speed.
        auto first = first_core_.load(std::memory_order_relaxed);
        if (first == none && first_core_.compare_exchange_strong(first, core, std::memory_order_relaxed)) first = core;
        return first == core || !lock.alone() ? nullptr : &sets_[core];
    }
    void remove(std::string_view name) noexcept {
        for (auto& set : sets_) {
            if (const auto at = set.handles_.find(name); at != Handles::nowhere) set.handles_.extract(at);
        }
    }
    /// How many hold `entry`'s breaker beside the registry, whose own is `entry`.
    [[nodiscard]] long holders(const std::shared_ptr<CircuitBreaker>& entry) const noexcept {
        auto count = entry.use_count() - 1;
        for (const auto& set : sets_) {
            // It holds the entry, which counts for nobody, and those that it was copied to count.
            if (const auto* handle = set.find(entry->name())) count += handle->use_count() - 2;
        }
        return count;
    }

private:
    // A cache line for each count.
    struct alignas(64) Held {
        explicit Held(std::shared_ptr<CircuitBreaker> shared) : breaker(std::move(shared)) {}
        std::shared_ptr<CircuitBreaker> breaker;
    };

    static constexpr std::size_t none = cores;
    // For each core, so that a million breakers stay small: one takes some 200 bytes.
    static constexpr std::size_t most = 12'288;

    std::atomic<std::size_t> first_core_{none};
    std::array<OfCore, cores> sets_;
};

}  // namespace fusebox::detail
