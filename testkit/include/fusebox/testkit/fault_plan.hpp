// Faults by seed: which call fails and how long each takes, the same on every platform.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include <fusebox/core/clock.hpp>

namespace fusebox::testkit {

/// How long calls take, by the quantiles of their distribution; evenly spread between two of them.
struct Latency {
    Duration min{};  ///< ≥ 0; default 0
    Duration p50{};  ///< half of the calls take no longer; ≥ min
    Duration p90{};  ///< ≥ p50
    Duration p99{};  ///< ≥ p90
    Duration max{};  ///< ≥ p99, at most 1 hour
    bool operator==(const Latency&) const = default;

    [[nodiscard]] static Latency fixed(Duration time) { return {time, time, time, time, time}; }
    [[nodiscard]] static Latency uniform(Duration min, Duration max);
};

/// A stretch of time in which every call fails, counted from the plan's start.
struct Outage {
    Duration begin{};   ///< ≥ 0
    Duration length{};  ///< > 0
    bool operator==(const Outage&) const = default;
};

/// Outages at times that the seed chooses: one of `length` somewhere in each stretch of `every`.
struct Bursts {
    Duration every{};   ///< at most 1 day
    Duration length{};  ///< above 0, at most `every`
    bool operator==(const Bursts&) const = default;
};

struct FaultPlanConfig {
    std::uint64_t seed{1};           ///< of everything that is drawn; default 1
    double failure_probability{};    ///< share of calls that fail outside of outages; [0, 1]; default 0
    Latency latency{};               ///< of every call, failed ones included; default: no time
    std::vector<Outage> outages{};   ///< may overlap
    std::optional<Bursts> bursts{};  ///< none = off
    bool operator==(const FaultPlanConfig&) const = default;
};

/// What happens to one call.
struct Fault {
    bool fails{};
    Duration latency{};
    bool operator==(const Fault&) const = default;
};

/// A plan of faults. The answer depends on the configuration, the call's number and the time alone: not on the order in
/// which threads ask, nor on the standard library. So the description of a plan is enough to repeat a failure.
///
/// A value. Thread contract: any thread at any time.
///
///     const fusebox::testkit::FaultPlan plan{{.seed = 42, .failure_probability = 0.3}};
///     INFO(plan);   // "fault plan: seed 42, failure probability 0.3"
class FaultPlan {
public:
    /// Throws `InvalidConfig` that names every bad field.
    explicit FaultPlan(FaultPlanConfig config);

    /// The fault of call number `call` (0, 1, 2 …), made when `elapsed` has passed since the plan's start.
    [[nodiscard]] Fault at(std::uint64_t call, Duration elapsed) const noexcept;
    /// True in an outage or a burst: whoever calls now, fails.
    [[nodiscard]] bool is_down(Duration elapsed) const noexcept;

    [[nodiscard]] const FaultPlanConfig& config() const noexcept { return config_; }
    /// The whole configuration in one line, exact.
    [[nodiscard]] std::string describe() const;

private:
    FaultPlanConfig config_;
};

/// As `describe`: Catch2, GoogleTest and doctest print it where a check fails.
std::ostream& operator<<(std::ostream& out, const FaultPlan& plan);

}  // namespace fusebox::testkit
