#include <cmath>
#include <fusebox/core/circuit_breaker_config.hpp>
#include <string_view>
#include <utility>

#include <fusebox/core/detail/validator.hpp>
#include <fusebox/text/duration.hpp>
#include <fusebox/text/number.hpp>

namespace fusebox {
namespace {

using namespace std::chrono_literals;

using detail::Validator;
constexpr auto longest = Validator::longest;
constexpr auto no_limit = Validator::no_limit;

void check_window(Validator& validator, const Window& window) {
    if (const auto* time = std::get_if<TimeWindow>(&window)) {
        validator.check(time->duration >= 1ms && time->duration <= 24h, "window.duration",
                        text::format_duration(time->duration), Validator::up_to_a_day);
        validator.count("window.slices", time->slices, 1, Validator::most_slices);
    } else {
        validator.count("window.size", std::get<CountWindow>(window).size, 1, Validator::largest_window);
    }
}

void check_backoff(Validator& validator, const CircuitBreakerConfig& config) {
    const auto& backoff = config.backoff;
    if (backoff.kind == Backoff::Kind::linear) {
        validator.check(backoff.increment >= Duration::zero() && backoff.increment <= longest, "backoff.increment",
                        text::format_duration(backoff.increment), Validator::from_zero);
    }
    if (backoff.kind == Backoff::Kind::exponential) {
        validator.check(backoff.multiplier >= 1 && backoff.multiplier <= 100, "backoff.multiplier",
                        text::format_number(backoff.multiplier), "at least 1 and at most 100");
    }
    if (backoff.kind == Backoff::Kind::fixed) {
        validator.positive("backoff.max_open_timeout", backoff.max_open_timeout);
    } else {
        validator.check(backoff.max_open_timeout >= config.open_timeout && backoff.max_open_timeout <= longest,
                        "backoff.max_open_timeout", text::format_duration(backoff.max_open_timeout),
                        "at least open_timeout (" + text::format_duration(config.open_timeout) + ") and at most 3650d");
    }
    validator.check(backoff.jitter >= 0 && backoff.jitter < 1, "backoff.jitter", text::format_number(backoff.jitter),
                    "in [0, 1)");
}

std::string summary(const std::vector<ConfigError>& errors, std::string_view subject) {
    std::string text{"invalid "};
    text.append(subject).append(" configuration");
    std::string_view separator{": "};
    for (const auto& error : errors) {
        text.append(separator).append(error.field).append(" ").append(error.message);
        separator = "; ";
    }
    return text;
}

}  // namespace

std::vector<ConfigError> validate(const CircuitBreakerConfig& config) {
    Validator validator;
    validator.rate("failure_rate_threshold", config.failure_rate_threshold, true);
    validator.positive("slow_call_duration_threshold", config.slow_call_duration_threshold);
    validator.rate("slow_call_rate_threshold", config.slow_call_rate_threshold, false);
    validator.count("minimum_requests", config.minimum_requests, 1, no_limit);
    check_window(validator, config.window);
    validator.positive("open_timeout", config.open_timeout);
    check_backoff(validator, config);
    validator.count("half_open_max_concurrent", config.half_open_max_concurrent, 1, Validator::most_probes);
    validator.count("success_threshold", config.success_threshold, 1, no_limit);
    if (config.half_open_rate) {
        validator.count("half_open_rate.minimum_probes", config.half_open_rate->minimum_probes, 1, no_limit);
        validator.rate("half_open_rate.success_rate", config.half_open_rate->success_rate, false);
    }
    if (config.operation_timeout && config.probe_lease > Duration::zero() && config.probe_lease <= longest) {
        validator.check(config.probe_lease >= *config.operation_timeout, "probe_lease",
                        text::format_duration(config.probe_lease),
                        "at least operation_timeout (" + text::format_duration(*config.operation_timeout) + ")");
    } else {
        validator.positive("probe_lease", config.probe_lease);
    }
    validator.positive("operation_timeout", config.operation_timeout);
    validator.positive("hung_call_threshold", config.hung_call_threshold);
    const auto needs_time = std::holds_alternative<TimeWindow>(config.window) || config.operation_timeout ||
                            config.slow_call_duration_threshold || config.hung_call_threshold;
    validator.check(config.measure_duration || !needs_time, "measure_duration", "off",
                    "on with a time window, operation_timeout, slow_call_duration_threshold or hung_call_threshold");
    return validator.take_errors();
}

InvalidConfig::InvalidConfig(std::vector<ConfigError> errors, std::string_view subject)
    : std::invalid_argument(summary(errors, subject)), errors_(std::move(errors)) {}

SharedConfig::SharedConfig(const CircuitBreakerConfig& config) {
    if (auto errors = validate(config); !errors.empty()) throw InvalidConfig{std::move(errors)};
    config_ = std::make_shared<const CircuitBreakerConfig>(config);
}

using Builder = CircuitBreakerConfigBuilder;

Builder& Builder::enabled(bool on) {
    config_.enabled = on;
    return *this;
}
Builder& Builder::consecutive_failures(std::uint32_t threshold) {
    config_.consecutive_failure_threshold = threshold;
    return *this;
}
Builder& Builder::failure_rate(double threshold) {
    config_.failure_rate_threshold = threshold;
    return *this;
}
Builder& Builder::slow_calls(Duration duration_threshold, double rate_threshold) {
    config_.slow_call_duration_threshold = duration_threshold;
    config_.slow_call_rate_threshold = rate_threshold;
    return *this;
}
Builder& Builder::minimum_requests(std::uint32_t count) {
    config_.minimum_requests = count;
    return *this;
}
Builder& Builder::time_window(Duration duration, std::uint32_t slices) {
    config_.window = TimeWindow{.duration = duration, .slices = slices};
    return *this;
}
Builder& Builder::count_window(std::uint32_t size) {
    config_.window = CountWindow{.size = size};
    return *this;
}
Builder& Builder::open_timeout(Duration timeout) {
    config_.open_timeout = timeout;
    return *this;
}
Builder& Builder::linear_backoff(Duration increment, Duration max_open_timeout) {
    config_.backoff.kind = Backoff::Kind::linear;
    config_.backoff.increment = increment;
    config_.backoff.max_open_timeout = max_open_timeout;
    return *this;
}
Builder& Builder::exponential_backoff(double multiplier, Duration max_open_timeout) {
    config_.backoff.kind = Backoff::Kind::exponential;
    config_.backoff.multiplier = multiplier;
    config_.backoff.max_open_timeout = max_open_timeout;
    return *this;
}
Builder& Builder::jitter(double ratio) {
    config_.backoff.jitter = ratio;
    return *this;
}
Builder& Builder::half_open_max_concurrent(std::uint32_t probes) {
    config_.half_open_max_concurrent = probes;
    return *this;
}
Builder& Builder::success_threshold(std::uint32_t successes) {
    config_.success_threshold = successes;
    return *this;
}
Builder& Builder::half_open_rate(std::uint32_t minimum_probes, double success_rate) {
    config_.half_open_rate = HalfOpenRate{.minimum_probes = minimum_probes, .success_rate = success_rate};
    return *this;
}
Builder& Builder::probe_lease(Duration lease) {
    config_.probe_lease = lease;
    return *this;
}
Builder& Builder::operation_timeout(std::optional<Duration> timeout) {
    config_.operation_timeout = timeout;
    return *this;
}
Builder& Builder::count_timeout_as_failure(bool on) {
    config_.count_timeout_as_failure = on;
    return *this;
}
Builder& Builder::hung_call_threshold(std::optional<Duration> threshold) {
    config_.hung_call_threshold = threshold;
    return *this;
}
Builder& Builder::measure_duration(bool on) {
    config_.measure_duration = on;
    return *this;
}

CircuitBreakerConfig Builder::build() const { return *SharedConfig{config_}; }

}  // namespace fusebox
