// The listeners of a breaker and the events on their way to them (R36, R37).
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

/// Delivers events with no lock held and counts listeners that throw. Thread-safe. Shared with the subscriptions, which
/// may outlive the breaker.
class EventHub : public std::enable_shared_from_this<EventHub> {
public:
    [[nodiscard]] Subscription subscribe(BreakerListener listener, EventMask mask);

    /// True if somebody listens to events of that kind.
    [[nodiscard]] bool wants(EventMask kind) const noexcept {
        // relaxed: whoever subscribed before the call is seen; who subscribes meanwhile may miss the event.
        return (wanted_.load(std::memory_order_relaxed) & static_cast<unsigned>(kind)) != 0;
    }
    /// Puts the control event that `make` returns into the queue, if somebody listens. Called under the breaker's mutex,
    /// which makes the order.
    template <class Make>
    void enqueue(const Make& make) noexcept {
        if (!wants(EventMask::control)) return;
        try {
            push(make());
        } catch (...) {
            count_error();  // no memory for it
        }
    }
    /// Delivers the queue, unless another thread (or a caller of this one) is doing so. Called with no lock held.
    void drain(const CircuitBreaker& breaker) noexcept;
    /// Delivers a per-call event at once. Called with no lock held.
    void deliver(const CircuitBreaker& breaker, const BreakerEvent& event) noexcept;

    [[nodiscard]] std::uint64_t errors() const noexcept {
        return errors_.load(std::memory_order_relaxed);  // relaxed: a counter, orders nothing
    }

private:
    struct Listener {
        BreakerListener call;
        EventMask mask;
        std::uint64_t since;  // number of the first event it hears
        Atomic<bool> active{true};
    };
    using Listeners = std::vector<std::shared_ptr<Listener>>;
    struct Queued {
        std::uint64_t number;
        BreakerEvent event;
    };
    // A listener that never returns must not eat the memory.
    static constexpr std::size_t longest_queue = 16'384;

    void push(BreakerEvent event);
    void cancel(const Listener* listener) noexcept;
    void replace(std::shared_ptr<const Listeners> listeners) noexcept;
    void tell(Listener& listener, const CircuitBreaker& breaker, const BreakerEvent& event) noexcept;
    void count_error() noexcept { errors_.fetch_add(1, std::memory_order_relaxed); }  // relaxed: as errors()

    Atomic<unsigned> wanted_{};  // union of all masks
    Atomic<std::size_t> pending_{};
    Sum<std::uint64_t> errors_{};

    Mutex mutex_;  // guards everything below; taken last, after the breaker's; never while a listener runs
    std::shared_ptr<const Listeners> listeners_{std::make_shared<const Listeners>()};  // replaced, never changed
    std::deque<Queued> queue_;
    std::uint64_t next_number_{};
    bool draining_{};
};

}  // namespace fusebox::detail
