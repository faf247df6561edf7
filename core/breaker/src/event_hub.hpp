// The listeners of a breaker and the events on their way to them (R36, R37).
//
// Control events (transitions and the like) wait in a queue, so that all listeners hear them in one order. Events of
// single calls are not queued: the thread of the call delivers them at once.
//
// D1. Locks. `mutex_` guards `listeners_`, `queue_`, `next_number_` and `draining_`. It is taken last: under the
//     breaker's mutex by enqueue(), under none by the others. While it is held no listener runs and none is destroyed.
// D2. Order. Events are enqueued under the breaker's mutex, hence in the order of the transitions, with growing
//     numbers. One thread at a time takes them out: the one that has set `draining_`. So listeners hear them one by
//     one, in that order.
// D3. No event stays behind. A thread that has enqueued an event calls drain(). Either no other thread drains, and this
//     one does. Or another one drains: it clears `draining_` only after it has found the queue empty, both under one
//     hold of `mutex_`, so it still finds the event.
// D4. `pending_` is the length of the queue. It is stored under `mutex_` and loaded without it by drain(), which leaves
//     at once where it is 0. relaxed is enough: a thread that has enqueued loads its own store or a later one, and a
//     later 0 means that the draining thread has taken the event out. The queue itself is only read under `mutex_`.
// D5. The list that `listeners_` points to is never changed, only replaced. A delivery copies the pointer under
//     `mutex_` and walks the list without it. So a listener may subscribe and cancel, itself and others.
// D6. `Listener::active` is true until cancel() stores false. A delivery loads it just before it calls the listener,
//     since its list may be older than the cancellation. A listener that is running at that moment runs to its end. No
//     other data is published with the flag; it is seq_cst because neither the store nor the load needs to be quick.
// D7. A listener hears the control events that were enqueued after it had subscribed: those whose number is not below
//     its `first_number`, which is set before the listener comes into the list and not changed afterwards.
// D8. `wanted_` is the union of the masks in the list, stored under `mutex_` whenever the list is replaced, and loaded
//     without it: a call whose events nobody wants pays for one load. relaxed is enough: the list itself is only read
//     under `mutex_`. A thread that knows of a finished subscribe() sees its mask; another one may still miss it, as if
//     its event had come before.
// D9. `errors_` counts what listeners throw, and events that found no room. Nothing else is published with it: relaxed.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/detail/sync.hpp>

namespace fusebox::detail {

/// Thread contract: any member from any thread. Shared with the subscriptions, which may outlive the breaker.
class EventHub : public std::enable_shared_from_this<EventHub> {
public:
    [[nodiscard]] Subscription subscribe(BreakerListener listener, EventMask mask);

    /// True if a listener wants events of that kind.
    [[nodiscard]] bool wants(EventMask kind) const noexcept {
        return includes(wanted_.load(std::memory_order_relaxed), kind);  // D8
    }
    /// Puts the control event that `make` returns into the queue, if a listener wants it. Called under the breaker's
    /// mutex, which makes the order (D2). drain() has to follow, after that mutex is released (D3).
    template <class Make>
    void enqueue(const Make& make) noexcept {
        if (!wants(EventMask::control)) return;
        try {
            push(make());
        } catch (...) {
            count_error();  // no memory for the event
        }
    }
    /// Delivers the queue, unless another thread does so, or this one further up its stack. Called with no lock held.
    void drain(const CircuitBreaker& breaker) noexcept;
    /// Delivers an event of one call at once. Called with no lock held.
    void deliver(const CircuitBreaker& breaker, const BreakerEvent& event) noexcept;

    [[nodiscard]] std::uint64_t errors() const noexcept { return errors_.load(std::memory_order_relaxed); }  // D9

private:
    struct Listener {
        BreakerListener call;
        EventMask mask;
        std::uint64_t first_number;  // D7
        Atomic<bool> active{true};   // D6
    };
    using Listeners = std::vector<std::shared_ptr<Listener>>;
    struct Queued {
        std::uint64_t number;
        BreakerEvent event;
    };
    // A listener that never returns holds up the queue: beyond this length the oldest event is dropped, and counted.
    static constexpr std::size_t longest_queue = 16'384;

    static bool includes(unsigned mask, EventMask kind) noexcept { return (mask & static_cast<unsigned>(kind)) != 0; }
    void push(BreakerEvent event);
    void cancel(const Listener* listener) noexcept;
    /// Under mutex_.
    void replace_listeners(std::shared_ptr<const Listeners> listeners) noexcept;
    void call_listener(Listener& listener, const CircuitBreaker& breaker, const BreakerEvent& event) noexcept;
    void count_error() noexcept { errors_.fetch_add(1, std::memory_order_relaxed); }  // D9

    Atomic<unsigned> wanted_{};      // D8
    Atomic<std::size_t> pending_{};  // D4
    Sum<std::uint64_t> errors_{};    // D9

    Mutex mutex_;                                                                      // D1: guards everything below
    std::shared_ptr<const Listeners> listeners_{std::make_shared<const Listeners>()};  // D5
    std::deque<Queued> queue_;                                                         // D2
    std::uint64_t next_number_{};  // of the next event that is enqueued
    bool draining_{};              // a thread is in the loop of drain()
};

}  // namespace fusebox::detail
