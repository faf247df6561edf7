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
    : clock_(options.clock), name_(checked_name(std::move(name))) {
    if (clock_ == nullptr) throw std::invalid_argument{"a circuit breaker needs a clock"};
    impl_ = std::make_unique<Impl>(*this, config, std::move(options));
}
CircuitBreaker::~CircuitBreaker() = default;

std::expected<Permit, Rejection> CircuitBreaker::acquire_slowly() noexcept { return impl_->acquire(); }

std::optional<TimePoint> CircuitBreaker::deadline_of(const Permit& permit, const CallOptions& options) const noexcept {
    auto deadline = options.deadline;
    // relaxed: a number that stands for itself.
    if (const auto timeout = operation_timeout_.load(std::memory_order_relaxed); timeout != 0) {
        const auto configured = permit.started_ + Duration{timeout};
        if (!deadline || configured < *deadline) deadline = configured;
    }
    return deadline;
}

void CircuitBreaker::settle_call(Permit& permit, Outcome outcome, TimePoint ended, std::optional<TimePoint> deadline,
                                 const CallOptions& options, Settlement settlement) noexcept {
    if (deadline && ended > *deadline) [[unlikely]] {
        outcome = Outcome::timeout;  // R33
        if (options.late != nullptr) *options.late = true;
    }
    settlement.trace_id = options.trace_id;
    permit.settle_at(outcome, ended, settlement);
}

Outcome CircuitBreaker::judge_exception(const std::exception_ptr& error) const noexcept {
    return impl_->judge_exception(error);
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
        if (breaker_ != nullptr) abandon();
        breaker_ = std::exchange(other.breaker_, nullptr);
        generation_ = other.generation_;
        started_ = other.started_;
        ticket_ = other.ticket_;
        slot_ = other.slot_;
        state_ = other.state_;
    }
    return *this;
}

void Permit::settle(Outcome outcome, const Settlement& settlement) noexcept {
    if (breaker_ != nullptr) settle_at(outcome, breaker_->clock_->now(), settlement);
}

void Permit::settle_at(Outcome outcome, TimePoint now, const Settlement& settlement) noexcept {
    if (auto* breaker = std::exchange(breaker_, nullptr)) breaker->impl_->settle(*this, outcome, now, settlement);
}

void Permit::abandon() noexcept { settle(Outcome::abandoned); }

CallContext Permit::context(std::stop_token stop) const {
    return {*breaker_->clock_, breaker_->deadline_of(*this), std::move(stop)};
}

}  // namespace fusebox
