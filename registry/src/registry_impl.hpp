// The inside of a registry.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fusebox/registry/registry.hpp>

#include "lookup/breaker_table.hpp"
#include "lookup/striped_mutex.hpp"

namespace fusebox {

/// Shared with subscriptions, which may outlive the registry. The comment above each group of members names the file
/// that defines them.
///
/// I1  Order of locks: `scrape_mutex`, or the mutex of the state saver (V4 in state_saver.hpp), or that of a table of
///     endpoints (E2 in endpoint_breakers.cpp); then `mutex_`; then a breaker's own.
/// I2  No event is published, no breaker destroyed and no subscription ended while `mutex_` is held: each of the three
///     may call foreign code, and that code may take `mutex_`. So a change under `mutex_` collects its events and what
///     it removes in `Events` and `Removed`, and publishes and destroys them after the lock is released.
/// I3  `mutex_` guards the members below it. Held shared it allows reading them, held alone also writing them.
///     Exceptions: scrapes write with the lock shared (S5 in series_collector.hpp), and look-ups make the handles of
///     their own core (H1 in lookup/core_handles.hpp).
/// I4  `listener_errors_` counts what registry listeners threw: publish() adds to it. No other data is published with
///     the counter.
class Registry::Impl : public std::enable_shared_from_this<Impl> {
public:
    using Events = std::vector<RegistryEvent>;

    explicit Impl(const Clock& clock) : clock_(clock) {}
    [[nodiscard]] const Clock& clock() const noexcept { return clock_; }

    // ---- find_or_make.cpp ----
    std::shared_ptr<CircuitBreaker> get(std::string_view name) const;
    /// `base`: what the caller asks for; null: nothing in particular.
    std::shared_ptr<CircuitBreaker> get_or_create(std::string_view name, const CircuitBreakerConfig* base,
                                                  Criticality criticality);
    /// For a caller that holds a lock of its own: it publishes `events` after it has released that lock.
    std::shared_ptr<CircuitBreaker> find_or_make(std::string_view name, const CircuitBreakerConfig* base,
                                                 Criticality criticality, Events& events);

    // ---- removal.cpp ----
    bool remove(std::string_view name);
    void clear();
    /// What must not be destroyed while a lock is held.
    struct Removed {
        std::shared_ptr<CircuitBreaker> breaker;
        std::vector<Subscription> ended;
    };
    /// Removes `breaker` if it is closed and nobody holds it but the registry and the caller (R63). For a caller that
    /// holds a lock of its own: it destroys the result and publishes `events` after it has released that lock.
    std::optional<Removed> take_unused(const std::shared_ptr<CircuitBreaker>& breaker, Events& events);

    // ---- reload.cpp ----
    void load(const BreakerSet& set, std::string_view actor);

    // ---- registry_events.cpp ----
    Subscription subscribe(RegistryListener listener);
    Subscription subscribe_breakers(BreakerListener listener, EventMask mask);
    void publish(const Events& events);
    std::uint64_t listener_errors() const noexcept { return listener_errors_.load(); }

    // ---- state_keeping.cpp ----
    void keep_state(std::shared_ptr<StateStore> store, Duration interval);
    void stop_keeping() { replace_saver(nullptr, {}); }
    bool save_now();

    // ---- members.cpp ----
    struct Member {
        std::uint64_t number{};  // grows with every breaker made
        std::string_view name;   // of the breaker
        Criticality criticality{};
        std::shared_ptr<CircuitBreaker> breaker;
    };
    std::vector<Member> members() const;  // in no order
    Criticality criticality(std::string_view name) const;

    // ---- series_collector.cpp: scrapes; S1 … S5 stand in series_collector.hpp ----
    /// Held by a scrape from beginning to end, and by nobody else (S1). Guards sum_of_removed.
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
    /// The first `count` removed ones are in sum_of_removed. The caller still holds them: none is destroyed under the
    /// lock.
    void forget_removed(std::size_t count);
    void put_in_sum(const std::vector<std::shared_ptr<CircuitBreaker>>& breakers);

private:
    using Shared = detail::StripedSharedMutex::Shared;
    using Table = detail::BreakerTable;

    /// The listener of one `subscribe_breakers`, with its subscription at every breaker.
    struct SharedListener {
        std::shared_ptr<const BreakerListener> listener;  // shared, so that its state is one
        EventMask mask{};
        std::unordered_map<const CircuitBreaker*, Subscription> subscriptions;

        void attach(CircuitBreaker& breaker);
    };
    using SharedListeners = std::map<std::uint64_t, SharedListener>;
    using Listeners = std::map<std::uint64_t, std::shared_ptr<const RegistryListener>>;
    struct SavedBreaker {
        std::shared_ptr<CircuitBreaker> breaker;
        std::optional<BreakerSnapshot> snapshot;  // empty: the store has none
    };

    static void restore(const std::shared_ptr<CircuitBreaker>& breaker, const BreakerSnapshot& snapshot,
                        Events& events);
    /// Ends the saver before, if any. Gives the breakers that are there, each with what `saved` has of it.
    std::vector<SavedBreaker> replace_saver(std::shared_ptr<StateSaver> saver, SavedBreakers saved);

    // ---- under mutex_, shared or not; `at`: a position in table_ ----
    /// What the breaker is to have by `set`.
    CircuitBreakerConfig wanted(const BreakerSet& set, std::size_t at) const;
    /// Adds an event where `base` comes to something else than the breaker has (R61).
    void compare(std::size_t at, const CircuitBreakerConfig* base, Events& events) const;
    Criticality criticality_at(std::size_t at) const;

    // ---- under mutex_, held alone ----
    std::shared_ptr<const CircuitBreakerConfig> shared_base(const CircuitBreakerConfig& base);
    SharedConfig shared_config(const CircuitBreakerConfig& config);
    Removed take(std::size_t at, Events& events);

    const Clock& clock_;
    std::atomic<std::uint64_t> listener_errors_{};  // I4
    mutable detail::StripedSharedMutex mutex_;      // guards all below (I3)
    Table table_;
    BreakerSet set_;
    Listeners listeners_;
    SharedListeners shared_listeners_;
    std::uint64_t last_number_{};  // given to a breaker, a listener or a shared listener
    // Removed while in the sum, and not in sum_of_removed yet; no more than the last scrape saw in the sum. Scrapes
    // write it with mutex_ held shared (S5).
    std::vector<std::shared_ptr<CircuitBreaker>> removed_from_sum_;
    SavedBreakers saved_;                // as loaded, of breakers that were not asked for yet
    std::shared_ptr<StateSaver> saver_;  // null: nothing is kept
    // Most breakers are asked for with one of a few configurations, and made with one of a few: those share one copy.
    // Newest first.
    std::vector<std::shared_ptr<const CircuitBreakerConfig>> recent_bases_;
    std::vector<SharedConfig> recent_configs_;
};

}  // namespace fusebox
