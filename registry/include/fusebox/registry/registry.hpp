// Named circuit breakers: one per dependency, made once, found by name.
#pragma once

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

namespace fusebox {

/// How much it matters when this breaker is open.
enum class Criticality : std::uint8_t { critical, degraded, optional };
[[nodiscard]] std::string_view to_string(Criticality criticality) noexcept;

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
    std::string detail;  ///< the fields that differ: "open_timeout: has 30s, asked for 5s"
};
using RegistryEvent = std::variant<BreakerCreatedEvent, BreakerRemovedEvent, ConfigConflictEvent>;
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

/// Thread contract: any member from any thread; listeners run with no lock held (R37).
///
///     auto breaker = fusebox::registry().get_or_create("sentinel", *fusebox::preset("llm_service"));
class Registry {
public:
    struct Options {
        const Clock* clock{nullptr};  ///< for the breakers it makes; null: `steady_clock()`; must outlive them
    };
    Registry();
    explicit Registry(Options options);
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;
    ~Registry();

    /// By the loaded `BreakerSet` (its defaults, its entry of this name). One breaker per name, however many ask (R61).
    std::shared_ptr<CircuitBreaker> get_or_create(std::string_view name);
    /// `config` is the caller's base; an entry of this name in the loaded set overrides it field by field (R62). An
    /// existing breaker is returned as it is; a different configuration raises `ConfigConflictEvent`, never silence.
    std::shared_ptr<CircuitBreaker> get_or_create(std::string_view name, const CircuitBreakerConfig& config,
                                                  Criticality criticality = Criticality::degraded);
    [[nodiscard]] std::shared_ptr<CircuitBreaker> get(std::string_view name) const;

    /// Takes over `set`: existing breakers whose entry changed are reconfigured in place (R51), new ones come on demand.
    void load(const BreakerSet& set, std::string_view actor = "configuration");

    [[nodiscard]] RegistryHealth health_check() const;
    [[nodiscard]] std::vector<std::string> list_names() const;
    [[nodiscard]] std::vector<std::shared_ptr<CircuitBreaker>> all() const;  ///< by name
    [[nodiscard]] std::map<std::string, CircuitBreakerMetrics> get_all_stats() const;
    [[nodiscard]] std::map<State, std::size_t> get_state_counts() const;
    [[nodiscard]] bool has_open_circuits() const;
    [[nodiscard]] Criticality criticality(std::string_view name) const;  ///< degraded when unknown
    void reset_all(std::string_view actor = {}, std::string_view note = {});
    /// The breaker stays usable by those who hold it; its metric series end (R65). False if there was none.
    bool remove(std::string_view name);
    void clear();

    /// Every event of the registry itself.
    Subscription subscribe(RegistryListener listener);
    /// Every event of every breaker, present and future.
    Subscription subscribe_breakers(BreakerListener listener, EventMask mask = EventMask::control);
};

/// The one convenience registry of the process (R60).
Registry& registry();

}  // namespace fusebox
