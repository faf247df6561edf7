// Saving and restoring (R52).
#include "circuit_breaker_impl.hpp"

#include <algorithm>

#include "open_time.hpp"
#include "snapshot_check.hpp"

namespace fusebox {

BreakerSnapshot CircuitBreaker::Impl::snapshot() {
    BreakerSnapshot snapshot;
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        snapshot.state = state();
        if (snapshot.state == State::open) {
            snapshot.time_left = std::max(Duration::zero(), TimePoint{Duration{breaker_.retry_at_.load()}} - now);
        }
        snapshot.attempt = attempt_;
        snapshot.trip_count = trip_count_;
        snapshot.generation = generation();
        if (history_) {
            snapshot.reports = history_->reports.all();
            snapshot.last_trip = history_->reports.last_trip();
        }
    }
    snapshot.taken_at = clock_.wall_now();
    for (auto& report : snapshot.reports) report.at = {};
    if (snapshot.last_trip) snapshot.last_trip->at = {};
    return snapshot;
}

void CircuitBreaker::Impl::restore(const BreakerSnapshot& snapshot) {
    // What may throw comes first: then nothing has changed.
    detail::check_snapshot(snapshot);
    auto history = std::make_unique<History>(
        History{.reports = detail::ReportRing{report_capacity_, snapshot.reports, snapshot.last_trip}});
    std::string note;
    if (snapshot.last_trip && is_failure_state(snapshot.state)) note = describe(*snapshot.last_trip);
    {
        const std::scoped_lock lock{mutex_};
        const auto now = advance(clock_.now());
        if (history_) history->transitions = history_->transitions;
        history_.swap(history);
        continue_generations_after(snapshot.generation, now);
        trip_count_ = std::max(trip_count_, snapshot.trip_count);
        attempt_ = snapshot.attempt;

        auto to = config_->enabled ? snapshot.state : State::disabled;
        Duration time_left{};
        if (to == State::open) time_left = std::min(snapshot.time_left, detail::longest_open_time(*config_));
        if (to == State::half_open) to = State::open;  // with no time left, so that the next admission is a probe
        if (to == State::closed) attempt_ = 0;         // R23
        if (to != state() || to == State::open) {
            transition(to,
                       {.reason = TransitionReason::restored,
                        .window = counts_to_report(now),
                        .note = note,
                        .time_left = time_left},
                       now);
        }
        enqueue([&] { return StateRestoredEvent{snapshot.state, to, time_left, snapshot.taken_at}; });
    }
    deliver_queued_events();
}

// An earlier process gave the numbers up to `generation` to its transitions. This is not a transition: the state and
// the window stay.
void CircuitBreaker::Impl::continue_generations_after(std::uint64_t generation, TimePoint now) noexcept {
    const auto word = load_word();
    if (generation <= generation_of(word)) return;
    // The run is taken over in one step, so that a success that ends the run meanwhile is not undone (I4).
    auto run = run_.load();
    const auto forgotten = run_at(now) == 0;
    while (!run_.compare_exchange_weak(run, run_word(generation, forgotten ? 0 : static_cast<std::uint32_t>(run)))) {
    }
    // As in transition(), and in the same order. release: I1.
    window_.suspend();
    breaker_.word_.store(generation << 3U | static_cast<std::uint64_t>(state_of(word)), std::memory_order_release);
    window_.seal();
}

}  // namespace fusebox
