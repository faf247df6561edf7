// What the dispatcher's tests stand on: a store that fails on cue, senders that follow a script, events to wait for.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <fusebox/core/manual_clock.hpp>
#include <fusebox/notifications/dispatcher.hpp>
#include <fusebox/storage/memory_store.hpp>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/incident_samples.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using incidents::DeliveryError;
using incidents::NextMove;
using incidents::Notification;
using incidents::NotificationState;
using incidents::RequestContext;
using incidents::Severity;
using notifications::DeliveryEvent;
using notifications::DestinationSettings;
using notifications::Dispatcher;
using notifications::DispatcherOptions;
using SendResult = std::expected<void, DeliveryError>;

inline constexpr std::chrono::seconds patience{20};

/// The memory store behind a wire that breaks on cue.
class FaultyOutbox final : public incidents::Outbox {
public:
    std::atomic<int> failing_leases{};  ///< so many of the next fail
    std::atomic<int> failing_settles{};
    std::atomic<int> failing_enqueues{};
    std::atomic<int> throwing_looks{};  ///< so many of the next throw `std::bad_alloc`
    std::atomic<int> throwing_leases{};
    std::atomic<int> throwing_settles{};
    std::atomic<int> throwing_lists{};
    std::atomic<bool> heal_on_lease{};  ///< the next lease ends the failing of settles and enqueues
    std::atomic<int> leased_rows{};

    explicit FaultyOutbox(storage::MemoryStore& store) : store_(store) {}

    incidents::StoreResult<std::vector<Notification>> lease(std::string_view destination, incidents::WallTime now,
                                                            std::chrono::milliseconds lease_for, std::size_t limit,
                                                            const RequestContext& context) override {
        throw_if(throwing_leases);
        if (take(failing_leases)) return down();
        if (heal_on_lease) failing_settles = failing_enqueues = 0;
        auto rows = store_.lease(destination, now, lease_for, limit, context);
        leased_rows += static_cast<int>(rows->size());
        std::unique_lock lock(mutex_);
        changed_.notify_all();
        changed_.wait(lock, [this] { return !held_; });
        return rows;
    }

    /// What is leased from now on is handed out only on release.
    void hold_leases() {
        const std::lock_guard lock(mutex_);
        held_ = true;
    }
    void release_leases() {
        {
            const std::lock_guard lock(mutex_);
            held_ = false;
        }
        changed_.notify_all();
    }
    [[nodiscard]] bool wait_for_leased_rows(int count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, [&] { return leased_rows >= count; });
    }

    incidents::StoreResult<void> settle(std::string_view id, std::string_view lease_token,
                                        const incidents::DeliveryResult& result,
                                        const RequestContext& context) override {
        throw_if(throwing_settles);
        if (take(failing_settles)) return down();
        return store_.settle(id, lease_token, result, context);
    }
    incidents::StoreResult<std::optional<incidents::WallTime>> next_due(std::string_view destination,
                                                                        const RequestContext& context) override {
        throw_if(throwing_looks);
        return store_.next_due(destination, context);
    }
    incidents::StoreResult<Notification> get_notification(std::string_view id, const RequestContext& context) override {
        return store_.get_notification(id, context);
    }
    incidents::StoreResult<incidents::Page<Notification>> list_notifications(const incidents::NotificationQuery& query,
                                                                             const RequestContext& context) override {
        throw_if(throwing_lists);
        return store_.list_notifications(query, context);
    }
    incidents::StoreResult<Notification> replay(std::string_view id, incidents::WallTime now,
                                                const RequestContext& context) override {
        return store_.replay(id, now, context);
    }
    incidents::StoreResult<void> enqueue(const incidents::NotificationDraft& draft,
                                         const RequestContext& context) override {
        if (take(failing_enqueues)) return down();
        return store_.enqueue(draft, context);
    }
    incidents::StoreResult<std::map<std::string, std::map<NotificationState, std::uint64_t>>> counts(
        const RequestContext& context) override {
        return store_.counts(context);
    }

private:
    static bool take(std::atomic<int>& failing) {
        int left = failing;
        while (left > 0 && !failing.compare_exchange_weak(left, left - 1)) {
        }
        return left > 0;
    }
    static void throw_if(std::atomic<int>& throwing) {
        if (take(throwing)) throw std::bad_alloc{};
    }
    static std::unexpected<incidents::StoreError> down() {
        return std::unexpected(incidents::StoreError{
            .kind = incidents::StoreError::Kind::unavailable, .message = "the store is down", .retry_after = {}});
    }

    storage::MemoryStore& store_;
    std::mutex mutex_;  // guards held_
    std::condition_variable changed_;
    bool held_{};
};

[[nodiscard]] inline SendResult failed(NextMove move, std::string error_class, bool counts = false,
                                       std::optional<std::chrono::milliseconds> retry_after = {}) {
    DeliveryError error;
    error.next_move = move;
    error.counts_as_failure = counts;
    error.error_class = std::move(error_class);
    error.message = "it broke";
    error.retry_after = retry_after;
    return std::unexpected(std::move(error));
}
[[nodiscard]] inline SendResult unreachable() { return failed(NextMove::retry, "connect", true); }
[[nodiscard]] inline SendResult gone() {
    auto result = failed(NextMove::give_up, "gone");
    result.error().disable_destination = true;
    return result;
}

/// Answers by its script, then with success; or holds every send until `release`. Thread-safe.
class ScriptedSender final : public incidents::NotificationSender {
public:
    using Handler = std::function<SendResult(const Notification&, const RequestContext&)>;
    struct Call {
        std::string id;
        std::string kind;
        std::string fallback_for;
    };

    explicit ScriptedSender(std::string name) : name_(std::move(name)) {}
    ScriptedSender(std::string name, Handler handler) : name_(std::move(name)), handler_(std::move(handler)) {}

    void script(std::deque<SendResult> results) {
        const std::lock_guard lock(mutex_);
        script_ = std::move(results);
    }
    void hold() {
        const std::lock_guard lock(mutex_);
        held_ = true;
    }
    void release() {
        {
            const std::lock_guard lock(mutex_);
            held_ = false;
        }
        changed_.notify_all();
    }

    [[nodiscard]] std::string_view destination() const noexcept override { return name_; }
    SendResult send(const Notification& notification, const RequestContext& context) override {
        std::unique_lock lock(mutex_);
        calls_.push_back({notification.draft.id, notification.draft.kind, notification.draft.fallback_for});
        most_at_once_ = std::max(most_at_once_, ++at_once_);
        changed_.notify_all();
        changed_.wait(lock, context.stop, [this] { return !held_; });
        --at_once_;
        if (held_) return failed(NextMove::defer, "cancelled");
        if (handler_) {
            lock.unlock();
            return handler_(notification, context);
        }
        if (script_.empty()) return {};
        auto result = std::move(script_.front());
        script_.pop_front();
        return result;
    }

    [[nodiscard]] bool wait_for_calls(std::size_t count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, patience, [&] { return calls_.size() >= count; });
    }
    [[nodiscard]] std::vector<Call> calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }
    [[nodiscard]] std::vector<std::string> kinds() const {
        std::vector<std::string> kinds;
        for (const Call& call : calls()) kinds.push_back(call.kind);
        return kinds;
    }
    [[nodiscard]] std::size_t most_at_once() const {
        const std::lock_guard lock(mutex_);
        return most_at_once_;
    }

private:
    const std::string name_;
    const Handler handler_;
    mutable std::mutex mutex_;  // guards everything below
    std::condition_variable_any changed_;
    std::deque<SendResult> script_;
    std::vector<Call> calls_;
    std::size_t at_once_{};
    std::size_t most_at_once_{};
    bool held_{};
};

/// A store, a clock that stands still, and the events of one or several dispatchers.
class DispatcherWorld {
public:
    ManualClock clock;
    storage::MemoryStore store;
    FaultyOutbox outbox{store};

    [[nodiscard]] DispatcherOptions options() {
        DispatcherOptions options;
        options.clock = &clock;
        options.seed = 7;
        options.poll = 1h;  // what is not told of is not seen
        options.on_event = [this](const DeliveryEvent& event) {
            {
                const std::lock_guard lock(mutex_);
                events_.push_back(event);
            }
            changed_.notify_all();
        };
        return options;
    }

    /// A change of incident `incident_id` and the notification of `destination` that it causes; returns its id.
    std::string add(std::string_view destination, const std::string& incident_id = "inc_1",
                    const std::string& kind = "incident.triggered", Severity severity = Severity::p2) {
        auto incident = store.get(incident_id, {}).value_or(sample_incident(incident_id));
        incident.severity = severity;
        auto draft = sample_draft(incidents::new_id("msg", clock.wall_now()), incident);
        draft.destination = destination;
        draft.kind = kind;
        draft.created_at = clock.wall_now();
        const incidents::IncidentWrite write{.incident = incident, .notifications = {draft}};
        REQUIRE(store.commit({&write, 1}, {}));
        return draft.id;
    }

    [[nodiscard]] Notification row(const std::string& id) {
        auto row = store.get_notification(id, {});
        REQUIRE(row);
        return *std::move(row);
    }
    [[nodiscard]] std::vector<Notification> rows_of(const std::string& destination) {
        auto page = store.list_notifications(
            {.state = {}, .incident_id = {}, .destination = destination, .limit = 500, .cursor = {}}, {});
        REQUIRE(page);
        return page->items;
    }

    [[nodiscard]] std::vector<DeliveryEvent> events(DeliveryEvent::Kind kind) const {
        const std::lock_guard lock(mutex_);
        std::vector<DeliveryEvent> found;
        for (const auto& event : events_) {
            if (event.kind == kind) found.push_back(event);
        }
        return found;
    }
    [[nodiscard]] bool wait_for(DeliveryEvent::Kind kind, std::size_t count = 1,
                                std::chrono::milliseconds how_long = patience) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, how_long, [&] {
            return static_cast<std::size_t>(std::ranges::count(events_, kind, &DeliveryEvent::kind)) >= count;
        });
    }
    /// Lets time pass, `step` after `step`, until the event has come.
    [[nodiscard]] bool pass_time_until(Dispatcher& dispatcher, DeliveryEvent::Kind kind, std::size_t count = 1,
                                       Duration step = 1s) {
        const auto give_up = std::chrono::steady_clock::now() + patience;
        while (!wait_for(kind, count, 5ms)) {
            if (std::chrono::steady_clock::now() > give_up) return false;
            clock.advance(step);
            dispatcher.notify_all();
        }
        return true;
    }

private:
    mutable std::mutex mutex_;  // guards events_
    std::condition_variable changed_;
    std::vector<DeliveryEvent> events_;
};

[[nodiscard]] inline DestinationSettings destination(std::shared_ptr<ScriptedSender> sender) {
    DestinationSettings settings;
    settings.name = sender->destination();
    settings.sender = std::move(sender);
    return settings;
}

}  // namespace fusebox::test
