#include <fusebox/core/circuit_breaker.hpp>

#include <stdexcept>
#include <utility>

#include "circuit_breaker_impl.hpp"

namespace fusebox {
namespace {

std::string checked_name(std::string name) {
    if (name.empty() || name.size() > 128) {
        throw std::invalid_argument{"a circuit breaker's name must have 1 to 128 bytes, this one has " +
                                    std::to_string(name.size())};
    }
    return name;
}

}  // namespace

CircuitBreaker::CircuitBreaker(std::string name, const CircuitBreakerConfig& config, BreakerOptions options)
    : CircuitBreaker(std::move(name), SharedConfig{config}, std::move(options)) {}
CircuitBreaker::CircuitBreaker(std::string name, SharedConfig config, BreakerOptions options)
    : by_steady_clock_(options.clock == &fusebox::steady_clock()), clock_(options.clock) {
    name = checked_name(std::move(name));
    if (clock_ == nullptr) throw std::invalid_argument{"a circuit breaker needs a clock"};
    impl_ = std::make_unique<Impl>(*this, std::move(name), std::move(config), std::move(options));
    name_ = &impl_->name();
}
CircuitBreaker::~CircuitBreaker() = default;

CallContext CircuitBreaker::context_until(TimePoint deadline, const std::stop_token& stop) const {
    return {*clock_, deadline == no_deadline ? std::nullopt : std::optional{deadline}, stop};
}

Outcome CircuitBreaker::classify_exception(const std::exception_ptr& error) const noexcept {
    return impl_->classify_exception(error);
}
void CircuitBreaker::record_fallback(bool failed) noexcept { impl_->record_fallback(failed); }

CircuitBreakerMetrics CircuitBreaker::metrics() const { return impl_->metrics(); }
CircuitBreakerConfig CircuitBreaker::config() const { return impl_->config(); }
std::optional<TransitionReport> CircuitBreaker::last_trip() const { return impl_->last_trip(); }
std::vector<TransitionReport> CircuitBreaker::reports() const { return impl_->reports(); }

void CircuitBreaker::reset(std::string_view actor, std::string_view note) {
    impl_->control(State::closed, actor, note);
}
void CircuitBreaker::force_open(std::string_view actor, std::string_view note) {
    impl_->control(State::forced_open, actor, note);
}
void CircuitBreaker::trip(std::string_view actor, std::string_view note) { impl_->control(State::open, actor, note); }
void CircuitBreaker::disable(std::string_view actor, std::string_view note) {
    impl_->control(State::disabled, actor, note);
}
void CircuitBreaker::metrics_only(std::string_view actor, std::string_view note) {
    impl_->control(State::metrics_only, actor, note);
}
void CircuitBreaker::reconfigure(const CircuitBreakerConfig& config, std::string_view actor, std::string_view note) {
    impl_->reconfigure(config, actor, note);
}
BreakerSnapshot CircuitBreaker::snapshot() const { return impl_->snapshot(); }
void CircuitBreaker::restore(const BreakerSnapshot& snapshot) { impl_->restore(snapshot); }
Subscription CircuitBreaker::subscribe(BreakerListener listener, EventMask mask) {
    return impl_->subscribe(std::move(listener), mask);
}

Permit& Permit::operator=(Permit&& other) noexcept {
    if (this != &other) {
        if (breaker_ != nullptr) breaker_->abandon(admission_.copy());
        breaker_ = std::exchange(other.breaker_, nullptr);
        admission_ = other.admission_;
    }
    return *this;
}

CallContext Permit::context(const std::stop_token& stop) const {
    return breaker_->context_until(breaker_->deadline_of(admission_), stop);
}

}  // namespace fusebox
