#include <algorithm>
#include <array>
#include <cstddef>
#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/testkit/fault_plan.hpp>
#include <fusebox/text/duration.hpp>
#include <fusebox/text/number.hpp>
#include <ostream>
#include <string_view>
#include <utility>

namespace fusebox::testkit {
namespace {

constexpr Duration longest_latency = std::chrono::hours{1};
constexpr Duration longest_stretch = std::chrono::hours{24};

// What is drawn for a call or a stretch of time, each from numbers of its own.
enum class Draw : std::uint64_t { failure = 1, latency_segment, latency_position, burst };

// The finalizer of SplitMix64 (Sebastiano Vigna, public domain).
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
    x = (x ^ (x >> 30U)) * 0xBF58'476D'1CE4'E5B9U;
    x = (x ^ (x >> 27U)) * 0x94D0'49BB'1331'11EBU;
    return x ^ (x >> 31U);
}

// 64 random bits that depend on their place alone.
constexpr std::uint64_t random(std::uint64_t seed, Draw draw, std::uint64_t index) noexcept {
    constexpr std::uint64_t golden = 0x9E37'79B9'7F4A'7C15U;
    return mix(mix(seed + golden * static_cast<std::uint64_t>(draw)) + golden * (index + 1));
}

std::string field(std::string_view list, std::size_t index, std::string_view member) {
    return std::string{list}.append("[").append(std::to_string(index)).append("].").append(member);
}

std::vector<ConfigError> validate(const FaultPlanConfig& config) {
    std::vector<ConfigError> errors;
    const auto check = [&](bool good, std::string name, const std::string& value, std::string_view range) {
        if (!good) errors.push_back({std::move(name), "is " + value + ", must be " + std::string{range}});
    };
    const auto probability = config.failure_probability;
    check(probability >= 0 && probability <= 1, "failure_probability", text::format_number(probability), "in [0, 1]");
    const auto& latency = config.latency;
    const auto quantile = [&](std::string_view name, Duration value, Duration low, Duration high,
                              std::string_view range) {
        check(value >= low && value <= high, std::string{"latency."}.append(name), text::format_duration(value), range);
    };
    quantile("min", latency.min, Duration::zero(), longest_latency, "at least 0s and at most 1h");
    quantile("p50", latency.p50, latency.min, longest_latency, "at least min and at most 1h");
    quantile("p90", latency.p90, latency.p50, longest_latency, "at least p50 and at most 1h");
    quantile("p99", latency.p99, latency.p90, longest_latency, "at least p90 and at most 1h");
    quantile("max", latency.max, latency.p99, longest_latency, "at least p99 and at most 1h");
    for (std::size_t i = 0; i < config.outages.size(); ++i) {
        const auto& outage = config.outages[i];
        check(outage.begin >= Duration::zero(), field("outages", i, "begin"), text::format_duration(outage.begin),
              "at least 0s");
        check(outage.length > Duration::zero(), field("outages", i, "length"), text::format_duration(outage.length),
              "above 0s");
    }
    if (const auto& bursts = config.bursts) {
        check(bursts->every > Duration::zero() && bursts->every <= longest_stretch, "bursts.every",
              text::format_duration(bursts->every), "above 0s and at most 24h");
        check(bursts->length > Duration::zero() && bursts->length <= bursts->every, "bursts.length",
              text::format_duration(bursts->length), "above 0s and at most every");
    }
    return errors;
}

Duration draw_latency(const Latency& latency, std::uint64_t seed, std::uint64_t call) noexcept {
    const std::array edges{latency.min, latency.p50, latency.p90, latency.p99, latency.max};
    const auto percent = random(seed, Draw::latency_segment, call) % 100;
    const std::size_t segment = percent < 50 ? 0 : percent < 90 ? 1 : percent < 99 ? 2 : 3;
    // Whole numbers only, for floating point may be contracted differently elsewhere. 1 h in nanoseconds has 42 bits,
    // so the product has 62 at most.
    const auto position = static_cast<std::int64_t>(random(seed, Draw::latency_position, call) >> 44U);
    const auto span = (edges[segment + 1] - edges[segment]).count();
    return edges[segment] + Duration{(span * position) >> 20U};
}

}  // namespace

Latency Latency::uniform(Duration min, Duration max) {
    const auto span = max - min;
    return {min, min + span / 2, max - span / 10, max - span / 100, max};
}

FaultPlan::FaultPlan(FaultPlanConfig config) : config_(std::move(config)) {
    if (auto errors = validate(config_); !errors.empty()) throw InvalidConfig{std::move(errors), "fault plan"};
}

bool FaultPlan::is_down(Duration elapsed) const noexcept {
    const auto in_outage = [&](const Outage& outage) {
        return elapsed >= outage.begin && elapsed - outage.begin < outage.length;
    };
    if (std::ranges::any_of(config_.outages, in_outage)) return true;
    if (!config_.bursts || elapsed < Duration::zero()) return false;
    const auto& [every, length] = *config_.bursts;
    const auto stretch = elapsed / every;
    const auto room = static_cast<std::uint64_t>((every - length).count()) + 1;
    const Duration begin{
        static_cast<Duration::rep>(random(config_.seed, Draw::burst, static_cast<std::uint64_t>(stretch)) % room)};
    const auto into = elapsed % every;
    return into >= begin && into - begin < length;
}

Fault FaultPlan::at(std::uint64_t call, Duration elapsed) const noexcept {
    // The upper 53 bits as a number in [0, 1): exact, since scaling by a power of two rounds nothing.
    const auto chance = static_cast<double>(random(config_.seed, Draw::failure, call) >> 11U) * 0x1p-53;
    return {.fails = chance < config_.failure_probability || is_down(elapsed),
            .latency = draw_latency(config_.latency, config_.seed, call)};
}

std::string FaultPlan::describe() const {
    auto line = "fault plan: seed " + std::to_string(config_.seed);
    line.append(", failure probability ").append(text::format_number(config_.failure_probability));
    if (const auto& latency = config_.latency; latency != Latency{}) {
        line.append(", latency ").append(text::format_duration(latency.min));
        if (latency.min != latency.max) {
            line.append(" to ").append(text::format_duration(latency.max));
            line.append(" (p50 ").append(text::format_duration(latency.p50));
            line.append(", p90 ").append(text::format_duration(latency.p90));
            line.append(", p99 ").append(text::format_duration(latency.p99)).append(")");
        }
    }
    for (const auto& outage : config_.outages) {
        line.append(", outage of ")
            .append(text::format_duration(outage.length))
            .append(" after ")
            .append(text::format_duration(outage.begin));
    }
    if (const auto& bursts = config_.bursts) {
        line.append(", bursts of ")
            .append(text::format_duration(bursts->length))
            .append(" every ")
            .append(text::format_duration(bursts->every));
    }
    return line;
}

std::ostream& operator<<(std::ostream& out, const FaultPlan& plan) { return out << plan.describe(); }

}  // namespace fusebox::testkit
