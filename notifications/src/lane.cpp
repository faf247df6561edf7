#include "lane.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include <fusebox/notifications/breaker_sender.hpp>

namespace fusebox::notifications {

using incidents::DeliveryError;
using incidents::DeliveryResult;
using incidents::NextMove;
using incidents::Notification;
using incidents::RequestContext;
using incidents::StoreError;

namespace {

constexpr auto store_timeout = std::chrono::seconds{5};
constexpr std::chrono::milliseconds first_settle_pause{50};
constexpr std::chrono::milliseconds longest_settle_pause{1000};
// After a cancelled stop a store that is down is given this long to take what became of the last sends.
constexpr auto settle_after_cancel = std::chrono::seconds{1};
constexpr std::size_t watch_page = 500;

RequestContext store_context() { return {.deadline = std::chrono::steady_clock::now() + store_timeout, .stop = {}}; }

std::shared_ptr<incidents::NotificationSender> decorated(const DestinationSettings& settings) {
    if (!settings.breaker) return settings.sender;
    return std::make_shared<BreakerSender>(settings.sender, settings.breaker);
}

/// The store may take it later; anything else it never will.
bool is_passing(const StoreError& error) {
    return error.kind != StoreError::Kind::conflict && error.kind != StoreError::Kind::not_found &&
           error.kind != StoreError::Kind::invalid;
}

/// Releases a lock for its own lifetime.
class Unlocked {
public:
    explicit Unlocked(std::unique_lock<std::mutex>& lock) : lock_(lock) { lock_.unlock(); }
    ~Unlocked() { lock_.lock(); }
    Unlocked(const Unlocked&) = delete;
    Unlocked& operator=(const Unlocked&) = delete;

private:
    std::unique_lock<std::mutex>& lock_;
};

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
      sender_(decorated(settings_)),
      rules_(settings_.retry, settings_.breaker != nullptr, seed),
      schedule_(schedule_settings(settings_, surroundings.options), gate, clock_) {
    schedule_.gate().set_limit(settings_.rate_limit);
    running_ = settings_.max_in_flight;
    threads_.reserve(running_);
    for (std::size_t i = 0; i < settings_.max_in_flight; ++i) threads_.emplace_back([this] { run(); });
    bell_->lane = this;
    if (settings_.breaker) {
        breaker_events_ = settings_.breaker->subscribe([bell = bell_](const CircuitBreaker&, const BreakerEvent&) {
            const std::lock_guard lock(bell->mutex);
            if (bell->lane) bell->lane->wake();
        });
    }
}

Lane::~Lane() {
    {
        const std::lock_guard lock(bell_->mutex);
        bell_->lane = nullptr;
    }
    retire();
    cancel();
    join();
}

void Lane::wake() {
    {
        const std::lock_guard lock(mutex_);
        woken_ = true;
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
        if (settle_until_) return;
        settle_until_ = std::chrono::steady_clock::now() + settle_after_cancel;
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
    // Once its time is over the breaker stays open until the next admission (R3), which is ours to ask for.
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
            deliver(leased);
            lock.lock();
            --in_flight_;
            woken_ = true;  // a slot is free, and a later row of the same incident may go
            changed_.notify_all();
        } else if (retiring_) {
            break;
        } else if (leader_) {
            changed_.wait(lock);
        } else {
            leader_ = true;
            lead(lock);
            leader_ = false;
            changed_.notify_all();
        }
    }
    // Where this lane was replaced, its successor may be waiting for what this thread held.
    lock.unlock();
    surroundings_.notify(settings_.name);
    lock.lock();
    --running_;
    changed_.notify_all();
}

void Lane::lead(std::unique_lock<std::mutex>& lock) {
    if (std::exchange(woken_, false)) schedule_.look_now();
    const LaneAction action = schedule_.next(in_flight_, circuit(), disabled_);
    switch (action.kind) {
        case LaneAction::Kind::wait:
            changed_.wait_for(lock, action.wait, [this] { return woken_ || retiring_ || !ready_.empty(); });
            break;
        case LaneAction::Kind::look:
            look(lock, action.slots);
            break;
        case LaneAction::Kind::watch_fallback:
            watch_fallback(lock);
            break;
    }
}

void Lane::look(std::unique_lock<std::mutex>& lock, std::size_t slots) {
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
    const TimePoint until = clock_.now() + lease_for;
    auto rows = surroundings_.outbox.lease(settings_.name, now, std::chrono::ceil<std::chrono::milliseconds>(lease_for),
                                           slots, store_context());
    if (!rows) return store_failed(Access::write, rows.error());
    store_answered(Access::write);
    const std::lock_guard relock(mutex_);
    schedule_.leased(rows->size());
    in_flight_ += rows->size();
    for (Notification& row : *rows) ready_.push_back({std::move(row), until});
}

void Lane::deliver(const Leased& leased) {
    const Notification& row = leased.notification;
    const auto& draft = row.draft;
    Verdict verdict;
    bool tried = false;
    bool disabled_now = false;
    {
        const std::lock_guard lock(mutex_);
        if (retiring_) {
            verdict = DeliveryRules::release(clock_.wall_now());
        } else if (disabled_) {
            verdict = DeliveryRules::refuse_disabled(clock_.wall_now());
        } else if (const Duration closed_for = schedule_.gate().closed_for(); closed_for > Duration::zero()) {
            verdict = rules_.put_off(clock_.wall_now(), closed_for);
        } else {
            tried = true;
        }
    }
    if (tried) {
        const TimePoint began = clock_.now();
        const SendResult sent = send(row);
        const auto took = std::chrono::floor<std::chrono::milliseconds>(clock_.now() - began);
        const std::lock_guard lock(mutex_);
        verdict = rules_.judge(row, sent, clock_.wall_now(), took);
        if (verdict.close_gate) schedule_.gate().close_for(*verdict.close_gate);
        if (verdict.disable) disabled_now = !std::exchange(disabled_, true);
    }
    const DeliveryResult& result = verdict.result;

    // Before the row is dead, so that a crash between the two cannot lose the page.
    if (result.kind == DeliveryResult::Kind::dead && !settings_.fallback.empty() && deserves_fallback(draft)) {
        const auto stored = record(leased.until, [&] { return enqueue_fallback(draft); });
        if (!stored && is_passing(stored.error())) return counters_->add(&DestinationStats::lost_leases);
    }
    const auto settled = record(
        leased.until, [&] { return surroundings_.outbox.settle(draft.id, row.lease_token, result, store_context()); });
    if (disabled_now) {
        DeliveryEvent event = event_of(DeliveryEvent::Kind::destination_disabled, draft);
        event.error = result.error;
        tell(event);
    }
    if (!settled) return counters_->add(&DestinationStats::lost_leases);

    DeliveryEvent event = event_of(DeliveryEvent::Kind::delivered, draft);
    event.attempt = row.attempts + (result.kind == DeliveryResult::Kind::defer ? 0 : 1);
    event.error = result.error;
    switch (result.kind) {
        case DeliveryResult::Kind::delivered:
            counters_->add(&DestinationStats::delivered);
            break;
        case DeliveryResult::Kind::retry: {
            event.kind = DeliveryEvent::Kind::retry;
            counters_->add(&DestinationStats::retries);
            const Duration failing_for = result.at - row.first_failed_at.value_or(result.at);
            const std::lock_guard lock(mutex_);
            schedule_.delivery_failed(settings_.fallback_after - failing_for);
            break;
        }
        case DeliveryResult::Kind::defer:
            event.kind = DeliveryEvent::Kind::deferred;
            counters_->add(&DestinationStats::deferrals);
            break;
        case DeliveryResult::Kind::dead:
            event.kind = DeliveryEvent::Kind::dead;
            counters_->add(&DestinationStats::dead);
            break;
    }
    if (event.kind == DeliveryEvent::Kind::retry || event.kind == DeliveryEvent::Kind::deferred) {
        event.next_attempt_at = result.next_attempt_at;
    }
    tell(event);
}

SendResult Lane::send(const Notification& notification) {
    const auto deadline =
        std::chrono::time_point_cast<std::chrono::steady_clock::duration>(clock_.now() + settings_.send_timeout);
    std::string what;
    try {
        return sender_->send(notification, {.deadline = deadline, .stop = stop_sends_.get_token()});
    } catch (const std::exception& exception) {
        what = std::string{": "} + exception.what();
    } catch (...) {
        what = ": it threw what is no std::exception";
    }
    return std::unexpected(DeliveryError{.next_move = NextMove::retry,
                                         .counts_as_failure = false,
                                         .error_class = "internal",
                                         .message = "the sender failed unexpectedly" + what});
}

incidents::StoreResult<void> Lane::record(TimePoint until, const std::function<incidents::StoreResult<void>()>& write) {
    for (auto pause = first_settle_pause;; pause = std::min(pause * 2, longest_settle_pause)) {
        auto written = write();
        if (written) {
            store_answered(Access::write);
            return written;
        }
        if (!is_passing(written.error())) return written;
        store_failed(Access::write, written.error());
        std::unique_lock lock(mutex_);
        const bool cancelled_long_ago = settle_until_ && std::chrono::steady_clock::now() >= *settle_until_;
        if (clock_.now() >= until || cancelled_long_ago) return written;
        cancelled_.wait_for(lock, pause / 2 + rules_.jitter(pause / 2));
    }
}

void Lane::watch_fallback(std::unique_lock<std::mutex>& lock) {
    schedule_.fallback_watch_begins();
    const auto told_before = told_fallback_;
    const Unlocked unlocked(lock);
    const TimePoint began = clock_.now();
    const auto now = clock_.wall_now();
    const bool open = circuit_open();

    const auto failed = [this](Access access, const StoreError& error) {
        store_failed(access, error);
        const std::lock_guard relock(mutex_);
        schedule_.delivery_failed(Duration::zero());
    };
    std::vector<Notification> due;
    std::set<std::string, std::less<>> told;  // only what is still pending is worth remembering
    std::optional<Duration> next_in;
    incidents::NotificationQuery query{.state = incidents::NotificationState::pending,
                                       .incident_id = {},
                                       .destination = settings_.name,
                                       .limit = watch_page,
                                       .cursor = {}};
    for (bool more = true; more;) {
        auto page = surroundings_.outbox.list_notifications(query, store_context());
        if (!page) return failed(Access::read, page.error());
        for (Notification& row : page->items) {
            if (!deserves_fallback(row.draft)) continue;
            if (told_before.contains(row.draft.id)) {
                told.insert(row.draft.id);
                continue;
            }
            std::optional<Duration> left;
            if (row.first_failed_at) left = settings_.fallback_after - Duration{now - *row.first_failed_at};
            if (open || (left && *left <= Duration::zero())) {
                due.push_back(std::move(row));
            } else if (left) {
                next_in = std::min(next_in.value_or(*left), *left);
            }
        }
        more = page->next_cursor.has_value();
        query.cursor = page->next_cursor.value_or("");
    }
    // Oldest first: the fallback too hears of a trigger before its resolve.
    std::ranges::sort(due, {}, &Notification::sequence);
    for (const Notification& row : due) {
        const auto stored = enqueue_fallback(row.draft);
        if (!stored && is_passing(stored.error())) return failed(Access::write, stored.error());
        told.insert(row.draft.id);
    }
    store_answered(Access::read);
    const std::lock_guard relock(mutex_);
    told_fallback_ = std::move(told);
    schedule_.fallback_watched(clock_.now() - began, next_in);
}

incidents::StoreResult<void> Lane::enqueue_fallback(const incidents::NotificationDraft& original) {
    {
        const std::lock_guard lock(mutex_);
        if (told_fallback_.contains(original.id)) return {};
    }
    auto stored =
        surroundings_.outbox.enqueue(fallback_draft(original, settings_.fallback, clock_.wall_now()), store_context());
    if (!stored) return stored;
    {
        const std::lock_guard lock(mutex_);
        told_fallback_.insert(original.id);
    }
    counters_->add(&DestinationStats::fallbacks);
    surroundings_.notify(settings_.fallback);
    DeliveryEvent event = event_of(DeliveryEvent::Kind::fallback, original);
    event.fallback_destination = settings_.fallback;
    tell(event);
    return stored;
}

void Lane::store_answered(Access access) {
    {
        const std::lock_guard lock(mutex_);
        const unsigned was_failing = std::exchange(store_failing_, store_failing_ & ~std::to_underlying(access));
        if (was_failing == 0 || store_failing_ != 0) return;
    }
    DeliveryEvent event;
    event.kind = DeliveryEvent::Kind::store_recovered;
    event.destination = settings_.name;
    tell(event);
}

void Lane::store_failed(Access access, const StoreError& error) {
    {
        const std::lock_guard lock(mutex_);
        const std::optional<Duration> hint =
            error.retry_after ? std::optional<Duration>{*error.retry_after} : std::nullopt;
        schedule_.store_failed(hint, rules_.jitter_share());
        if (std::exchange(store_failing_, store_failing_ | std::to_underlying(access)) != 0) return;
    }
    DeliveryEvent event;
    event.kind = DeliveryEvent::Kind::store_failing;
    event.destination = settings_.name;
    event.message = error.message;
    tell(event);
}

DeliveryEvent Lane::event_of(DeliveryEvent::Kind kind, const incidents::NotificationDraft& draft) const {
    DeliveryEvent event;
    event.kind = kind;
    event.destination = settings_.name;
    event.notification_id = draft.id;
    event.incident_id = draft.incident_id;
    event.notification_kind = draft.kind;
    event.severity = draft.severity;
    return event;
}

void Lane::tell(const DeliveryEvent& event) const noexcept {
    if (!surroundings_.options.on_event) return;
    try {
        surroundings_.options.on_event(event);
    } catch (...) {
        counters_->add(&DestinationStats::listener_errors);
    }
}

}  // namespace fusebox::notifications
