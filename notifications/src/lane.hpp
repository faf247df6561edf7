// One destination at work: its threads, the rows that they lease and send, and what is known of the destination.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/incidents/ports.hpp>
#include <fusebox/notifications/dispatcher.hpp>
#include <fusebox/notifications/rate_gate.hpp>

#include "delivery_rules.hpp"
#include "lane_schedule.hpp"

namespace fusebox::notifications {

/// The counters of one destination. They outlive the lanes that a reload replaces. Thread-safe.
class DestinationCounters {
public:
    void add(std::uint64_t DestinationStats::* counter) {
        const std::lock_guard lock(mutex_);
        ++(stats_.*counter);
    }
    [[nodiscard]] DestinationStats read() const {
        const std::lock_guard lock(mutex_);
        return stats_;
    }

private:
    mutable std::mutex mutex_;  // guards stats_
    DestinationStats stats_;
};

/// What all lanes of a dispatcher share.
struct LaneSurroundings {
    incidents::Outbox& outbox;
    const DispatcherOptions& options;
    std::function<void(std::string_view destination)> notify;
};

/// The threads of one destination, as leader and followers: one idle thread at a time is the leader, which waits, looks
/// at the outbox and leases rows into `ready_`; the other idle threads wait for a row or for the leadership.
/// Life: constructed → start → retire → (cancel) → join. Thread-safe.
///
/// L1. `mutex_` guards the members from `rules_` down to `record_until_`. It is not held while the outbox, the sender
///     or a listener is called.
/// L2. At most one thread leads (`leader_`), so that the outbox is asked once, however many threads are idle. A thread
///     that stops leading notifies `changed_`, so that another idle thread leads.
/// L3. `in_flight_` counts a row from its lease until `deliver` has ended; it never exceeds `max_in_flight`.
/// L4. Settling a row names the lease's token, so that the store refuses it once another worker has the row. A failed
///     settling is repeated until the lease ends, and not beyond.
/// L5. The notification for a fallback is stored before its original becomes a dead letter or, where it tells of the
///     end of an incident, is settled as delivered, so that a crash between the two cannot lose the page.
/// L6. Order of locks: `WakeLink::mutex`, then `mutex_`, then the breaker's own (`circuit` asks the breaker under
///     `mutex_`). The breaker calls its listener, which takes the first two, with no lock of its own held.
/// L7. `threads_` and `breaker_events_` are touched by the constructor, by start(), by join() and by the destructor;
///     the dispatcher lets one thread at a time call these. `stop_sends_` needs no lock.
/// L8. Nothing that is thrown (memory that runs out, an outbox that throws) ends a thread or leaves it the leader: the
///     lane says so, pauses as after a failure of the store, and goes on. A row whose delivery was thrown out of is
///     leased again when its lease has ended.
///
/// lane.cpp has the threads' life and the lease loop, lane_delivery.cpp sends and records, lane_fallback.cpp looks
/// after fallbacks, lane_events.cpp reports.
class Lane {
public:
    Lane(DestinationSettings settings, const LaneSurroundings& surroundings,
         std::shared_ptr<DestinationCounters> counters, RateGate gate, std::uint64_t seed);
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    /// Once. Where it throws because there is no thread or no memory for one, only the destructor may be called.
    void start();
    [[nodiscard]] const DestinationSettings& settings() const noexcept { return settings_; }
    /// Says that a row may be due.
    void wake();
    /// From here on no thread begins to lease rows, and sends under way go on. Rows that wait for a thread are
    /// released, and so are the rows of a lease that is under way.
    void retire();
    /// Whether all threads have ended their work.
    [[nodiscard]] bool finished() const;
    /// False if threads are still at work at `deadline`.
    bool wait_finished(std::chrono::steady_clock::time_point deadline);
    /// Stops the sends under way. Results that the store does not take at once are tried for a last short time.
    void cancel();
    void join();

    [[nodiscard]] RateGate gate() const;
    [[nodiscard]] std::size_t in_flight() const;
    [[nodiscard]] bool disabled() const;
    [[nodiscard]] std::optional<incidents::WallTime> not_before() const;

private:
    struct Leased {
        incidents::Notification notification;
        TimePoint lease_end;
    };
    /// What became of one try.
    struct Outcome {
        Decision decision;
        bool disabled_destination{};  // by this try, so that it is reported once
    };
    /// The breaker's listener holds this link, because the breaker may call its listener when the lane is gone.
    struct WakeLink {
        std::mutex mutex;  // guards lane; taken before the lane's own mutex (L6)
        Lane* lane{};      // null once the lane ends
    };

    // ---- lane.cpp: the lease loop ----
    /// What each thread does until the lane retires.
    void run();
    /// The leader's next action. `lock` holds mutex_.
    void lead_once(std::unique_lock<std::mutex>& lock);
    /// Leases up to `slots` rows where some are due. Releases `lock` meanwhile (L1).
    void look_at_outbox(std::unique_lock<std::mutex>& lock, std::size_t slots);
    /// What the breaker allows now.
    [[nodiscard]] CircuitView circuit() const;
    [[nodiscard]] bool circuit_open() const;

    // ---- lane_delivery.cpp ----
    /// Sends one row and records the result.
    void deliver(const Leased& leased);
    /// Sends the row, unless the lane retires or the destination wants nothing now.
    [[nodiscard]] Outcome try_to_send(const incidents::Notification& row);
    /// Calls the sender; turns an exception into an error.
    [[nodiscard]] SendResult send(const incidents::Notification& notification);
    /// Calls `write`, and again while the store cannot be reached, until the lease ends (L4).
    [[nodiscard]] incidents::StoreResult<void> record(TimePoint lease_end,
                                                      const std::function<incidents::StoreResult<void>()>& write);
    void report_settled(const incidents::Notification& row, const incidents::DeliveryResult& result);

    // ---- lane_fallback.cpp ----
    /// Stores the fallbacks that are due among the pending rows. Releases `lock` meanwhile (L1).
    void watch_fallbacks(std::unique_lock<std::mutex>& lock);
    /// Where the fallback destination was told of the incident in place of this one, stores that it hears of the end.
    [[nodiscard]] incidents::StoreResult<void> tell_fallback_of_end(const incidents::NotificationDraft& end);
    /// Stores the notification for the fallback destination; the original row stays as it is.
    [[nodiscard]] incidents::StoreResult<void> enqueue_fallback(const incidents::NotificationDraft& original);

    // ---- lane_events.cpp ----
    /// Two bits, because a store may be readable and not writable, as on a full disk.
    enum class Access : std::uint8_t { read = 1, write = 2 };
    void store_answered(Access access);
    void store_failed(Access access, const incidents::StoreError& error);
    /// L8: called by the handler of whatever was thrown, without `mutex_`.
    void failed_unexpectedly() noexcept;
    void publish(const DeliveryEvent& event) const noexcept;
    [[nodiscard]] DeliveryEvent event_of(DeliveryEvent::Kind kind, const incidents::NotificationDraft& draft) const;

    const DestinationSettings settings_;
    const LaneSurroundings& surroundings_;
    const Clock& clock_;
    const std::shared_ptr<DestinationCounters> counters_;
    const std::shared_ptr<incidents::NotificationSender> sender_;  // behind the breaker, if the destination has one
    std::stop_source stop_sends_;                                  // L7

    mutable std::mutex mutex_;           // guards everything down to record_until_ (L1)
    std::condition_variable changed_;    // ready_, leader_, woken_, retiring_ or running_ has changed
    std::condition_variable cancelled_;  // record_until_ was set
    DeliveryRules rules_;
    LaneSchedule schedule_;
    std::deque<Leased> ready_;                            // leased rows that wait for a thread
    std::set<std::string, std::less<>> fallback_stored_;  // ids of pending rows whose fallback is stored
    std::size_t in_flight_{};                             // L3
    std::size_t running_{};                               // threads that have not ended
    bool leader_{};                                       // a thread leads (L2)
    bool woken_{};                                        // the leader shall look at the outbox
    bool disabled_{};                                     // the destination answered 410 (Gone)
    bool retiring_{};
    unsigned store_failing_{};                                           // bits of Access: which accesses failed last
    std::optional<std::chrono::steady_clock::time_point> record_until_;  // set by cancel

    std::vector<std::thread> threads_;  // L7
    const std::shared_ptr<WakeLink> wake_link_ = std::make_shared<WakeLink>();
    Subscription breaker_events_;  // L7
};

}  // namespace fusebox::notifications
