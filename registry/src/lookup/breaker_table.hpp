// The breakers of a registry by name, and what each core copies when it looks one up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/registry/criticality.hpp>

#include "core_handles.hpp"
#include "name_table.hpp"
#include "striped_mutex.hpp"

namespace fusebox::detail {

/// What a registry knows of a breaker beside the breaker itself.
struct BreakerRecord {
    std::uint64_t number{};                              // grows with every breaker made
    std::shared_ptr<const CircuitBreakerConfig> base{};  // what the first caller asked for; null: nothing in particular
    Criticality asked{};                                 // by the first caller; the set may say otherwise
    // A scrape has shown the breaker in the sum. Scrapes write it with the lock held shared (S5 in
    // series_collector.hpp).
    bool in_sum{};
};

/// README.md in this folder says why look-ups are right, and why they are quick. H1 … H4: core_handles.hpp.
///
/// Thread contract: under the registry's StripedSharedMutex, const members with the lock shared, the others with the
/// lock alone, except for `BreakerRecord::in_sum`. `breaker` gives the entry, that is, the registry's own shared_ptr:
/// copy `handle` instead where callers come often.
class BreakerTable : private NameTable<BreakerRecord> {
    using Entries = NameTable<BreakerRecord>;

public:
    using Entries::breaker;
    using Entries::find;
    using Entries::for_each;
    using Entries::insert;
    using Entries::name;
    using Entries::nowhere;
    using Entries::record;
    using Entries::size;
    using Shared = StripedSharedMutex::Shared;

    /// What the thread that holds `lock` copies for the breaker of this name; null where there is none.
    [[nodiscard]] const std::shared_ptr<CircuitBreaker>* look_up(std::string_view name,
                                                                 const Shared& lock) const noexcept {
        const auto handles = handles_.of_core(lock);
        if (const auto* handle = handles.find(name)) return handle;  // H2
        const auto at = find(name);
        return at == nowhere ? nullptr : &handles.handle_to(breaker(at));
    }
    /// The same for the breaker at `at`.
    [[nodiscard]] const std::shared_ptr<CircuitBreaker>& handle(std::size_t at, const Shared& lock) const noexcept {
        return handles_.of_core(lock).handle_to(breaker(at));
    }
    /// How many hold the breaker at `at` beside the registry.
    [[nodiscard]] long holders(std::size_t at) const noexcept { return handles_.holders(breaker(at)); }

    /// Takes out the entry at `at`, and every core's handle to it (H2).
    std::shared_ptr<CircuitBreaker> extract(std::size_t at) noexcept {
        handles_.remove(name(at));
        return Entries::extract(at);
    }

private:
    mutable CoreHandles handles_;  // look-ups make the handles of their own core (H1)
};

}  // namespace fusebox::detail
