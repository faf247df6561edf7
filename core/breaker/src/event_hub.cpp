// D1 … D9: see event_hub.hpp.
#include "event_hub.hpp"

#include <algorithm>
#include <utility>

namespace fusebox::detail {

Subscription EventHub::subscribe(BreakerListener listener, EventMask mask) {
    std::shared_ptr<Listener> added{new Listener{std::move(listener), mask, 0}};
    Subscription subscription{[weak = weak_from_this(), raw = added.get()] {
        if (const auto hub = weak.lock()) hub->cancel(raw);
    }};
    std::shared_ptr<const Listeners> old;  // destroyed after the lock is released (D1)
    const std::scoped_lock lock{mutex_};
    added->first_number = next_number_;  // D7
    auto next = std::make_shared<Listeners>(*listeners_);
    next->push_back(std::move(added));
    old = listeners_;
    replace_listeners(std::move(next));
    return subscription;
}

void EventHub::cancel(const Listener* listener) noexcept {
    std::shared_ptr<const Listeners> old;  // destroyed after the lock is released (D1): a listener may own anything
    const std::scoped_lock lock{mutex_};
    const auto found = std::ranges::find(*listeners_, listener, &std::shared_ptr<Listener>::get);
    if (found == listeners_->end()) return;
    (*found)->active.store(false);  // D6
    try {
        auto next = std::make_shared<Listeners>();
        next->reserve(listeners_->size() - 1);
        for (const auto& kept : *listeners_) {
            if (kept.get() != listener) next->push_back(kept);
        }
        old = listeners_;
        replace_listeners(std::move(next));
    } catch (...) {
        count_error();  // no memory for a new list: the listener stays in the old one, but is not active
    }
}

void EventHub::replace_listeners(std::shared_ptr<const Listeners> listeners) noexcept {
    listeners_ = std::move(listeners);
    unsigned wanted = 0;
    for (const auto& listener : *listeners_) wanted |= static_cast<unsigned>(listener->mask);
    wanted_.store(wanted, std::memory_order_relaxed);  // D8
}

void EventHub::push(BreakerEvent event) {
    const std::scoped_lock lock{mutex_};
    const auto number = next_number_++;
    if (queue_.size() >= longest_queue) {
        queue_.pop_front();
        count_error();
    }
    queue_.push_back({number, std::move(event)});
    pending_.store(queue_.size(), std::memory_order_relaxed);  // D4
}

void EventHub::drain(const CircuitBreaker& breaker) noexcept {
    if (pending_.load(std::memory_order_relaxed) == 0) return;  // D4
    std::unique_lock lock{mutex_};
    if (draining_) return;  // D3: the draining thread delivers the events of this one too, after those before them
    draining_ = true;
    while (!queue_.empty()) {
        auto next = std::move(queue_.front());
        queue_.pop_front();
        pending_.store(queue_.size(), std::memory_order_relaxed);  // D4
        auto listeners = listeners_;                               // D5
        lock.unlock();
        for (const auto& listener : *listeners) {
            const bool wanted = includes(static_cast<unsigned>(listener->mask), EventMask::control);
            if (wanted && listener->first_number <= next.number) call_listener(*listener, breaker, next.event);  // D7
        }
        listeners.reset();  // before the lock (D1): it may be the last to hold a listener that was cancelled
        lock.lock();
    }
    draining_ = false;
}

void EventHub::deliver(const CircuitBreaker& breaker, const BreakerEvent& event) noexcept {
    std::shared_ptr<const Listeners> listeners;
    {
        const std::scoped_lock lock{mutex_};
        listeners = listeners_;  // D5
    }
    for (const auto& listener : *listeners) {
        const bool wanted = includes(static_cast<unsigned>(listener->mask), EventMask::calls);
        if (wanted) call_listener(*listener, breaker, event);
    }
}

void EventHub::call_listener(Listener& listener, const CircuitBreaker& breaker, const BreakerEvent& event) noexcept {
    if (!listener.active.load()) return;  // D6
    try {
        listener.call(breaker, event);
    } catch (...) {
        count_error();  // R37
    }
}

}  // namespace fusebox::detail
