// A subscription that ends with its owner.
#pragma once

#include <functional>
#include <utility>

namespace fusebox {

/// Ends the subscription when destroyed. May outlive what it is subscribed to. One thread at a time.
class [[nodiscard]] Subscription {
public:
    Subscription() = default;
    /// `cancel` is called once, with no lock held; it must not throw.
    explicit Subscription(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
    Subscription(Subscription&& other) noexcept : cancel_(std::exchange(other.cancel_, nullptr)) {}
    Subscription& operator=(Subscription&& other) noexcept {
        if (this != &other) {
            cancel();
            cancel_ = std::exchange(other.cancel_, nullptr);
        }
        return *this;
    }
    ~Subscription() { cancel(); }
    /// Waits for no delivery: one that is under way, on this thread or another, may still call the listener, also after
    /// this has returned. One that begins later does not.
    void cancel() noexcept {
        if (auto cancel = std::exchange(cancel_, nullptr)) cancel();
    }

private:
    std::function<void()> cancel_;
};

}  // namespace fusebox
