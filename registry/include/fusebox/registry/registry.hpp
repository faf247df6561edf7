// Named circuit breakers: one per dependency, made once, found by name.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/registry/breaker_set.hpp>
#include <fusebox/registry/state_store.hpp>

namespace fusebox {

/// What a registry tells its listeners.
struct BreakerCreatedEvent {
    std::shared_ptr<CircuitBreaker> breaker;
};
struct BreakerRemovedEvent {
    std::string name;
};
/// Somebody asked for an existing name with another configuration; the existing breaker was returned (R61).
struct ConfigConflictEvent {
    std::string name;
    std::string detail;  ///< the fields that differ: "open_timeout: has 30s, asked for 5s; …"
};
/// A breaker that was just made goes on where the state store says that it was (R52). Comes before its
/// `BreakerCreatedEvent`.
struct BreakerRestoredEvent {
    std::shared_ptr<CircuitBreaker> breaker;
    StateRestoredEvent restored;
};
/// The state store could not be read: breakers start afresh.
struct StateLoadFailedEvent {
    std::string message;
};
/// The state store could not be written. Told once; saving is tried again at every interval.
struct StateSaveFailedEvent {
    std::string message;
};
/// After a `StateSaveFailedEvent`: all is saved.
struct StateSaveRecoveredEvent {};
using RegistryEvent = std::variant<BreakerCreatedEvent, BreakerRemovedEvent, ConfigConflictEvent, BreakerRestoredEvent,
                                   StateLoadFailedEvent, StateSaveFailedEvent, StateSaveRecoveredEvent>;
using RegistryListener = std::function<void(const RegistryEvent&)>;

/// R64.
struct BreakerHealth {
    std::string name;
    State state{};
    Criticality criticality{};
    std::string why;  ///< one sentence; empty when closed
    Duration retry_after{};
};
struct RegistryHealth {
    std::size_t total{};
    std::size_t closed{};  ///< closed, disabled and metrics_only
    std::size_t open{};    ///< open and forced open
    std::size_t half_open{};
    bool healthy{true};                   ///< no breaker open
    std::vector<BreakerHealth> breakers;  ///< by name
};

/// Thread contract: any member from any thread; only calls of `keep_state` must not overlap. Listeners run on the
/// thread that caused the event, with no lock held, and may call any member; what they throw is counted and swallowed
/// (R37). Finding a breaker takes a shared lock; a caller on a hot path keeps the pointer.
///
///     // preset: <fusebox/core/presets.hpp>. Of a misspelt name it gives nothing, and then `value` throws.
///     auto breaker = fusebox::registry().get_or_create("sentinel", fusebox::preset("llm_service").value());
class Registry {
public:
    struct Options {
        const Clock* clock{nullptr};  ///< for the breakers it makes; null: `steady_clock()`; must outlive them
    };
    Registry();
    explicit Registry(Options options);
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;
    /// Saves what is not saved yet. Its breakers live on with those who hold them.
    ~Registry();

    /// By the loaded `BreakerSet` (its defaults, its entry of this name). One breaker per name, however many ask (R61).
    /// Throws `std::invalid_argument` for a name that `CircuitBreaker` refuses.
    std::shared_ptr<CircuitBreaker> get_or_create(std::string_view name);
    /// `config` is the caller's base; an entry of this name in the loaded set overrides it (R62,
    /// `BreakerSet::resolve`). An existing breaker is returned as it is; a different configuration raises
    /// `ConfigConflictEvent`, never silence. `criticality` holds where the set does not say; the first caller's counts.
    /// Throws `InvalidConfig` when `config` and the set come to a bad configuration.
    std::shared_ptr<CircuitBreaker> get_or_create(std::string_view name, const CircuitBreakerConfig& config,
                                                  Criticality criticality = Criticality::degraded);
    /// Null when there is none.
    ///
    /// Here and in `get_or_create`: pointers to one breaker may come from different cores, which count their copies
    /// apart. Compare them by `==`, not by `owner_before`; and hold the `shared_ptr` itself: a `weak_ptr` made from it
    /// may expire once the breaker is removed, although somebody who looked it up elsewhere still holds it.
    [[nodiscard]] std::shared_ptr<CircuitBreaker> get(std::string_view name) const;

    /// Takes over `set`: existing breakers for which it comes to something else than the set before are reconfigured in
    /// place (R51), new ones come on demand. Throws `InvalidConfig`, its fields prefixed with the breaker's name, when
    /// `set` and what a caller asked for come to a bad configuration; then nothing is changed.
    void load(const BreakerSet& set, std::string_view actor = "configuration");

    [[nodiscard]] RegistryHealth health_check() const;
    [[nodiscard]] std::vector<std::string> list_names() const;                      ///< in alphabetical order
    [[nodiscard]] std::vector<std::shared_ptr<CircuitBreaker>> all() const;         ///< by name
    [[nodiscard]] std::vector<std::shared_ptr<CircuitBreaker>> all_by_age() const;  ///< oldest first
    [[nodiscard]] std::map<std::string, CircuitBreakerMetrics> get_all_stats() const;
    [[nodiscard]] std::map<State, std::size_t> get_state_counts() const;  ///< every state, also those with none
    [[nodiscard]] bool has_open_circuits() const;                         ///< open or forced open
    [[nodiscard]] Criticality criticality(std::string_view name) const;   ///< degraded when unknown
    void reset_all(std::string_view actor = {}, std::string_view note = {});
    /// The breaker stays usable by those who hold it; its metric series end (R65), and so do its events to
    /// `subscribe_breakers`. False if there was none.
    bool remove(std::string_view name);
    /// Removes every breaker, and drops what `keep_state` holds of those that were not asked for yet.
    void clear();

    struct KeepStateOptions {
        /// Pause between saves of open breakers, whose time left runs, and after a save that failed; > 0, at
        /// most 24 h
        Duration interval{std::chrono::seconds{1}};
    };
    /// Keeps the states of the breakers in `store` (R52). It is read once, now; breakers that are made from now on go
    /// on where it says they were. Those that are there and have never changed their state go on there only where it
    /// says open, half_open or forced_open: one may trip during this call, and a saved `closed`, `disabled` or
    /// `metrics_only` would let the calls through that the trip has just stopped. So call this before breakers are
    /// made. From then on a thread of the registry's own saves what changes its state, soon after, and open breakers at
    /// every interval; no caller ever waits for the store, and its failures are events. A removed breaker's state is
    /// dropped.
    ///
    /// Takes the place of the store before, if any; null: nothing is kept any longer. Throws `std::invalid_argument`
    /// for an interval that is out of range, and then changes nothing; `std::system_error` when the thread cannot be
    /// started, and then nothing is kept any longer.
    ///
    /// Calls must not overlap: not from two threads, nor from a listener while another call is under way.
    void keep_state(std::shared_ptr<StateStore> store, KeepStateOptions options);
    void keep_state(std::shared_ptr<StateStore> store) { keep_state(std::move(store), KeepStateOptions{}); }
    /// Saves what is not saved yet, on the calling thread, and says whether all is saved. The destructor does so too;
    /// the registry of the process, which is never destroyed, has to be asked. True without a store.
    bool save_now();

    /// Every event of the registry itself.
    Subscription subscribe(RegistryListener listener);
    /// Every event of every breaker, present and future.
    Subscription subscribe_breakers(BreakerListener listener, EventMask mask = EventMask::control);
    /// Listeners of `subscribe` that threw.
    [[nodiscard]] std::uint64_t listener_errors() const noexcept;

private:
    friend class EndpointBreakers;
    friend class SeriesCollector;  // reads the breakers for a scrape
    class Impl;
    class StateSaver;
    std::shared_ptr<Impl> impl_;  // shared with subscriptions, which may outlive the registry
};

/// The one convenience registry of the process (R60). Lives until the process ends, static destructors included.
Registry& registry();

}  // namespace fusebox
