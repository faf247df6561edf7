// What happens to a breaker in one run of the property test: its configuration, and one step after the other.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/core/outcome.hpp>
#include <fusebox/core/state.hpp>

namespace fusebox::test::model {

/// `breaker.call(op)`, where `op` takes so long and ends so; unless it succeeds, with an error that gives a hint.
struct Call {
    Outcome outcome{};
    Duration takes{};
    std::optional<Duration> retry_after{};
};
/// `try_acquire`; the permit joins those in flight.
struct Admit {};
/// One of the permits in flight is settled, be it of this generation or of an older one.
struct Settle {
    std::uint32_t which{};  // counted from the oldest, round and round
    Outcome outcome{};
    std::optional<Duration> duration{};
    std::optional<Duration> retry_after{};
};
/// One of the permits in flight is dropped.
struct Drop {
    std::uint32_t which{};
};
struct Advance {
    Duration by{};
};
/// To (a little before, a little after) the moment at which something is due. Nothing if that has passed or is not
/// known.
struct AdvanceTo {
    enum class Moment : std::uint8_t { next_attempt, lease_end } moment{};
    Duration offset{};
};
/// The wall clock alone; it changes nothing (R30).
struct StepWallClock {
    std::chrono::microseconds by{};
};
struct Control {
    enum class Action : std::uint8_t { reset, force_open, trip, disable, metrics_only } action{};
};
struct Reconfigure {
    CircuitBreakerConfig config;
};
/// A snapshot from elsewhere, without reports, is restored.
struct Restore {
    State state{};
    Duration time_left{};
    std::uint32_t attempt{};
    std::uint64_t trip_count{};
    std::uint64_t generation{};
};
/// The process ends and a new one begins: the permits in flight are gone, a new breaker restores what the old one
/// saved.
struct Restart {
    Duration downtime{};
};
using Step =
    std::variant<Call, Admit, Settle, Drop, Advance, AdvanceTo, StepWallClock, Control, Reconfigure, Restore, Restart>;

struct Scenario {
    CircuitBreakerConfig config;
    bool listen_to_calls{};  // somebody wants the per-call events
    std::vector<Step> steps;
};

[[nodiscard]] std::string describe(const CircuitBreakerConfig& config);
[[nodiscard]] std::string describe(const Step& step);
std::ostream& operator<<(std::ostream& out, const Scenario& scenario);

}  // namespace fusebox::test::model
