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
/// Thread contract: `find` and `wants_more` under a lock that may be shared, the rest under the same one held alone. A core is
/// the stripe of that lock.
class CoreHandles {
public:
    static constexpr std::size_t cores = StripedSharedMutex::stripes;

    /// That of `core`, or null.
    [[nodiscard]] const std::shared_ptr<CircuitBreaker>* find(std::size_t core, std::string_view name) const noexcept {
        const auto& handles = sets_[core];
        if (!handles) return nullptr;
        const auto at = handles->find(name);
        return at == Handles::nowhere ? nullptr : &handles->breaker(at);
    }
    /// Whether `core` should get one of what `find` did not find.
    [[nodiscard]] bool wants_more(std::size_t core) noexcept {
        // relaxed: whichever core is the first, all that hangs on it is speed.
        auto first = first_core_.load(std::memory_order_relaxed);
        if (first == none) {
            first_core_.compare_exchange_strong(first, core, std::memory_order_relaxed);
            return false;
        }
        return first != core && (!sets_[core] || sets_[core]->size() < most);
    }
    /// Where there is memory for it.
    void add(std::size_t core, const std::shared_ptr<CircuitBreaker>& breaker) noexcept {
        try {
            auto& handles = sets_[core];
            if (!handles) handles = std::make_unique<Handles>();
            if (handles->find(breaker->name()) != Handles::nowhere) return;
            const auto held = std::make_shared<Held>(breaker);
            handles->insert(breaker->name(), {held, breaker.get()}, {});
        } catch (const std::bad_alloc&) {
            return;  // the shared one serves
        }
    }
    void remove(std::string_view name) noexcept {
        for (const auto& handles : sets_) {
            const auto at = handles ? handles->find(name) : Handles::nowhere;
            if (at != Handles::nowhere) handles->extract(at);
        }
    }
    /// How many hold `entry`'s breaker beside the registry, whose own is `entry`.
    [[nodiscard]] long holders(const std::shared_ptr<CircuitBreaker>& entry) const noexcept {
        auto count = entry.use_count() - 1;
        for (const auto& handles : sets_) {
            const auto at = handles ? handles->find(entry->name()) : Handles::nowhere;
            // It holds the entry, which counts for nobody, and those that it was copied to count.
            if (at != Handles::nowhere) count += handles->breaker(at).use_count() - 2;
        }
        return count;
    }

private:
    // A cache line for each count.
    struct alignas(64) Held {
        explicit Held(std::shared_ptr<CircuitBreaker> shared) : breaker(std::move(shared)) {}
        std::shared_ptr<CircuitBreaker> breaker;
    };
    struct Nothing {};
    using Handles = NameTable<Nothing>;

    static constexpr std::size_t none = cores;
    // For each core, so that a million breakers stay small: one takes some 200 bytes.
    static constexpr std::size_t most = 12'288;

    std::atomic<std::size_t> first_core_{none};         // makes do with what the registry holds itself
    std::array<std::unique_ptr<Handles>, cores> sets_;  // by stripe of the lock
};

}  // namespace fusebox::detail
