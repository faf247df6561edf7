// What of a breaker outlives its process (R52).
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/clock.hpp>
#include <fusebox/core/state.hpp>
#include <fusebox/core/transition_report.hpp>

namespace fusebox {

/// What `CircuitBreaker::snapshot` gives and `CircuitBreaker::restore` takes, to be kept anywhere in between. A value.
/// No point of the monotonic clock is in it, since that clock means nothing to another process: open is saved as the
/// time that was left, and time does not go on while nobody runs. Lifetime totals, the window and the configuration are
/// not part of it.
///
///     fusebox::CircuitBreaker before{"payments"};
///     before.trip("ada", "a drill");
///     fusebox::CircuitBreaker after{"payments"};
///     after.restore(before.snapshot());   // open for the time that `before` had left
struct BreakerSnapshot {
    /// Of `generation` and `trip_count`: the largest that every store can keep exactly, be it as a double.
    static constexpr std::uint64_t most = std::uint64_t{1} << 53U;

    State state{State::closed};
    Duration time_left{};        ///< open: until the first probe may be admitted; ≥ 0; in other states without meaning
    std::uint32_t attempt{};     ///< R26: failed recoveries since the circuit was last closed
    std::uint64_t trip_count{};  ///< ≤ most
    std::uint64_t generation{};  ///< sequence of the newest transition, of all processes so far; ≤ most
    std::vector<TransitionReport> reports{};      ///< the last ones, newest first; their `at` is the epoch
    std::optional<TransitionReport> last_trip{};  ///< why it opened last; may be older than all of `reports`
    WallTime taken_at{};                          ///< for display only

    bool operator==(const BreakerSnapshot&) const = default;
};

/// Thrown by `CircuitBreaker::restore`: the first field that cannot be, with its value and range.
class InvalidSnapshot : public std::invalid_argument {
public:
    InvalidSnapshot(std::string field, std::string_view message);
    /// As a path: `reports[2].sequence`.
    [[nodiscard]] const std::string& field() const noexcept { return field_; }

private:
    std::string field_;
};

}  // namespace fusebox
