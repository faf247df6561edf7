// A breaker per endpoint, made when the endpoint is first used, and never more than a cap (R63).
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox {

struct EndpointBreakersOptions {
    std::string prefix;             ///< of the breakers' names: "prefix/endpoint"; 1 … 64 bytes
    CircuitBreakerConfig config{};  ///< of each; the registry's file stands above it, per name (R62)
    Criticality criticality{Criticality::degraded};
    std::size_t cap{
        1000};  ///< breakers at once, the shared one not among them; 1 … 1,000,000. A breaker is about 1 KiB
    Duration idle_timeout{std::chrono::minutes{10}};  ///< unused for this long, a breaker may be evicted; > 0
};

/// Hands out one breaker per endpoint: a host, a path, a model, a tenant, whatever fails on its own. For keys of which
/// there may be any number: where there are `cap` breakers, idle ones are evicted to make room, and where none can go,
/// what has no breaker of its own shares one, "prefix/other". That is coarser, and neither grows without bound nor
/// refuses a call.
///
/// Only what nobody misses is evicted: unused for `idle_timeout`, closed, and held by nobody but this and the registry;
/// so keep the pointer while a call is in flight. An evicted breaker leaves the registry and its metric series end
/// (R65); used again, the endpoint gets a new one.
///
/// Thread contract: any member from any thread. Finding an endpoint's breaker is as quick as `Registry::get`. May
/// outlive the registry.
///
///     const auto config = fusebox::preset("llm_service").value();  // <fusebox/core/presets.hpp>
///     fusebox::EndpointBreakers breakers{registry, {.prefix = "models", .config = config}};
///     auto answer = breakers.get(url.host())->call([&] { return client.post(url, question); });
class EndpointBreakers {
public:
    /// Takes over the breakers that the registry has under the prefix. Throws `std::invalid_argument` naming every
    /// option that is out of range, `InvalidConfig` for a bad configuration.
    EndpointBreakers(Registry& registry, EndpointBreakersOptions options);
    EndpointBreakers(const EndpointBreakers&) = delete;
    EndpointBreakers& operator=(const EndpointBreakers&) = delete;
    /// The breakers stay in the registry.
    ~EndpointBreakers();

    /// The endpoint's breaker, which counts as used now; the shared one where it can have none of its own: there is no
    /// room (idle ones are then looked for, at most 16 times per `idle_timeout`), or "prefix/endpoint" is longer than a
    /// breaker's name may be (128 bytes). Never null. Throws as `Registry::get_or_create` does.
    std::shared_ptr<CircuitBreaker> get(std::string_view endpoint);

    /// Evicts what was idle at `now` (default: the registry's clock), and says how many. Nobody has to call it: room is
    /// also made when it is needed.
    std::size_t evict_idle();
    std::size_t evict_idle(TimePoint now);

    /// Breakers at present, the shared one not among them; at most the cap, once those taken over beyond it have been
    /// idle.
    [[nodiscard]] std::size_t size() const;

private:
    class Impl;
    std::shared_ptr<Impl> impl_;  // watched by the listener to what others remove
    Subscription removals_;
};

}  // namespace fusebox
