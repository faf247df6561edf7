#include <fmt/format.h>

#include <fusebox/registry/breaker_set.hpp>
#include <fusebox/text/duration.hpp>

namespace fusebox {
namespace {

std::string text_of(const std::optional<Duration>& duration) {
    return duration ? text::format_duration(*duration) : "off";
}
std::string text_of(bool on) { return on ? "true" : "false"; }
std::string threshold(double value) { return value == 0 ? "off" : fmt::format("{}", value); }

std::string text_of(const Window& window) {
    if (const auto* count = std::get_if<CountWindow>(&window)) return fmt::format("the last {} calls", count->size);
    const auto& time = std::get<TimeWindow>(window);
    return fmt::format("{} in {} slices", text::format_duration(time.duration), time.slices);
}

std::string_view text_of(Backoff::Kind kind) {
    switch (kind) {
        case Backoff::Kind::fixed:
            return "fixed";
        case Backoff::Kind::linear:
            return "linear";
        case Backoff::Kind::exponential:
            return "exponential";
    }
    return "unknown";
}

std::string text_of(const std::optional<HalfOpenRate>& rate) {
    if (!rate) return "strict";
    return fmt::format("success rate {} of at least {} probes", rate->success_rate, rate->minimum_probes);
}

}  // namespace

std::vector<std::pair<std::string_view, std::string>> config_fields(const CircuitBreakerConfig& config) {
    return {
        {"enabled", text_of(config.enabled)},
        {"consecutive_failure_threshold", threshold(config.consecutive_failure_threshold)},
        {"failure_rate_threshold", threshold(config.failure_rate_threshold)},
        {"slow_call_duration_threshold", text_of(config.slow_call_duration_threshold)},
        {"slow_call_rate_threshold", fmt::format("{}", config.slow_call_rate_threshold)},
        {"minimum_requests", fmt::format("{}", config.minimum_requests)},
        {"window", text_of(config.window)},
        {"open_timeout", text::format_duration(config.open_timeout)},
        {"backoff.kind", std::string{text_of(config.backoff.kind)}},
        {"backoff.increment", text::format_duration(config.backoff.increment)},
        {"backoff.multiplier", fmt::format("{}", config.backoff.multiplier)},
        {"backoff.max_open_timeout", text::format_duration(config.backoff.max_open_timeout)},
        {"backoff.jitter", fmt::format("{}", config.backoff.jitter)},
        {"half_open_max_concurrent", fmt::format("{}", config.half_open_max_concurrent)},
        {"success_threshold", fmt::format("{}", config.success_threshold)},
        {"half_open_mode", text_of(config.half_open_rate)},
        {"probe_lease", text::format_duration(config.probe_lease)},
        {"operation_timeout", text_of(config.operation_timeout)},
        {"count_timeout_as_failure", text_of(config.count_timeout_as_failure)},
        {"hung_call_threshold", text_of(config.hung_call_threshold)},
        {"measure_duration", text_of(config.measure_duration)},
    };
}

}  // namespace fusebox
