#include "circuit_breaker_impl.hpp"

#include <random>
#include <stdexcept>
#include <utility>

namespace fusebox {
namespace {

std::size_t validated_capacity(std::size_t capacity) {
    if (capacity < 1 || capacity > 1024) {
        throw std::invalid_argument{"report_capacity is " + std::to_string(capacity) + ", must be in 1 … 1024"};
    }
    return capacity;
}

std::uint64_t random_seed() {
    std::random_device device;
    return static_cast<std::uint64_t>(device()) << 32U | device();
}

}  // namespace

CircuitBreaker::Impl::Impl(CircuitBreaker& breaker, std::string name, SharedConfig config, BreakerOptions options)
    : breaker_(breaker),
      clock_(*options.clock),
      classify_exception_(options.classify_exception
                              ? std::make_unique<const Classifier>(std::move(options.classify_exception))
                              : nullptr),
      name_(std::move(name)),
      config_(std::move(config)),
      latest_(clock_.now()),
      window_(stripes_, config_->window, config_->measure_duration, config_->enabled, latest_),
      jitter_(options.seed ? *options.seed : random_seed()),
      last_change_(latest_),
      last_change_wall_(clock_.wall_now()),
      report_capacity_(validated_capacity(options.report_capacity)) {
    set_hung_call_threshold(config_->hung_call_threshold);
    publish_config();
    breaker_.word_.store(static_cast<std::uint64_t>(config_->enabled ? State::closed : State::disabled));
}

Subscription CircuitBreaker::Impl::subscribe(BreakerListener listener, EventMask mask) {
    std::shared_ptr<detail::EventHub> hub;
    {
        const std::scoped_lock lock{mutex_};
        if (!hub_owner_) {
            hub_owner_ = std::make_shared<detail::EventHub>();
            hub_.store(hub_owner_.get(), std::memory_order_release);  // I7
        }
        hub = hub_owner_;
    }
    return hub->subscribe(std::move(listener), mask);
}

void CircuitBreaker::Impl::deliver_queued_events() noexcept {
    if (auto* hub = hub_.load(std::memory_order_acquire)) hub->drain(breaker_);  // I7, I8
}

Outcome CircuitBreaker::Impl::classify_exception(const std::exception_ptr& error) const noexcept {
    if (!classify_exception_) return Outcome::failure;
    try {
        return (*classify_exception_)(error);
    } catch (...) {
        return Outcome::failure;  // a classifier that fails says nothing about the error
    }
}

void CircuitBreaker::Impl::record_fallback(bool failed) noexcept {
    {
        const std::scoped_lock lock{mutex_};
        ++totals_.fallbacks;
        enqueue([failed] { return FallbackExecutedEvent{failed}; });
    }
    deliver_queued_events();
}

}  // namespace fusebox
