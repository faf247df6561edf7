// E1. `EndpointBreakers::Impl::mutex_` guards the table of endpoints, the shared breaker and the time of the next
//     search for idle endpoints. get() holds it shared to find a breaker; a thread that makes, evicts or forgets a
//     breaker holds it alone.
// E2. The registry's lock is taken under `mutex_`, never the other way round: the registry tells of removals by an
//     event, which it publishes with no lock held.
// E3. `Use::last` is stored under `mutex_` held shared, by several threads at once, hence through std::atomic_ref. The
//     stores are relaxed, because no other data is published with the time. `Use::last` is read only under `mutex_`
//     held alone; the reader then sees every earlier store (M6 in lookup/striped_mutex.hpp).
// E4. The table's own copy is the one holder of an endpoint's breaker that `Registry::Impl::take_unused` allows beside
//     the registry. A further copy can only be made by get(), hence not while an eviction holds `mutex_` alone.
// E5. Under `mutex_` no breaker is destroyed, no subscription ended and no event published: each of the three may call
//     foreign code.
#include <fusebox/registry/endpoint_breakers.hpp>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include <fusebox/text/duration.hpp>

#include "lookup/name_table.hpp"
#include "lookup/striped_mutex.hpp"
#include "registry_impl.hpp"

namespace fusebox {
namespace {

constexpr std::size_t longest_name = 128;  // of a CircuitBreaker
constexpr std::size_t longest_prefix = 64;
constexpr std::size_t largest_cap = 1'000'000;
constexpr int searches_per_timeout = 16;

EndpointBreakersOptions checked(EndpointBreakersOptions options) {
    std::string mistakes;
    const auto mistake = [&](std::string text) { mistakes += (mistakes.empty() ? "" : "; ") + std::move(text); };
    if (options.prefix.empty() || options.prefix.size() > longest_prefix) {
        mistake(fmt::format("prefix has {} bytes, must have 1 to {}", options.prefix.size(), longest_prefix));
    }
    if (options.cap == 0 || options.cap > largest_cap) {
        mistake(fmt::format("cap is {}, must be from 1 to {}", options.cap, largest_cap));
    }
    if (options.idle_timeout <= Duration::zero()) {
        mistake(fmt::format("idle_timeout is {}, must be greater than 0", text::format_duration(options.idle_timeout)));
    }
    if (!mistakes.empty()) throw std::invalid_argument{"endpoint breakers: " + mistakes};
    if (auto errors = validate(options.config); !errors.empty()) {
        throw InvalidConfig{std::move(errors), "endpoint breakers"};
    }
    options.prefix += '/';
    return options;
}

}  // namespace

class EndpointBreakers::Impl {
public:
    Impl(std::shared_ptr<Registry::Impl> registry, EndpointBreakersOptions options)
        : registry_(std::move(registry)), options_(checked(std::move(options))) {
        const auto now = registry_->clock().now();
        next_search_ = now;
        for (const auto& member : registry_->members()) {
            if (member.name.starts_with(options_.prefix) && member.name != shared_name()) {
                insert(member.breaker, now);
            }
        }
    }

    std::shared_ptr<CircuitBreaker> get(std::string_view endpoint) {
        const auto now = registry_->clock().now();
        const bool has_name = options_.prefix.size() + endpoint.size() <= longest_name;
        {
            const detail::StripedSharedMutex::Shared lock{mutex_};
            if (auto found = find(endpoint, now)) return found;
            if (shared_ && (!has_name || (is_full() && now < next_search_))) return shared_;
        }
        Registry::Impl::Events events;
        Evicted evicted;  // E5: destroyed, and the events published, after the lock is released
        std::shared_ptr<CircuitBreaker> breaker;
        std::shared_ptr<CircuitBreaker> displaced;  // E5
        try {
            const std::lock_guard lock{mutex_};
            // Another thread may have made the breaker before this one had the lock.
            if (auto found = find(endpoint, now)) return found;
            if (is_full() && now >= next_search_) {
                evict(now, evicted, events);
                next_search_ = now + options_.idle_timeout / searches_per_timeout;
            }
            const auto make = [&](const std::string& name) {
                return registry_->find_or_make(name, &options_.config, options_.criticality, events);
            };
            if (has_name && !is_full()) {
                breaker = make(fmt::format("{}{}", options_.prefix, endpoint));
                insert(breaker, now);
            } else {
                breaker = make(shared_name());
                displaced = std::exchange(shared_, breaker);  // not `breaker` where the registry removed it meanwhile
            }
        } catch (...) {
            // The breaker could not be made, but the evicted ones are gone.
            evicted.clear();
            registry_->publish(events);
            throw;
        }
        evicted.clear();
        registry_->publish(events);
        return breaker;
    }

    std::size_t evict_idle(TimePoint now) {
        Registry::Impl::Events events;
        Evicted evicted;
        {
            const std::lock_guard lock{mutex_};
            evict(now, evicted, events);
        }
        const auto count = evicted.size();
        evicted.clear();
        registry_->publish(events);
        return count;
    }

    /// The registry has removed its breaker `name`: the endpoint gets a new one when it is used again.
    void forget(const std::string& name) {
        if (!name.starts_with(options_.prefix)) return;
        std::shared_ptr<CircuitBreaker> forgotten;  // E5: destroyed after the lock is released
        std::shared_ptr<CircuitBreaker> present;    // E5
        const std::lock_guard lock{mutex_};
        // Since the removal the registry may have made another breaker of that name, and this table may have that one.
        present = registry_->get(name);
        if (name == shared_name() && shared_ != present) shared_.swap(forgotten);
        const auto at = endpoints_.find(std::string_view{name}.substr(options_.prefix.size()));
        if (at != Endpoints::nowhere && endpoints_.breaker(at) != present) forgotten = endpoints_.extract(at);
    }

    [[nodiscard]] TimePoint now() const { return registry_->clock().now(); }
    [[nodiscard]] std::size_t size() const {
        const detail::StripedSharedMutex::Shared lock{mutex_};
        return endpoints_.size();
    }

private:
    using Evicted = std::vector<Registry::Impl::Removed>;
    struct Use {
        TimePoint::rep last{};  // E3
    };
    using Endpoints = detail::NameTable<Use>;

    [[nodiscard]] std::string shared_name() const { return options_.prefix + "other"; }

    // ---- under mutex_, shared or alone ----
    [[nodiscard]] bool is_full() const noexcept { return endpoints_.size() >= options_.cap; }
    std::shared_ptr<CircuitBreaker> find(std::string_view endpoint, TimePoint now) {
        const auto at = endpoints_.find(endpoint);
        if (at == Endpoints::nowhere) return nullptr;
        // relaxed: the lock, not the store, publishes the time to evictions (E3).
        std::atomic_ref{endpoints_.record(at).last}.store(now.time_since_epoch().count(), std::memory_order_relaxed);
        return endpoints_.breaker(at);
    }
    // ---- under mutex_, held alone ----
    void insert(const std::shared_ptr<CircuitBreaker>& breaker, TimePoint now) {
        const auto endpoint = std::string_view{breaker->name()}.substr(options_.prefix.size());
        endpoints_.insert(endpoint, breaker, {.last = now.time_since_epoch().count()});
    }
    void evict(TimePoint now, Evicted& evicted, Registry::Impl::Events& events) {
        const auto idle_since = (now - options_.idle_timeout).time_since_epoch().count();
        std::vector<std::string_view> idle;
        endpoints_.for_each([&](std::size_t at) {
            if (endpoints_.record(at).last <= idle_since) idle.push_back(endpoints_.name(at));
        });
        for (const auto endpoint : idle) {
            const auto at = endpoints_.find(endpoint);
            // E4
            if (auto taken = registry_->take_unused(endpoints_.breaker(at), events)) {
                evicted.push_back(*std::move(taken));
                endpoints_.extract(at);
            }
        }
    }

    const std::shared_ptr<Registry::Impl> registry_;
    const EndpointBreakersOptions options_;     // the prefix with its slash
    mutable detail::StripedSharedMutex mutex_;  // guards all below (E1); taken before the registry's (E2)
    Endpoints endpoints_;
    std::shared_ptr<CircuitBreaker> shared_;  // of endpoints without a breaker of their own; null: not needed so far
    TimePoint next_search_;                   // for idle endpoints; a full table stays full until then
};

EndpointBreakers::EndpointBreakers(Registry& registry, EndpointBreakersOptions options)
    : impl_(std::make_shared<Impl>(registry.impl_, std::move(options))),
      removals_(registry.subscribe([weak = std::weak_ptr{impl_}](const RegistryEvent& event) {
          const auto* removed = std::get_if<BreakerRemovedEvent>(&event);
          if (const auto self = removed ? weak.lock() : nullptr) self->forget(removed->name);
      })) {}
EndpointBreakers::~EndpointBreakers() = default;

std::shared_ptr<CircuitBreaker> EndpointBreakers::get(std::string_view endpoint) { return impl_->get(endpoint); }
std::size_t EndpointBreakers::evict_idle() { return impl_->evict_idle(impl_->now()); }
std::size_t EndpointBreakers::evict_idle(TimePoint now) { return impl_->evict_idle(now); }
std::size_t EndpointBreakers::size() const { return impl_->size(); }

}  // namespace fusebox
