#include <fusebox/policies/graceful_degradation.hpp>
#include <limits>

#include <fusebox/core/detail/validator.hpp>

namespace fusebox {
namespace {

const DegradationConfig& checked(const DegradationConfig& config) {
    detail::Validator validator;
    validator.rate("degraded_failure_rate", config.degraded_failure_rate, false);
    validator.count("minimum_requests", config.minimum_requests, 1, std::numeric_limits<std::uint32_t>::max());
    validator.within("refresh", config.refresh, Duration::zero(), std::chrono::minutes{1});
    validator.finish("degradation");
    return config;
}

}  // namespace

std::string_view to_string(DegradationLevel level) noexcept {
    switch (level) {
        case DegradationLevel::normal:
            return "normal";
        case DegradationLevel::degraded:
            return "degraded";
        case DegradationLevel::critical:
            return "critical";
    }
    return "unknown";
}

struct GracefulDegradation::Shared {
    Shared(const CircuitBreaker& breaker_in, const DegradationConfig& config_in)
        : breaker(&breaker_in), config(config_in) {}

    const CircuitBreaker* breaker;
    const DegradationConfig config;
    std::atomic<bool> enabled{true};
    // What was judged last holds for one generation, and until its time is over. relaxed throughout: a thread that sees
    // parts of two judgements acts on a rate that is a moment old.
    std::atomic<bool> high{};
    std::atomic<std::uint64_t> generation{std::numeric_limits<std::uint64_t>::max()};
    std::atomic<Duration::rep> judged_again_at{};
};

GracefulDegradation::GracefulDegradation(std::shared_ptr<CircuitBreaker> breaker, const DegradationConfig& config)
    : breaker_(std::move(breaker)), shared_(std::make_shared<Shared>(breaker_.breaker(), checked(config))) {}

bool GracefulDegradation::rate_is_high(Shared& shared) {
    const auto now = shared.breaker->clock().now().time_since_epoch();
    const auto generation = shared.breaker->generation();
    if (shared.generation.load(std::memory_order_relaxed) == generation &&
        now.count() < shared.judged_again_at.load(std::memory_order_relaxed)) {
        return shared.high.load(std::memory_order_relaxed);
    }
    const auto metrics = shared.breaker->metrics();
    const bool high = metrics.window.total >= shared.config.minimum_requests &&
                      metrics.failure_rate >= shared.config.degraded_failure_rate;
    shared.high.store(high, std::memory_order_relaxed);
    shared.judged_again_at.store((now + shared.config.refresh).count(), std::memory_order_relaxed);
    shared.generation.store(generation, std::memory_order_relaxed);
    return high;
}

DegradationLevel GracefulDegradation::level() const {
    if (!enabled()) return DegradationLevel::normal;
    switch (shared_->breaker->state()) {
        case State::open:
        case State::forced_open:
            return DegradationLevel::critical;
        case State::half_open:
            return DegradationLevel::degraded;
        case State::disabled:
            return DegradationLevel::normal;
        case State::closed:
        case State::metrics_only:
            break;
    }
    return rate_is_high(*shared_) ? DegradationLevel::degraded : DegradationLevel::normal;
}

// relaxed: a switch that nothing else depends on.
void GracefulDegradation::set_enabled(bool on) noexcept { shared_->enabled.store(on, std::memory_order_relaxed); }
bool GracefulDegradation::enabled() const noexcept { return shared_->enabled.load(std::memory_order_relaxed); }

}  // namespace fusebox
