// The inside of a registry.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <fusebox/registry/registry.hpp>

#include "core_handles.hpp"
#include "name_table.hpp"
#include "striped_mutex.hpp"

namespace fusebox {

/// Shared with subscriptions, which may outlive the registry.
class Registry::Impl : public std::enable_shared_from_this<Impl> {
public:
    using Events = std::vector<RegistryEvent>;

    explicit Impl(const Clock& clock) : clock_(clock) {}

    /// `base`: what the caller asks for; null: nothing in particular.
    std::shared_ptr<CircuitBreaker> get_or_create(std::string_view name, const CircuitBreakerConfig* base,
                                                  Criticality criticality);
    std::shared_ptr<CircuitBreaker> get(std::string_view name) const;
    void load(const BreakerSet& set, std::string_view actor);
    bool remove(std::string_view name);
    void clear();
    Subscription subscribe(RegistryListener listener);
    Subscription subscribe_breakers(BreakerListener listener, EventMask mask);

    void keep_state(std::shared_ptr<StateStore> store, Duration interval);
    void stop_keeping() { install(nullptr, {}); }
    bool save_now();

    struct Member {
        std::uint64_t number{};  // grows with every breaker made
        std::string_view name;   // of the breaker
        Criticality criticality{};
        std::shared_ptr<CircuitBreaker> breaker;
    };
    std::vector<Member> members() const;  // in no order
    template <class Key>
    std::vector<std::shared_ptr<CircuitBreaker>> sorted_breakers(Key Member::* key) const;
    Criticality criticality(std::string_view name) const;
    std::uint64_t listener_errors() const noexcept { return listener_errors_.load(); }

    // ---- for who holds a lock of its own: what happened is added to `events`, to be published when that is released ----
    std::shared_ptr<CircuitBreaker> find_or_make(std::string_view name, const CircuitBreakerConfig* base,
                                                 Criticality criticality, Events& events);
    /// What must not be destroyed while a lock is held.
    struct Removed {
        std::shared_ptr<CircuitBreaker> breaker;
        std::vector<Subscription> ended;
    };
    /// Removes `breaker` if it is closed and nobody holds it but the registry and the caller (R63).
    std::optional<Removed> take_unused(const std::shared_ptr<CircuitBreaker>& breaker, Events& events);
    void publish(const Events& events);

    // ---- for scrapes; S1 … S5: see series_collector.hpp ----
    /// Held by a scrape from beginning to end, and by nobody else (S1). Taken before mutex_. Guards sum_of_removed.
    std::mutex scrape_mutex;
    /// What the removed breakers of the sum counted (S4); empty: there is none.
    std::optional<CircuitBreakerMetrics> sum_of_removed;
    struct ScrapedBreaker {
        std::uint64_t number{};  // grows with every breaker made
        bool in_sum{};
        std::shared_ptr<CircuitBreaker> breaker;
    };
    struct ScrapeList {
        std::vector<ScrapedBreaker> present;                   // in no order
        std::vector<std::shared_ptr<CircuitBreaker>> removed;  // of the sum, and not in sum_of_removed yet
    };
    ScrapeList list_for_scrape() const;
    /// The first `count` removed ones are in sum_of_removed. The caller still holds them: none is destroyed under the lock.
    void forget_removed(std::size_t count);
    void put_in_sum(const std::vector<std::shared_ptr<CircuitBreaker>>& breakers);

    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }

private:
    using Shared = detail::StripedSharedMutex::Shared;
    struct Rest {
        std::uint64_t number{};
        std::shared_ptr<const CircuitBreakerConfig> base{};  // what the first caller asked for; null: nothing
        Criticality asked{};                                 // likewise; the set may say otherwise
        bool in_sum{};                                       // a scrape has shown it in the sum; see S5
    };
    using Entries = detail::NameTable<Rest>;
    // One `subscribe_breakers`: attached to every breaker.
    struct Tap {
        std::shared_ptr<const BreakerListener> listener;  // shared, so that its state is one
        EventMask mask{};
        std::unordered_map<const CircuitBreaker*, Subscription> subscriptions;

        void attach(CircuitBreaker& breaker);
    };
    using Taps = std::map<std::uint64_t, Tap>;
    using Listeners = std::map<std::uint64_t, std::shared_ptr<const RegistryListener>>;

    static std::optional<CircuitBreakerConfig> copy_of(const CircuitBreakerConfig* config) {
        return config ? std::optional{*config} : std::nullopt;
    }

    static void restore(const std::shared_ptr<CircuitBreaker>& breaker, const BreakerSnapshot& snapshot,
                        Events& events);
    std::vector<std::pair<std::shared_ptr<CircuitBreaker>, std::optional<BreakerSnapshot>>> install(
        std::shared_ptr<StateSaver> saver, SavedBreakers saved);
    // ---- under the lock, shared or not; `at`: a position in entries_ ----
    /// What the breaker is to have by `set`.
    CircuitBreakerConfig wanted(const BreakerSet& set, std::size_t at) const;
    /// Tells where `base` comes to something else than the breaker has (R61).
    void compare(std::size_t at, const CircuitBreakerConfig* base, Events& events) const;
    Criticality criticality_of(std::size_t at) const;
    // ---- under the lock ----
    std::shared_ptr<const CircuitBreakerConfig> shared_base(const CircuitBreakerConfig& base);
    SharedConfig shared(const CircuitBreakerConfig& config);
    Removed take(std::size_t at, Events& events);

    const Clock& clock_;
    std::atomic<std::uint64_t> listener_errors_{};
    // Guards all below. No event is published, no breaker destroyed and no subscription ended while it is held.
    mutable detail::StripedSharedMutex mutex_;
    Entries entries_;
    mutable detail::CoreHandles handles_;  // of what is in entries_
    BreakerSet set_;
    Listeners listeners_;
    Taps taps_;
    std::uint64_t last_number_{};  // of breakers, listeners and taps
    // Removed while in the sum, and not in sum_of_removed yet; no more than the last scrape saw in the sum. Written by scrapes too,
    // with the lock shared (S5).
    std::vector<std::shared_ptr<CircuitBreaker>> removed_from_sum_;
    SavedBreakers saved_;                // as loaded, of breakers that were not asked for yet
    std::shared_ptr<StateSaver> saver_;  // null: nothing is kept
    // Most breakers are asked for with one of a few configurations, and made with one of a few: they share it.
    static constexpr std::size_t most_recent = 8;
    std::array<std::shared_ptr<const CircuitBreakerConfig>, most_recent> recent_bases_;
    std::vector<SharedConfig> recent_configs_;  // newest first
};

}  // namespace fusebox
