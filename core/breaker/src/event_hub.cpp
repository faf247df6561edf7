#include "event_hub.hpp"

#include <algorithm>
#include <utility>

namespace fusebox::detail {

Subscription EventHub::subscribe(BreakerListener listener, EventMask mask) {
    std::shared_ptr<Listener> added{new Listener{std::move(listener), mask, 0}};
    Subscription subscription{[weak = weak_from_this(), raw = added.get()] {
        if (const auto hub = weak.lock()) hub->cancel(raw);
    }};
    std::shared_ptr<const Listeners> old;  // destroyed after the lock is released
    const std::scoped_lock lock{mutex_};
    added->since = next_number_;
    auto next = std::make_shared<Listeners>(*listeners_);
    next->push_back(std::move(added));
    old = listeners_;
    replace(std::move(next));
    return subscription;
}

void EventHub::cancel(const Listener* listener) noexcept {
    std::shared_ptr<const Listeners> old;  // destroyed after the lock is released: a listener may own anything
    const std::scoped_lock lock{mutex_};
    const auto found = std::ranges::find(*listeners_, listener, &std::shared_ptr<Listener>::get);
    if (found == listeners_->end()) return;
    (*found)->active.store(false);
    try {
        auto next = std::make_shared<Listeners>();
        next->reserve(listeners_->size() - 1);
        for (const auto& kept : *listeners_) {
            if (kept.get() != listener) next->push_back(kept);
        }
        old = listeners_;
        replace(std::move(next));
    } catch (...) {
        count_error();  // no memory: it stays in the list, and hears nothing any more
    }
}

void EventHub::replace(std::shared_ptr<const Listeners> listeners) noexcept {
    listeners_ = std::move(listeners);
    unsigned wanted = 0;
    for (const auto& listener : *listeners_) wanted |= static_cast<unsigned>(listener->mask);
    wanted_.store(wanted, std::memory_order_relaxed);  // relaxed: see wants()
}

void EventHub::push(BreakerEvent event) {
    const std::scoped_lock lock{mutex_};
    const auto number = next_number_++;
    if (queue_.size() >= longest_queue) {
        queue_.pop_front();
        count_error();
    }
    queue_.push_back({number, std::move(event)});
    // relaxed: the thread that enqueues drains, and sees its own; the queue itself is under the mutex.
    pending_.store(queue_.size(), std::memory_order_relaxed);
}

void EventHub::drain(const CircuitBreaker& breaker) noexcept {
    if (pending_.load(std::memory_order_relaxed) == 0) return;  // relaxed: see push()
    std::unique_lock lock{mutex_};
    if (draining_) return;  // who is at it delivers ours too, after what came before
    draining_ = true;
    while (!queue_.empty()) {
        auto next = std::move(queue_.front());
        queue_.pop_front();
        pending_.store(queue_.size(), std::memory_order_relaxed);  // relaxed: see push()
        auto listeners = listeners_;
        lock.unlock();
        for (const auto& listener : *listeners) {
            const auto wants_it =
                (static_cast<unsigned>(listener->mask) & static_cast<unsigned>(EventMask::control)) != 0;
            if (wants_it && listener->since <= next.number) tell(*listener, breaker, next.event);
        }
        listeners.reset();  // may be the last owner of a listener that was cancelled: not under the lock
        lock.lock();
    }
    draining_ = false;
}

void EventHub::deliver(const CircuitBreaker& breaker, const BreakerEvent& event) noexcept {
    std::shared_ptr<const Listeners> listeners;
    {
        const std::scoped_lock lock{mutex_};
        listeners = listeners_;
    }
    for (const auto& listener : *listeners) {
        const auto wants_it = (static_cast<unsigned>(listener->mask) & static_cast<unsigned>(EventMask::calls)) != 0;
        if (wants_it) tell(*listener, breaker, event);
    }
}

void EventHub::tell(Listener& listener, const CircuitBreaker& breaker, const BreakerEvent& event) noexcept {
    if (!listener.active.load()) return;
    try {
        listener.call(breaker, event);
    } catch (...) {
        count_error();
    }
}

}  // namespace fusebox::detail
