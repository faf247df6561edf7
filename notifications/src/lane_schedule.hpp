// When a destination's threads look at the store, and for how many rows: the rules, without threads and without a
// store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <fusebox/core/clock.hpp>
#include <fusebox/notifications/rate_gate.hpp>

namespace fusebox::notifications {

/// How a destination's breaker stands.
struct CircuitView {
    enum class Kind : std::uint8_t {
        passing,
        probing,  ///< one at a time, until it is proven
        blocked,  ///< nothing, for `wait` (zero: nobody knows for how long)
    };
    Kind kind{Kind::passing};
    Duration wait{};
};

struct LaneAction {
    enum class Kind : std::uint8_t {
        wait,            ///< for `wait`, or until something happens
        look,            ///< lease up to `slots` rows
        watch_fallback,  ///< see whose fallback is due
    };
    Kind kind{};
    Duration wait{};
    std::size_t slots{};
};

struct LaneScheduleSettings {
    std::size_t max_in_flight{4};
    Duration poll{std::chrono::seconds{5}};
    std::optional<Duration> fallback_after{};  ///< none: there is no fallback
};

/// Decides only; on a monotonic clock (R30). Not thread-safe.
class LaneSchedule {
public:
    /// Looks at once, and watches fallbacks at once: what failed before a restart may be due.
    LaneSchedule(const LaneScheduleSettings& settings, RateGate gate, const Clock& clock);

    /// `disabled`: rows are only turned down, so neither gate nor breaker matters.
    [[nodiscard]] LaneAction next(std::size_t in_flight, const CircuitView& circuit, bool disabled) const;

    /// There may be something new, or a slot has become free.
    void look_now() noexcept { look_at_ = clock_->now(); }
    /// The store answered: the next row is due in this time; none: nothing waits.
    void due_in(std::optional<Duration> time) noexcept;
    /// The store answered: `rows` were leased. None although one is due: it waits for an earlier one.
    void leased(std::size_t rows) noexcept;
    /// The store did not answer: nothing is asked of it for a growing pause, `share` of [0, 1] of it being jitter.
    void store_failed(std::optional<Duration> hint, double share) noexcept;
    /// A delivery failed: its fallback is due in this time, unless it gets through before.
    void delivery_failed(Duration fallback_in) noexcept;
    /// What fails from here on is news to the look at fallbacks that now begins.
    void fallback_watch_begins() noexcept { watch_at_.reset(); }
    /// That look took `took`; the next fallback is due in `next_in`, none: it saw no delivery that is failing.
    void fallback_watched(Duration took, std::optional<Duration> next_in) noexcept;

    [[nodiscard]] RateGate& gate() noexcept { return gate_; }
    [[nodiscard]] const RateGate& gate() const noexcept { return gate_; }

private:
    LaneScheduleSettings settings_;
    RateGate gate_;
    const Clock* clock_;
    TimePoint look_at_;
    TimePoint store_again_at_;
    std::uint32_t store_failures_{};     // in a row
    std::optional<TimePoint> watch_at_;  // when the next fallback falls due
    TimePoint watch_open_circuit_at_;    // while the circuit is open every new row's fallback is due
};

}  // namespace fusebox::notifications
