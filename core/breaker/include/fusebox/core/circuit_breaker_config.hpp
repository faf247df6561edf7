// Everything that can be set on a circuit breaker, its builder and its validation.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <fusebox/core/clock.hpp>

namespace fusebox {

/// Judge the outcomes of the last `duration`, forgotten a slice at a time (R13).
///
/// Slices are `duration / slices` long, rounded up, and follow one another from the breaker's construction on. The
/// window holds the running slice and the `slices` before it.
struct TimeWindow {
    Duration duration{std::chrono::seconds{60}};  ///< 1 ms … 1 day; default 60 s
    std::uint32_t slices{10};  ///< 1 … 60; default 10. More slices forget more evenly and cost memory
    bool operator==(const TimeWindow&) const = default;
};
/// Judge exactly the last `size` outcomes (R13).
struct CountWindow {
    std::uint32_t size{100};  ///< 1 … 65536; default 100
    bool operator==(const CountWindow&) const = default;
};
/// Over what the rates are judged.
using Window = std::variant<TimeWindow, CountWindow>;

/// How the open time grows while probes keep failing (R26–R28).
struct Backoff {
    enum class Kind : std::uint8_t {
        fixed,        ///< always `open_timeout`
        linear,       ///< open_timeout + attempt × increment
        exponential,  ///< open_timeout × multiplier ^ attempt
    };
    Kind kind{Kind::fixed};
    Duration increment{};    ///< linear: added per failed attempt; ≥ 0
    double multiplier{2.0};  ///< exponential: factor per failed attempt; 1 … 100
    Duration max_open_timeout{
        std::chrono::minutes{10}};  ///< cap of what grows and of hints (R29); ≥ open_timeout unless fixed
    double jitter{0.0};             ///< spread of ± this ratio; [0, 1)
    bool operator==(const Backoff&) const = default;

    [[nodiscard]] static Backoff fixed() { return {}; }
    [[nodiscard]] static Backoff linear(Duration increment) { return {.kind = Kind::linear, .increment = increment}; }
    [[nodiscard]] static Backoff exponential(double multiplier) {
        return {.kind = Kind::exponential, .multiplier = multiplier};
    }
};

/// When probes close the circuit (R20, R21).
struct HalfOpenRate {
    std::uint32_t minimum_probes{5};  ///< judged after this many probes; ≥ 1
    double success_rate{0.6};         ///< closes at or above; a slow probe is no success; (0, 1]
    bool operator==(const HalfOpenRate&) const = default;
};

/// Everything that can be set. A value. Aggregate: set the fields by name, or use `CircuitBreakerConfigBuilder`. The
/// defaults are those of docs/breaker-contract.md §3.
struct CircuitBreakerConfig {
    bool enabled{true};                                      ///< off: the breaker starts `disabled`
    std::uint32_t consecutive_failure_threshold{5};          ///< failures in a row that trip; 0 = off
    double failure_rate_threshold{0.5};                      ///< share of failures that trips; (0, 1], 0 = off
    std::optional<Duration> slow_call_duration_threshold{};  ///< a call at least this long is slow; > 0, none = off
    double slow_call_rate_threshold{1.0};                    ///< share of slow calls that trips; (0, 1]
    std::uint32_t minimum_requests{10};                      ///< outcomes in the window before a rate is judged; ≥ 1.
                                                             ///< A count window is judged when full at the latest
    Window window{TimeWindow{}};  ///< what the rates are judged over; default: the last 60 s in 10 slices
    Duration open_timeout{std::chrono::seconds{30}};  ///< how long open rejects before the first probe; > 0
    Backoff backoff{};                                ///< how that time grows while probes fail; default: not at all
    std::uint32_t half_open_max_concurrent{5};        ///< probes in flight at once; 1 … 1024
    std::uint32_t success_threshold{3};               ///< consecutive good probes that close; ≥ 1 (strict mode)
    std::optional<HalfOpenRate> half_open_rate{};     ///< none = strict mode, set = rate mode
    Duration probe_lease{
        std::chrono::seconds{60}};  ///< an unsettled probe counts as failed after this; ≥ operation_timeout (R24)
    std::optional<Duration> operation_timeout{
        std::chrono::seconds{10}};        ///< deadline handed to the operation; > 0, none = off
    bool count_timeout_as_failure{true};  ///< off: a timeout is neutral
    /// A call in flight this long counts as a slow failure, also where the slow rule is off otherwise; > 0, none = off.
    /// Looked for at each admission and each settlement; a probe's lease ends no later than that (R17). Up to 1024
    /// calls in flight are watched: a threshold above that is not reached by hung calls alone.
    std::optional<Duration> hung_call_threshold{};
    /// off: no call is timed, which is most of what an admitted call costs. Then a count window is needed, and none of
    /// operation_timeout, slow_call_duration_threshold, hung_call_threshold; the duration histogram stays empty.
    bool measure_duration{true};

    bool operator==(const CircuitBreakerConfig&) const = default;
};

/// One field that is out of range.
struct ConfigError {
    /// As `CircuitBreakerConfig` spells it: `failure_rate_threshold`, `window.size`, `half_open_rate.success_rate`.
    /// Configuration files write `window.count` for `window.size` and `half_open_mode` for `half_open_rate`.
    std::string field;
    std::string message;  ///< value and range: "is 1.5, must be in (0, 1] or 0 for off"
};

/// Every bad field of `config`, in declaration order; empty when it is good.
[[nodiscard]] std::vector<ConfigError> validate(const CircuitBreakerConfig& config);

/// Thrown once, at construction; its text names every bad field with value and range.
class InvalidConfig : public std::invalid_argument {
public:
    /// `subject`: what is configured badly.
    explicit InvalidConfig(std::vector<ConfigError> errors, std::string_view subject = "circuit breaker");
    [[nodiscard]] std::span<const ConfigError> errors() const noexcept { return errors_; }

private:
    std::vector<ConfigError> errors_;
};

/// A good configuration that many breakers share, so that each of them is smaller by its size. Immutable, copied
/// cheaply, and used by any number of threads.
///
///     const fusebox::SharedConfig config{fusebox::preset("http_api").value()};  // of <fusebox/core/presets.hpp>
///     fusebox::CircuitBreaker users{"users", config};
///     fusebox::CircuitBreaker orders{"orders", config};
class SharedConfig {
public:
    /// Throws `InvalidConfig`.
    explicit SharedConfig(const CircuitBreakerConfig& config);
    [[nodiscard]] const CircuitBreakerConfig& operator*() const noexcept { return *config_; }
    [[nodiscard]] const CircuitBreakerConfig* operator->() const noexcept { return config_.get(); }

private:
    std::shared_ptr<const CircuitBreakerConfig> config_;
};

/// Fluent form of `CircuitBreakerConfig`: each function sets the field or the fields of its name, `build` validates
/// them all. One thread at a time.
///
///     auto config = fusebox::CircuitBreakerConfigBuilder{}
///                       .consecutive_failures(3)
///                       .open_timeout(std::chrono::seconds{5})
///                       .exponential_backoff(2.0, std::chrono::minutes{2})
///                       .build();
class CircuitBreakerConfigBuilder {
public:
    CircuitBreakerConfigBuilder() = default;
    /// Starts from a preset or any other configuration.
    explicit CircuitBreakerConfigBuilder(CircuitBreakerConfig base) : config_(base) {}

    CircuitBreakerConfigBuilder& enabled(bool on);
    CircuitBreakerConfigBuilder& consecutive_failures(std::uint32_t threshold);
    CircuitBreakerConfigBuilder& failure_rate(double threshold);
    CircuitBreakerConfigBuilder& slow_calls(Duration duration_threshold, double rate_threshold = 1.0);
    CircuitBreakerConfigBuilder& minimum_requests(std::uint32_t count);
    CircuitBreakerConfigBuilder& time_window(Duration duration, std::uint32_t slices = 10);
    CircuitBreakerConfigBuilder& count_window(std::uint32_t size);
    CircuitBreakerConfigBuilder& open_timeout(Duration timeout);
    CircuitBreakerConfigBuilder& linear_backoff(Duration increment, Duration max_open_timeout);
    CircuitBreakerConfigBuilder& exponential_backoff(double multiplier, Duration max_open_timeout);
    CircuitBreakerConfigBuilder& jitter(double ratio);
    CircuitBreakerConfigBuilder& half_open_max_concurrent(std::uint32_t probes);
    CircuitBreakerConfigBuilder& success_threshold(std::uint32_t successes);
    CircuitBreakerConfigBuilder& half_open_rate(std::uint32_t minimum_probes, double success_rate);
    CircuitBreakerConfigBuilder& probe_lease(Duration lease);
    CircuitBreakerConfigBuilder& operation_timeout(std::optional<Duration> timeout);
    CircuitBreakerConfigBuilder& count_timeout_as_failure(bool on);
    CircuitBreakerConfigBuilder& hung_call_threshold(std::optional<Duration> threshold);
    CircuitBreakerConfigBuilder& measure_duration(bool on);

    /// Throws `InvalidConfig` naming every bad field.
    [[nodiscard]] CircuitBreakerConfig build() const;

private:
    CircuitBreakerConfig config_;
};

}  // namespace fusebox
