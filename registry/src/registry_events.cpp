// Who listens to the registry, and to all of its breakers.
#include <utility>

#include "registry_impl.hpp"

namespace fusebox {

Subscription Registry::Impl::subscribe(RegistryListener listener) {
    const std::lock_guard lock{mutex_};
    const auto id = ++last_number_;
    listeners_.emplace(id, std::make_shared<const RegistryListener>(std::move(listener)));
    return Subscription{[weak = weak_from_this(), id] {
        if (const auto self = weak.lock()) {
            Listeners::node_type ended;  // destroyed after the lock is released: a listener may own anything
            const std::lock_guard inner{self->mutex_};
            ended = self->listeners_.extract(id);
        }
    }};
}

void Registry::Impl::SharedListener::attach(CircuitBreaker& breaker) {
    subscriptions.emplace(&breaker,
                          breaker.subscribe([shared = listener](const CircuitBreaker& from,
                                                                const BreakerEvent& event) { (*shared)(from, event); },
                                            mask));
}

Subscription Registry::Impl::subscribe_breakers(BreakerListener listener, EventMask mask) {
    const std::lock_guard lock{mutex_};
    const auto id = ++last_number_;
    SharedListener one{std::make_shared<const BreakerListener>(std::move(listener)), mask, {}};
    auto& added = shared_listeners_.emplace(id, std::move(one)).first->second;
    table_.for_each([&](std::size_t at) { added.attach(*table_.breaker(at)); });
    return Subscription{[weak = weak_from_this(), id] {
        if (const auto self = weak.lock()) {
            SharedListeners::node_type ended;  // likewise
            const std::lock_guard inner{self->mutex_};
            ended = self->shared_listeners_.extract(id);
        }
    }};
}

void Registry::Impl::publish(const Events& events) {
    if (events.empty()) return;
    std::vector<std::shared_ptr<const RegistryListener>> listeners;
    for (const auto& event : events) {
        listeners.clear();
        {
            const Shared lock{mutex_};  // released before a listener runs: it may call any member
            for (const auto& [id, listener] : listeners_) listeners.push_back(listener);
        }
        for (const auto& listener : listeners) {
            try {
                (*listener)(event);
            } catch (...) {
                ++listener_errors_;
            }
        }
    }
}

}  // namespace fusebox
