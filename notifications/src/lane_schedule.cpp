#include "lane_schedule.hpp"

#include <algorithm>

namespace fusebox::notifications {

namespace {

// The pause where each row that is due waits for an earlier row. If this process holds the earlier row, `look_now` ends
// the pause; if another worker holds it, only the next look sees that its lease has ended.
constexpr Duration blocked_row_pause = std::chrono::milliseconds{200};
constexpr Duration first_store_pause = std::chrono::milliseconds{200};
constexpr Duration longest_store_pause = std::chrono::seconds{10};
// While a circuit is open, fallbacks are watched this often. Watching takes at most 1/watch_share of the time, however
// many rows are pending.
constexpr Duration watch_pause = std::chrono::seconds{1};
constexpr int watch_share = 20;

}  // namespace

LaneSchedule::LaneSchedule(const LaneScheduleSettings& settings, RateGate gate, const Clock& clock)
    : settings_(settings),
      gate_(gate),
      clock_(&clock),
      look_at_(clock.now()),
      store_again_at_(look_at_),
      watch_open_circuit_at_(look_at_) {
    if (settings_.fallback_after) watch_at_ = look_at_;
}

LaneAction LaneSchedule::next(std::size_t in_flight, const CircuitView& circuit, bool disabled) const {
    const TimePoint now = clock_->now();
    const auto wait_for = [](Duration wait) { return LaneAction{.kind = LaneAction::Kind::wait, .wait = wait}; };
    if (store_again_at_ > now) return wait_for(store_again_at_ - now);

    Duration wait = settings_.poll;
    if (settings_.fallback_after) {
        std::optional<TimePoint> watch_at = watch_at_;
        if (circuit.kind != CircuitView::Kind::passing) {
            watch_at = watch_at ? std::min(*watch_at, watch_open_circuit_at_) : watch_open_circuit_at_;
        }
        if (watch_at && *watch_at <= now) return {.kind = LaneAction::Kind::watch_fallback};
        if (watch_at) wait = std::min<Duration>(wait, *watch_at - now);
    }

    std::size_t slots = in_flight < settings_.max_in_flight ? settings_.max_in_flight - in_flight : 0;
    if (!disabled && slots > 0) {
        if (circuit.kind == CircuitView::Kind::blocked) {
            slots = 0;
            if (circuit.wait > Duration::zero()) wait = std::min(wait, circuit.wait);
        } else if (circuit.kind == CircuitView::Kind::probing) {
            slots = in_flight == 0 ? 1 : 0;
        }
        if (slots > 0 && gate_.wait() > Duration::zero()) {
            slots = 0;
            wait = std::min(wait, gate_.wait());
        } else if (gate_.limited()) {
            slots = std::min<std::size_t>(slots, 1);
        }
    }
    if (slots == 0) return wait_for(wait);
    if (look_at_ > now) return wait_for(std::min<Duration>(wait, look_at_ - now));
    return {.kind = LaneAction::Kind::look, .slots = slots};
}

void LaneSchedule::due_in(std::optional<Duration> time) noexcept {
    store_failures_ = 0;
    look_at_ = clock_->now() + std::min(time.value_or(settings_.poll), settings_.poll);
}

void LaneSchedule::leased(std::size_t rows) noexcept {
    store_failures_ = 0;
    for (std::size_t i = 0; i < rows; ++i) static_cast<void>(gate_.try_pass());
    look_at_ = clock_->now() + (rows == 0 ? blocked_row_pause : Duration::zero());
}

void LaneSchedule::store_failed(std::optional<Duration> hint, double share) noexcept {
    const Duration pause = std::min(longest_store_pause, first_store_pause * (1 << std::min(store_failures_, 10U)));
    ++store_failures_;
    const Duration jittered = pause / 2 + std::chrono::duration_cast<Duration>(pause / 2 * share);
    store_again_at_ =
        clock_->now() + std::max(jittered, std::min(hint.value_or(Duration::zero()), longest_store_pause));
}

void LaneSchedule::fallback_in(Duration time) noexcept {
    if (!settings_.fallback_after) return;
    const TimePoint at = clock_->now() + std::max(Duration::zero(), time);
    watch_at_ = watch_at_ ? std::min(*watch_at_, at) : at;
}

void LaneSchedule::fallback_watched(Duration took, std::optional<Duration> next_in) noexcept {
    store_failures_ = 0;
    watch_open_circuit_at_ = clock_->now() + std::max(watch_pause, took * watch_share);
    if (next_in) fallback_in(std::max(watch_pause, *next_in));
}

}  // namespace fusebox::notifications
