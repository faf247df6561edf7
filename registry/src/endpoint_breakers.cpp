#include <fusebox/registry/endpoint_breakers.hpp>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <vector>

#include <fmt/format.h>

#include "name_table.hpp"
#include "registry_impl.hpp"
#include "striped_mutex.hpp"

namespace fusebox {
namespace {

constexpr std::size_t longest_name = 128;  // that CircuitBreaker takes
constexpr std::size_t longest_prefix = 64;
constexpr std::size_t largest_cap = 1'000'000;
constexpr int looks_per_timeout = 16;

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
        mistake(fmt::format("idle_timeout is {}, must be greater than 0", format_duration(options.idle_timeout)));
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
        next_look_ = now;
        for (const auto& member : registry_->members()) {
            if (member.name.starts_with(options_.prefix) && member.name != other_name()) {
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
            if (other_ && (!has_name || (is_full() && now < next_look_))) return other_;
        }
        Registry::Impl::Events events;
        Evicted evicted;  // destroyed with no lock held, as the events are published
        std::shared_ptr<CircuitBreaker> breaker;
        try {
            const std::lock_guard lock{mutex_};
            // Another thread may have been faster.
            if (auto found = find(endpoint, now)) return found;
            if (is_full() && now >= next_look_) {
                evict(now, evicted, events);
                next_look_ = now + options_.idle_timeout / looks_per_timeout;
            }
            const auto make = [&](const std::string& name) {
                return registry_->find_or_make(name, &options_.config, options_.criticality, events);
            };
            if (has_name && !is_full()) {
                breaker = make(fmt::format("{}{}", options_.prefix, endpoint));
                insert(breaker, now);
            } else {
                breaker = other_ = make(other_name());
            }
        } catch (...) {
            // What was evicted is gone all the same.
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

    /// Somebody else took `name` out of the registry: the endpoint gets a new breaker when it is used again.
    void forget(const std::string& name) {
        if (!name.starts_with(options_.prefix)) return;
        std::shared_ptr<CircuitBreaker> forgotten;  // destroyed with no lock held
        const std::lock_guard lock{mutex_};
        // By now the registry may have another breaker of that name, and so may this.
        const auto present = registry_->get(name);
        if (name == other_name() && other_ != present) other_.swap(forgotten);
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
        TimePoint::rep last{};
    };
    using Endpoints = detail::NameTable<Use>;

    [[nodiscard]] std::string other_name() const { return options_.prefix + "other"; }

    // ---- under the mutex ----
    [[nodiscard]] bool is_full() const noexcept { return endpoints_.size() >= options_.cap; }
    /// Shared is enough.
    std::shared_ptr<CircuitBreaker> find(std::string_view endpoint, TimePoint now) {
        const auto at = endpoints_.find(endpoint);
        if (at == Endpoints::nowhere) return nullptr;
        // relaxed: a time that orders nothing. Eviction reads it with the lock to itself.
        std::atomic_ref{endpoints_.rest(at).last}.store(now.time_since_epoch().count(), std::memory_order_relaxed);
        return endpoints_.breaker(at);
    }
    void insert(const std::shared_ptr<CircuitBreaker>& breaker, TimePoint now) {
        const auto endpoint = std::string_view{breaker->name()}.substr(options_.prefix.size());
        endpoints_.insert(endpoint, breaker, {.last = now.time_since_epoch().count()});
    }
    void evict(TimePoint now, Evicted& evicted, Registry::Impl::Events& events) {
        const auto idle_since = (now - options_.idle_timeout).time_since_epoch().count();
        std::vector<std::string_view> idle;
        endpoints_.for_each([&](std::size_t at) {
            if (endpoints_.rest(at).last <= idle_since) idle.push_back(endpoints_.name(at));
        });
        for (const auto endpoint : idle) {
            const auto at = endpoints_.find(endpoint);
            if (auto taken = registry_->take_unused(endpoints_.breaker(at), events)) {
                evicted.push_back(*std::move(taken));
                endpoints_.extract(at);
            }
        }
    }

    const std::shared_ptr<Registry::Impl> registry_;
    const EndpointBreakersOptions options_;  // the prefix with its slash
    // Guards all below. The registry's own lock is taken under it, never the other way round.
    mutable detail::StripedSharedMutex mutex_;
    Endpoints endpoints_;
    std::shared_ptr<CircuitBreaker> other_;  // null: not needed so far
    TimePoint next_look_;                    // for idle ones; before that a full table stays full
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
