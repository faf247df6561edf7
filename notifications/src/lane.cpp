// L1 … L8: see lane.hpp.
#include "lane.hpp"

#include <algorithm>
#include <utility>

#include <fusebox/notifications/breaker_sender.hpp>

#include "store_call.hpp"
#include "unlocked.hpp"

namespace fusebox::notifications {

namespace {

// When a stop cancels the last sends and the store is down, the lane tries for this long to record their results.
constexpr auto record_after_cancel = std::chrono::seconds{1};

std::shared_ptr<incidents::NotificationSender> behind_breaker(const DestinationSettings& settings) {
    if (!settings.breaker) return settings.sender;
    return std::make_shared<BreakerSender>(settings.sender, settings.breaker);
}

LaneScheduleSettings schedule_settings(const DestinationSettings& settings, const DispatcherOptions& options) {
    return {.max_in_flight = settings.max_in_flight,
            .poll = options.poll,
            .fallback_after = settings.fallback.empty() ? std::nullopt : std::optional{settings.fallback_after}};
}

}  // namespace

Lane::Lane(DestinationSettings settings, const LaneSurroundings& surroundings,
           std::shared_ptr<DestinationCounters> counters, RateGate gate, std::uint64_t seed)
    : settings_(std::move(settings)),
      surroundings_(surroundings),
      clock_(*surroundings.options.clock),
      counters_(std::move(counters)),
      sender_(behind_breaker(settings_)),
      rules_(settings_.retry, settings_.breaker != nullptr, seed),
      schedule_(schedule_settings(settings_, surroundings.options), gate, clock_) {
    schedule_.gate().set_limit(settings_.rate_limit);
    threads_.reserve(settings_.max_in_flight);
    wake_link_->lane = this;
    if (settings_.breaker) {
        breaker_events_ = settings_.breaker->subscribe([link = wake_link_](const CircuitBreaker&, const BreakerEvent&) {
            const std::lock_guard lock(link->mutex);
            if (link->lane) link->lane->wake();
        });
    }
}

void Lane::start() {
    {
        const std::lock_guard lock(mutex_);
        running_ = settings_.max_in_flight;
    }
    for (std::size_t i = 0; i < settings_.max_in_flight; ++i) threads_.emplace_back([this] { run(); });
}

Lane::~Lane() {
    {
        const std::lock_guard lock(wake_link_->mutex);
        wake_link_->lane = nullptr;
    }
    retire();
    cancel();
    join();
}

void Lane::wake() {
    {
        const std::lock_guard lock(mutex_);
        if (std::exchange(woken_, true)) return;  // the leader has been told already and has not looked yet
    }
    changed_.notify_all();
}

void Lane::retire() {
    {
        const std::lock_guard lock(mutex_);
        retiring_ = true;
    }
    changed_.notify_all();
}

bool Lane::finished() const {
    const std::lock_guard lock(mutex_);
    return running_ == 0;
}

bool Lane::wait_finished(std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    return changed_.wait_until(lock, deadline, [this] { return running_ == 0; });
}

void Lane::cancel() {
    {
        const std::lock_guard lock(mutex_);
        if (record_until_) return;
        record_until_ = std::chrono::steady_clock::now() + record_after_cancel;
    }
    stop_sends_.request_stop();
    cancelled_.notify_all();
}

void Lane::join() {
    for (std::thread& thread : threads_) {
        if (thread.joinable()) thread.join();
    }
}

RateGate Lane::gate() const {
    const std::lock_guard lock(mutex_);
    return schedule_.gate();
}

std::size_t Lane::in_flight() const {
    const std::lock_guard lock(mutex_);
    return in_flight_;
}

bool Lane::disabled() const {
    const std::lock_guard lock(mutex_);
    return disabled_;
}

std::optional<incidents::WallTime> Lane::not_before() const {
    const CircuitView view = circuit();
    const std::lock_guard lock(mutex_);
    if (disabled_) return std::nullopt;
    Duration wait = schedule_.gate().wait();
    if (view.kind == CircuitView::Kind::blocked) wait = std::max(wait, view.wait);
    if (wait <= Duration::zero()) return std::nullopt;
    return clock_.wall_now() + std::chrono::ceil<std::chrono::microseconds>(wait);
}

CircuitView Lane::circuit() const {
    if (!settings_.breaker) return {};
    switch (settings_.breaker->state()) {
        case State::closed:
        case State::disabled:
        case State::metrics_only:
            return {};
        case State::half_open:
            return {.kind = CircuitView::Kind::probing};
        case State::forced_open:
            return {.kind = CircuitView::Kind::blocked};
        case State::open:
            break;
    }
    // After its retry time the breaker stays open until somebody asks for an admission (R3): the lane sends a probe.
    const Duration retry_after = settings_.breaker->metrics().retry_after;
    if (retry_after <= Duration::zero()) return {.kind = CircuitView::Kind::probing};
    return {.kind = CircuitView::Kind::blocked, .wait = retry_after};
}

bool Lane::circuit_open() const { return settings_.breaker && !allows_requests(settings_.breaker->state()); }

void Lane::run() {
    std::unique_lock lock(mutex_);
    for (;;) {
        if (!ready_.empty()) {
            const Leased leased = std::move(ready_.front());
            ready_.pop_front();
            lock.unlock();
            try {
                deliver(leased);
            } catch (...) {  // L8
                counters_->add(&DestinationStats::lost_leases);
                failed_unexpectedly();
            }
            lock.lock();
            --in_flight_;
            woken_ = true;  // a slot is free, and the next row of the same incident may be leased
            changed_.notify_all();
        } else if (retiring_) {
            break;
        } else if (leader_) {
            changed_.wait(lock);
        } else {
            leader_ = true;
            try {
                lead_once(lock);
            } catch (...) {  // L8
                const Unlocked unlocked(lock);
                failed_unexpectedly();
            }
            leader_ = false;
            changed_.notify_all();
        }
    }
    // The lane that replaced this one may be waiting for a row that this thread held.
    lock.unlock();
    surroundings_.notify(settings_.name);
    lock.lock();
    --running_;
    changed_.notify_all();
}

void Lane::lead_once(std::unique_lock<std::mutex>& lock) {
    if (std::exchange(woken_, false)) {
        schedule_.look_now();
        schedule_.fallback_in(settings_.fallback_after);  // there may be a new row
    }
    const LaneAction action = schedule_.next(in_flight_, circuit(), disabled_);
    switch (action.kind) {
        case LaneAction::Kind::wait:
            changed_.wait_for(lock, action.wait, [this] { return woken_ || retiring_ || !ready_.empty(); });
            break;
        case LaneAction::Kind::look:
            look_at_outbox(lock, action.slots);
            break;
        case LaneAction::Kind::watch_fallback:
            watch_fallbacks(lock);
            break;
    }
}

void Lane::look_at_outbox(std::unique_lock<std::mutex>& lock, std::size_t slots) {
    const Unlocked unlocked(lock);
    const auto due = surroundings_.outbox.next_due(settings_.name, store_context());
    if (!due) return store_failed(Access::read, due.error());
    store_answered(Access::read);
    const auto now = clock_.wall_now();
    if (!*due || **due > now) {
        const std::lock_guard relock(mutex_);
        schedule_.due_in(*due ? std::optional<Duration>{**due - now} : std::nullopt);
        return;
    }
    const Duration lease_for = settings_.send_timeout + surroundings_.options.lease_margin;
    const TimePoint lease_end = clock_.now() + lease_for;
    auto rows = surroundings_.outbox.lease(settings_.name, now, std::chrono::ceil<std::chrono::milliseconds>(lease_for),
                                           slots, store_context());
    if (!rows) return store_failed(Access::write, rows.error());
    store_answered(Access::write);
    const std::lock_guard relock(mutex_);
    schedule_.leased(rows->size());
    for (incidents::Notification& row : *rows) {
        ready_.push_back({std::move(row), lease_end});
        ++in_flight_;
    }
}

}  // namespace fusebox::notifications
