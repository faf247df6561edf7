// One destination at work: its threads, its rows, its gate.
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

/// The counters of a destination; outlives the lanes that a reload replaces. Thread-safe.
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

/// Leader and followers: one idle thread at a time waits and looks at the store, and hands out what it leased; the
/// others wait for that. Life: constructed → retire → (cancel) → join. Thread-safe.
class Lane {
public:
    Lane(DestinationSettings settings, const LaneSurroundings& surroundings,
         std::shared_ptr<DestinationCounters> counters, RateGate gate, std::uint64_t seed);
    ~Lane();
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    [[nodiscard]] const DestinationSettings& settings() const noexcept { return settings_; }
    /// Something may be due.
    void wake();
    /// Leases nothing more; sends under way go on, what was leased and not begun is released.
    void retire();
    [[nodiscard]] bool finished() const;
    /// False if threads are still at work at `deadline`.
    bool wait_finished(std::chrono::steady_clock::time_point deadline);
    /// Stops the sends under way; gives what cannot be settled a last short time.
    void cancel();
    void join();

    [[nodiscard]] RateGate gate() const;
    [[nodiscard]] std::size_t in_flight() const;
    [[nodiscard]] bool disabled() const;
    [[nodiscard]] std::optional<incidents::WallTime> not_before() const;

private:
    struct Leased {
        incidents::Notification notification;
        TimePoint until;
    };
    /// What the breaker's listener holds: it may still ring when the lane is gone.
    struct Bell {
        std::mutex mutex;  // guards lane; taken before the lane's own
        Lane* lane{};
    };

    void run();
    void lead(std::unique_lock<std::mutex>& lock);
    void look(std::unique_lock<std::mutex>& lock, std::size_t slots);
    void watch_fallback(std::unique_lock<std::mutex>& lock);
    void deliver(const Leased& leased);
    [[nodiscard]] SendResult send(const incidents::Notification& notification);
    [[nodiscard]] CircuitView circuit() const;
    [[nodiscard]] bool circuit_open() const;
    /// Writes, again and again while the store cannot be reached, but not beyond the lease's end.
    [[nodiscard]] incidents::StoreResult<void> record(TimePoint until,
                                                      const std::function<incidents::StoreResult<void>()>& write);
    /// The fallback's row; the original stays what it is.
    [[nodiscard]] incidents::StoreResult<void> enqueue_fallback(const incidents::NotificationDraft& original);
    /// A store may be readable and not writable, as on a full disk.
    enum class Access : std::uint8_t { read = 1, write = 2 };
    void store_answered(Access access);
    void store_failed(Access access, const incidents::StoreError& error);
    void tell(const DeliveryEvent& event) const noexcept;
    [[nodiscard]] DeliveryEvent event_of(DeliveryEvent::Kind kind, const incidents::NotificationDraft& draft) const;

    const DestinationSettings settings_;
    const LaneSurroundings& surroundings_;
    const Clock& clock_;
    const std::shared_ptr<DestinationCounters> counters_;
    const std::shared_ptr<incidents::NotificationSender> sender_;  // behind the breaker, where there is one
    std::stop_source stop_sends_;

    mutable std::mutex mutex_;         // guards everything down to threads_
    std::condition_variable changed_;  // rows to take, leadership to take, a wake-up, an end
    std::condition_variable cancelled_;
    DeliveryRules rules_;
    LaneSchedule schedule_;
    std::deque<Leased> ready_;
    std::set<std::string, std::less<>> told_fallback_;  // ids of pending rows whose fallback is stored
    std::size_t in_flight_{};                           // leased and not settled, those in ready_ included
    std::size_t running_{};                             // threads
    bool leader_{};                                     // somebody waits for the store
    bool woken_{};
    bool disabled_{};
    bool retiring_{};
    unsigned store_failing_{};                                           // bits of Access
    std::optional<std::chrono::steady_clock::time_point> settle_until_;  // set when cancelled

    std::vector<std::thread> threads_;
    const std::shared_ptr<Bell> bell_ = std::make_shared<Bell>();
    Subscription breaker_events_;
};

}  // namespace fusebox::notifications
