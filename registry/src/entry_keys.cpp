#include "entry_keys.hpp"

#include <array>
#include <functional>

#include <fmt/format.h>

#include <fusebox/core/detail/validator.hpp>
#include <fusebox/core/presets.hpp>
#include <fusebox/text/suggestion.hpp>

namespace fusebox {
namespace {

using Config = CircuitBreakerConfig;
using detail::Validator;

// ---- kinds of values; `access` gives the place in the configuration ----

template <auto access>
void flag(const ConfigValue& value) {
    if (const auto on = value.flag()) value.set([on = *on](Config& config) { std::invoke(access, config) = on; });
}

template <auto access, std::uint32_t least, std::uint32_t most = Validator::no_limit>
void whole(const ConfigValue& value) {
    if (const auto count = value.whole_number(least, most)) {
        value.set([count = *count](Config& config) { std::invoke(access, config) = count; });
    }
}

template <auto access>
void number(const ConfigValue& value) {
    if (const auto ratio = value.number()) {
        value.set([ratio = *ratio](Config& config) { std::invoke(access, config) = ratio; });
    }
}

/// A threshold whose 0 means off, and that says so.
template <auto access, auto otherwise>
void threshold(const ConfigValue& value) {
    if (!value.is_off()) return otherwise(value);
    value.set([](Config& config) { std::invoke(access, config) = 0; });
}

template <auto access, const std::string_view& range = Validator::above_zero>
void duration(const ConfigValue& value) {
    if (const auto length = value.duration(fmt::format("a duration such as \"30s\" or \"250ms\", {}", range))) {
        value.set([length = *length](Config& config) { std::invoke(access, config) = length; });
    }
}

template <auto access>
void duration_or_off(const ConfigValue& value) {
    if (value.is_off()) return value.set([](Config& config) { std::invoke(access, config) = std::nullopt; });
    if (const auto length = value.duration(
            fmt::format("a duration such as \"30s\" or \"250ms\", {}, or \"off\"", Validator::above_zero))) {
        value.set([length = *length](Config& config) { std::invoke(access, config) = length; });
    }
}

template <auto access, const std::string_view& range = Validator::above_zero>
void seconds(const ConfigValue& value) {
    if (const auto length = value.count_of(std::chrono::seconds{1}, "seconds", range)) {
        value.set([length = *length](Config& config) { std::invoke(access, config) = length; });
    }
}

template <auto access>
void milliseconds(const ConfigValue& value) {
    if (const auto length = value.count_of(std::chrono::milliseconds{1}, "milliseconds", Validator::above_zero)) {
        value.set([length = *length](Config& config) { std::invoke(access, config) = length; });
    }
}

// ---- the window ----

TimeWindow& time_window(Config& config) {
    auto* window = std::get_if<TimeWindow>(&config.window);
    return window ? *window : config.window.emplace<TimeWindow>();
}
constexpr auto window_duration = [](Config& config) -> Duration& { return time_window(config).duration; };
constexpr auto window_slices = [](Config& config) -> std::uint32_t& { return time_window(config).slices; };
constexpr auto window_count = [](Config& config) -> std::uint32_t& {
    auto* window = std::get_if<CountWindow>(&config.window);
    return (window ? *window : config.window.emplace<CountWindow>()).size;
};

constexpr std::array window_keys{
    ConfigKey{"duration", "window.duration", duration<window_duration, Validator::up_to_a_day>},
    ConfigKey{"slices", "window.slices", whole<window_slices, 1, Validator::most_slices>},
    ConfigKey{"count", "window.size", whole<window_count, 1, Validator::largest_window>},
    ConfigKey{"size", "count", nullptr},
};

void window(const ConfigValue& value) {
    const auto wanted = fmt::format(
        "a duration such as \"60s\", {{ duration = \"60s\", slices = 10 }} or {{ count = 100 }}; a duration is {}",
        Validator::up_to_a_day);
    const auto* table = value.node().as_table();
    if (!table) {
        if (const auto length = value.duration(wanted)) {
            value.set("window.duration", [length = *length](Config& config) { window_duration(config) = length; });
        }
        return;
    }
    if (table->empty() || (table->contains("count") && table->size() > 1)) {
        return value.reject(wanted);
    }
    read_keys(*table, value.path(), window_keys, value.entry(), value.mistakes());
}

// ---- the backoff ----

constexpr auto backoff_kind = [](Config& config) -> Backoff::Kind& { return config.backoff.kind; };
constexpr auto backoff_increment = [](Config& config) -> Duration& { return config.backoff.increment; };
constexpr auto backoff_multiplier = [](Config& config) -> double& { return config.backoff.multiplier; };
constexpr auto backoff_cap = [](Config& config) -> Duration& { return config.backoff.max_open_timeout; };
constexpr auto backoff_jitter = [](Config& config) -> double& { return config.backoff.jitter; };

void kind_of_backoff(const ConfigValue& value) {
    std::optional<Backoff::Kind> kind;
    if (value.text() == "fixed") kind = Backoff::Kind::fixed;
    if (value.text() == "linear") kind = Backoff::Kind::linear;
    if (value.text() == "exponential") kind = Backoff::Kind::exponential;
    if (!kind) return value.reject("\"fixed\", \"linear\" or \"exponential\"");
    value.set("backoff.kind", [kind = *kind](Config& config) { backoff_kind(config) = kind; });
}

void enable_exponential(const ConfigValue& value) {
    if (const auto on = value.flag()) {
        value.set([kind = *on ? Backoff::Kind::exponential : Backoff::Kind::fixed](Config& config) {
            backoff_kind(config) = kind;
        });
    }
}

constexpr std::array backoff_keys{
    ConfigKey{"kind", "backoff.kind", kind_of_backoff},
    ConfigKey{"increment", "backoff.increment", duration<backoff_increment, Validator::from_zero>},
    ConfigKey{"multiplier", "backoff.multiplier", number<backoff_multiplier>},
    ConfigKey{"max_open_timeout", "backoff.max_open_timeout", duration<backoff_cap>},
    ConfigKey{"jitter", "backoff.jitter", number<backoff_jitter>},
};

void backoff(const ConfigValue& value) {
    const auto* table = value.node().as_table();
    if (!table) return kind_of_backoff(value);
    read_keys(*table, value.path(), backoff_keys, value.entry(), value.mistakes());
}

// ---- half-open ----

HalfOpenRate& half_open_rate(Config& config) {
    return config.half_open_rate ? *config.half_open_rate : config.half_open_rate.emplace();
}
constexpr auto minimum_probes = [](Config& config) -> std::uint32_t& { return half_open_rate(config).minimum_probes; };
constexpr auto success_rate = [](Config& config) -> double& { return half_open_rate(config).success_rate; };

constexpr std::array half_open_keys{
    ConfigKey{"minimum_probes", "half_open_rate.minimum_probes", whole<minimum_probes, 1>},
    ConfigKey{"success_rate", "half_open_rate.success_rate", number<success_rate>},
};

void half_open_mode(const ConfigValue& value) {
    if (value.text() == "strict") return value.set([](Config& config) { config.half_open_rate.reset(); });
    const auto* table = value.node().as_table();
    if (!table) return value.reject("\"strict\" or { minimum_probes = 5, success_rate = 0.6 }");
    value.set([](Config& config) { half_open_rate(config); });
    read_keys(*table, value.path(), half_open_keys, value.entry(), value.mistakes());
}

void half_open_strict_mode(const ConfigValue& value) {
    if (const auto strict = value.flag()) {
        value.set([strict = *strict](Config& config) {
            if (strict) {
                config.half_open_rate.reset();
            } else {
                half_open_rate(config);
            }
        });
    }
}

// ---- what an entry says beside its fields ----

void preset_name(const ConfigValue& value) {
    const auto names = preset_names();
    if (const auto name = value.text(); name && preset(*name)) {
        value.entry().preset = value.reference(std::string{*name});
    } else {
        value.reject(fmt::format("one of the presets {}{}", fmt::join(names, ", "),
                                 name ? text::did_you_mean(*name, {names.begin(), names.end()}) : std::string{}));
    }
}

void inherits(const ConfigValue& value) {
    if (const auto name = value.text()) {
        value.entry().inherits = value.reference(std::string{*name});
    } else {
        value.reject("the name of another entry");
    }
}

void criticality(const ConfigValue& value) {
    const auto text = value.text();
    value.entry().criticality = text ? criticality_from_string(*text) : std::nullopt;
    if (!value.entry().criticality) value.reject("\"critical\", \"degraded\" or \"optional\"");
}

/// Some systems count failures in a row under this name, others mean a rate: the kind of number tells them apart.
void failure_threshold(const ConfigValue& value) {
    if (value.node().is_integer()) {
        if (const auto count = value.whole_number(0, Validator::no_limit)) {
            value.set("consecutive_failure_threshold",
                      [count = *count](Config& config) { config.consecutive_failure_threshold = count; });
        }
        return;
    }
    const auto* rate = value.node().as_floating_point();
    if (!rate || !(rate->get() > 0 && rate->get() <= 1)) {
        return value.reject("a whole number (failures in a row) or a fraction in (0, 1] (failure rate)");
    }
    value.set("failure_rate_threshold", [rate = rate->get()](Config& config) { config.failure_rate_threshold = rate; });
}

/// In the order in which they apply. A key whose name is not its field is the name that another system has for it.
constexpr std::array keys{
    ConfigKey{"preset", "preset", preset_name},
    ConfigKey{"inherits", "inherits", inherits},
    ConfigKey{"criticality", "criticality", criticality},

    ConfigKey{"enabled", "enabled", flag<&Config::enabled>},
    ConfigKey{"consecutive_failure_threshold", "consecutive_failure_threshold",
              threshold<&Config::consecutive_failure_threshold, whole<&Config::consecutive_failure_threshold, 0>>},
    ConfigKey{"failure_threshold", "failure_threshold", failure_threshold},
    ConfigKey{"failure_rate_threshold", "failure_rate_threshold",
              threshold<&Config::failure_rate_threshold, number<&Config::failure_rate_threshold>>},
    ConfigKey{"slow_call_duration_threshold", "slow_call_duration_threshold",
              duration_or_off<&Config::slow_call_duration_threshold>},
    ConfigKey{"slow_call_rate_threshold", "slow_call_rate_threshold", number<&Config::slow_call_rate_threshold>},
    ConfigKey{"minimum_requests", "minimum_requests", whole<&Config::minimum_requests, 1>},
    ConfigKey{"minimum_request_threshold", "minimum_requests", whole<&Config::minimum_requests, 1>},

    ConfigKey{"window", "window", window},
    ConfigKey{"window_duration", "window.duration", duration<window_duration, Validator::up_to_a_day>},
    ConfigKey{"window_duration_secs", "window.duration", seconds<window_duration, Validator::up_to_a_day>},
    ConfigKey{"failure_window_seconds", "window.duration", seconds<window_duration, Validator::up_to_a_day>},
    ConfigKey{"sample_size", "window.size", whole<window_count, 1, Validator::largest_window>},

    ConfigKey{"open_timeout", "open_timeout", duration<&Config::open_timeout>},
    ConfigKey{"open_timeout_ms", "open_timeout", milliseconds<&Config::open_timeout>},
    ConfigKey{"recovery_timeout_seconds", "open_timeout", seconds<&Config::open_timeout>},
    ConfigKey{"timeout_duration", "open_timeout", duration<&Config::open_timeout>},
    ConfigKey{"timeout_duration_secs", "open_timeout", seconds<&Config::open_timeout>},

    ConfigKey{"backoff", "backoff", backoff},
    ConfigKey{"enable_exponential_backoff", "backoff.kind", enable_exponential},
    ConfigKey{"backoff_multiplier", "backoff.multiplier", number<backoff_multiplier>},
    ConfigKey{"max_backoff_duration", "backoff.max_open_timeout", duration<backoff_cap>},

    ConfigKey{"half_open_max_concurrent", "half_open_max_concurrent",
              whole<&Config::half_open_max_concurrent, 1, Validator::most_probes>},
    ConfigKey{"half_open_max_requests", "half_open_max_concurrent",
              whole<&Config::half_open_max_concurrent, 1, Validator::most_probes>},
    ConfigKey{"success_threshold", "success_threshold", whole<&Config::success_threshold, 1>},
    ConfigKey{"half_open_success_threshold", "success_threshold", whole<&Config::success_threshold, 1>},
    ConfigKey{"half_open_mode", "half_open_rate", half_open_mode},
    ConfigKey{"half_open_minimum_probes", "half_open_rate.minimum_probes", whole<minimum_probes, 1>},
    ConfigKey{"half_open_success_rate", "half_open_rate.success_rate", number<success_rate>},
    // Last of its kind: strict makes the two before it idle.
    ConfigKey{"half_open_strict_mode", "half_open_rate.strict", half_open_strict_mode},

    ConfigKey{"probe_lease", "probe_lease", duration<&Config::probe_lease>},
    ConfigKey{"operation_timeout", "operation_timeout", duration_or_off<&Config::operation_timeout>},
    ConfigKey{"operation_timeout_seconds", "operation_timeout", seconds<&Config::operation_timeout>},
    ConfigKey{"request_timeout", "operation_timeout", duration_or_off<&Config::operation_timeout>},
    ConfigKey{"count_timeout_as_failure", "count_timeout_as_failure", flag<&Config::count_timeout_as_failure>},
    ConfigKey{"hung_call_threshold", "hung_call_threshold", duration_or_off<&Config::hung_call_threshold>},
    ConfigKey{"measure_duration", "measure_duration", flag<&Config::measure_duration>},

    // What the same is called in code, by `CircuitBreakerConfigBuilder` and `CircuitBreakerConfig`.
    ConfigKey{"consecutive_failures", "consecutive_failure_threshold", nullptr},
    ConfigKey{"failure_rate", "failure_rate_threshold", nullptr},
    ConfigKey{"slow_calls", "slow_call_duration_threshold", nullptr},
    ConfigKey{"time_window", "window", nullptr},
    ConfigKey{"count_window", "window", nullptr},
    ConfigKey{"linear_backoff", "backoff", nullptr},
    ConfigKey{"exponential_backoff", "backoff", nullptr},
    ConfigKey{"max_open_timeout", "backoff.max_open_timeout", nullptr},
    ConfigKey{"jitter", "backoff.jitter", nullptr},
    ConfigKey{"half_open_rate", "half_open_mode", nullptr},
};

}  // namespace

std::span<const ConfigKey> entry_keys() noexcept { return keys; }

}  // namespace fusebox
