// The dispatcher takes notifications from the outbox to their destinations: it leases rows, sends, settles and retries.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/clock.hpp>
#include <fusebox/incidents/ports.hpp>
#include <fusebox/notifications/delivery_event.hpp>
#include <fusebox/notifications/destination.hpp>

namespace fusebox::notifications {

/// What all destinations of a dispatcher share.
struct DispatcherOptions {
    const Clock* clock{&steady_clock()};     ///< must outlive the dispatcher
    std::optional<std::uint64_t> seed{};     ///< of the jitter; default: random
    Duration poll{std::chrono::seconds{5}};  ///< the outbox is looked at at least this often; > 0
    /// A lease lasts for `send_timeout` and this margin, in which the result of the send is recorded. When a process is
    /// killed, the next process takes over its rows after that time. > 0
    Duration lease_margin{std::chrono::seconds{15}};
    /// Called from the dispatcher's threads with no lock held, also during `stop`. The callback may call `notify`,
    /// `stats` and `not_before`; an exception that it throws is counted and swallowed.
    std::function<void(const DeliveryEvent&)> on_event{};
};

/// Counters of one destination since the dispatcher was made. No counter goes back, not even by `update`.
struct DestinationStats {
    std::uint64_t delivered{};
    std::uint64_t retries{};      ///< sends that failed and will be repeated
    std::uint64_t deferrals{};    ///< rows that were leased but not sent, because of the breaker, the gate or a stop
    std::uint64_t dead{};         ///< dead letters
    std::uint64_t fallbacks{};    ///< notifications stored for the fallback destination as well
    std::uint64_t lost_leases{};  ///< results that the store refused or did not take before the lease ended
    std::uint64_t listener_errors{};  ///< times that `on_event` threw
    std::size_t in_flight{};          ///< rows that are leased and not yet settled
    bool disabled{};                  ///< the destination answered 410 (Gone)
};

/// Delivers the notifications that wait in an outbox. Each destination has its own threads, so that a slow destination
/// never delays another. Delivery is at least once: a row is settled after its send, and where the result cannot be
/// recorded before the lease ends, the row is sent again with the same id. No notification is dropped: one that cannot
/// be delivered ends as a dead letter with its reason. Rows of a destination that is not configured stay pending.
/// Thread-safe: any member may be called from any thread. `outbox` must outlive the dispatcher.
class Dispatcher {
public:
    /// Starts to deliver at once. Throws one `std::invalid_argument` that names every bad field.
    Dispatcher(incidents::Outbox& outbox, std::vector<DestinationSettings> destinations,
               DispatcherOptions options = {});
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;
    /// As `stop` without grace.
    ~Dispatcher();

    /// Says that there may be new rows for `destination`: to be called after a commit or a replay. Unknown names are
    /// ignored.
    void notify(std::string_view destination);
    void notify_all();

    /// Replaces the set of destinations while the dispatcher runs (SIGHUP). A destination whose settings are the same
    /// goes on untouched; a changed one goes on with its new settings, while its sends under way end with the old
    /// settings. A destination that was disabled by a 410 is tried again once its settings have changed. Throws like
    /// the constructor, and then changes nothing, where memory or threads run out too; does nothing after `stop`.
    void update(std::vector<DestinationSettings> destinations);

    /// Leases nothing more, lets sends under way end within `grace`, then cancels those sends. Rows that were leased
    /// and not delivered are released, so that the next process takes them at once. Returns when all threads have
    /// ended.
    void stop(Duration grace);

    /// The time before which nothing is sent to `destination`, whatever the `next_attempt_at` of a row says: the
    /// breaker of the destination is open, or the destination named a time (Retry-After). None: a row that is due is
    /// sent now. The next attempt at a row is at the later of both times.
    [[nodiscard]] std::optional<incidents::WallTime> not_before(std::string_view destination) const;
    [[nodiscard]] std::map<std::string, DestinationStats> stats() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fusebox::notifications
