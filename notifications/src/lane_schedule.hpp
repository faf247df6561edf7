// The rules that say when a lane looks at the outbox and for how many rows; without threads and without a store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include <fusebox/core/clock.hpp>
#include <fusebox/notifications/rate_gate.hpp>

namespace fusebox::notifications {

/// What the breaker of a destination allows.
struct CircuitView {
    enum class Kind : std::uint8_t {
        passing,  ///< as many sends as there are threads
        probing,  ///< one send at a time, until the breaker is closed
        blocked,  ///< no send for `wait`; zero: nobody knows for how long
    };
    Kind kind{Kind::passing};
    Duration wait{};
};

/// What the leader of a lane does next.
struct LaneAction {
    enum class Kind : std::uint8_t {
        wait,            ///< for `wait`, or until the lane is woken
        look,            ///< look at the outbox and lease up to `slots` rows
        watch_fallback,  ///< look which pending rows have a fallback that is due
    };
    Kind kind{};
    Duration wait{};
    std::size_t slots{};
};

struct LaneScheduleSettings {
    std::size_t max_in_flight{4};
    Duration poll{std::chrono::seconds{5}};
    std::optional<Duration> fallback_after{};  ///< none: the destination has no fallback
};

/// Decides and does nothing else; on a monotonic clock (R30). Not thread-safe.
class LaneSchedule {
public:
    /// The first actions are a watch of fallbacks and a look, both at once: what failed before a restart may be due.
    LaneSchedule(const LaneScheduleSettings& settings, RateGate gate, const Clock& clock);

    /// `disabled`: leased rows become dead letters without a send, so neither the gate nor the breaker matters.
    [[nodiscard]] LaneAction next(std::size_t in_flight, const CircuitView& circuit, bool disabled) const;

    /// There may be a new row, or a thread has become free: the next action is a look.
    void look_now() noexcept { look_at_ = clock_->now(); }
    /// The outbox answered that the next row is due in `time`; none: no row waits.
    void due_in(std::optional<Duration> time) noexcept;
    /// The outbox answered with a lease of `rows` rows. 0 means that each row that is due waits for an earlier row of
    /// its incident.
    void leased(std::size_t rows) noexcept;
    /// A call of the outbox failed: no call for a pause that grows with each failure, or for `hint` if that is longer.
    /// `share`, in [0, 1], is the jitter: the pause is between its half and its whole.
    void store_failed(std::optional<Duration> hint, double share) noexcept;
    /// A row waits or has failed: its fallback is due in `time`, unless the notification is delivered before.
    void fallback_in(Duration time) noexcept;
    /// A watch of fallbacks begins. A delivery that fails from here on is not seen by this watch and needs another one.
    void fallback_watch_begins() noexcept { watch_at_.reset(); }
    /// The watch took `took`; the next fallback is due in `next_in`; none: no pending row has one.
    void fallback_watched(Duration took, std::optional<Duration> next_in) noexcept;

    [[nodiscard]] RateGate& gate() noexcept { return gate_; }
    [[nodiscard]] const RateGate& gate() const noexcept { return gate_; }

private:
    LaneScheduleSettings settings_;
    RateGate gate_;
    const Clock* clock_;
    TimePoint look_at_;                  // of the next look
    TimePoint store_again_at_;           // no call of the outbox before
    std::uint32_t store_failures_{};     // failed calls in a row
    std::optional<TimePoint> watch_at_;  // when the next fallback is due
    TimePoint
        watch_open_circuit_at_;  // the next watch while the circuit is open, when the fallback of every new row is due
};

}  // namespace fusebox::notifications
