// Carries what waits in the outbox to its destinations: leases, sends, settles, tries again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/core/clock.hpp>
#include <fusebox/incidents/ports.hpp>
#include <fusebox/notifications/rate_gate.hpp>

namespace fusebox::notifications {

/// When a delivery that failed is tried again.
struct RetryPolicy {
    Duration base{std::chrono::seconds{1}};    ///< the first pause is up to this; > 0
    double factor{2.0};                        ///< growth with each further attempt; 1 … 10
    Duration cap{std::chrono::minutes{5}};     ///< no pause is longer; ≥ base
    std::uint32_t max_attempts{0};             ///< the last failed one makes a dead letter; 0 = no bound (default)
    Duration max_age{std::chrono::hours{24}};  ///< failing for this long makes a dead letter; > 0
    bool operator==(const RetryPolicy&) const = default;
};

struct DestinationSettings {
    std::string name{};
    /// Undecorated: the dispatcher puts `breaker` in front of it.
    std::shared_ptr<incidents::NotificationSender> sender{};
    /// One per destination; null = none. While it is open nothing is leased, so that an outage burns no attempts and
    /// writes nothing; half-open lets one delivery go at a time.
    std::shared_ptr<CircuitBreaker> breaker{};
    std::size_t max_in_flight{4};  ///< sends at once, a thread each; 1 … 64
    RateLimit rate_limit{};
    /// Name of another destination that hears of a P0 or P1 as well when this one is open, has given it up, or has
    /// failed for `fallback_after`; empty = none. A notification that stands in for another has no fallback itself.
    std::string fallback{};
    Duration fallback_after{std::chrono::minutes{2}};  ///< ≥ 0
    RetryPolicy retry{};
    Duration send_timeout{std::chrono::seconds{15}};  ///< deadline of one send; > 0
    bool operator==(const DestinationSettings&) const = default;
};

/// What happened to one notification or one destination; for logs, metrics and event streams.
struct DeliveryEvent {
    enum class Kind : std::uint8_t {
        delivered,
        retry,                 ///< failed, will be tried again at `next_attempt_at`
        deferred,              ///< not tried, will be at `next_attempt_at`
        dead,                  ///< a dead letter now; `error->next_move` is reconfigure where an operator must act
        fallback,              ///< `fallback_destination` was told as well
        destination_disabled,  ///< it answered that nothing more is wanted (410); until it is configured again
        store_failing,         ///< the outbox cannot be read or written; once per run of failures
        store_recovered,
    };
    Kind kind{};
    std::string destination{};
    std::string notification_id{};  ///< empty for events of the destination
    std::string incident_id{};
    std::string notification_kind{};  ///< "incident.triggered" …
    incidents::Severity severity{};
    std::uint32_t attempt{};  ///< 1 for the first that reached out
    std::optional<incidents::DeliveryError> error{};
    std::optional<incidents::WallTime> next_attempt_at{};
    std::string fallback_destination{};
    std::string message{};  ///< store_failing: the store's own words
};
[[nodiscard]] std::string_view to_string(DeliveryEvent::Kind kind) noexcept;

struct DispatcherOptions {
    const Clock* clock{&steady_clock()};     ///< must outlive the dispatcher
    std::optional<std::uint64_t> seed{};     ///< of the jitter; default: random
    Duration poll{std::chrono::seconds{5}};  ///< the outbox is looked at least this often; > 0
    /// A lease lasts `send_timeout` and this: the time to record what became of the send. What a killed process held is
    /// taken over after that. > 0
    Duration lease_margin{std::chrono::seconds{15}};
    /// Called from the dispatcher's threads with no lock held, also during `stop`. It may call `notify`, `stats` and
    /// `not_before`; what it throws is counted and swallowed.
    std::function<void(const DeliveryEvent&)> on_event{};
};

/// Counters since the dispatcher was made; none goes back, `update` included.
struct DestinationStats {
    std::uint64_t delivered{};
    std::uint64_t retries{};    ///< attempts that failed and will be repeated
    std::uint64_t deferrals{};  ///< leased but not tried: breaker, gate or stop
    std::uint64_t dead{};
    std::uint64_t fallbacks{};    ///< handed to the fallback destination as well
    std::uint64_t lost_leases{};  ///< settled too late: another worker had taken the row over, or the store stayed down
    std::uint64_t listener_errors{};  ///< times that `on_event` threw
    std::size_t in_flight{};          ///< sends under way now
    bool disabled{};                  ///< by its own answer (410)
};

/// The delivery machine. Each destination has its own threads, so that a slow one never delays another. At least once:
/// a row is settled after its send; where that cannot be recorded before the lease ends, it is sent again with the same
/// id. Nothing is dropped: what cannot be delivered ends as a dead letter with its reason. Rows of a destination that is
/// not configured stay pending. Any member may be called from any thread; `outbox` must outlive it.
class Dispatcher {
public:
    /// Starts at once. Throws `std::invalid_argument` that names every bad field.
    Dispatcher(incidents::Outbox& outbox, std::vector<DestinationSettings> destinations,
               DispatcherOptions options = {});
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;
    /// As `stop` without grace.
    ~Dispatcher();

    /// There may be something new for `destination`: call it after a commit or a replay. Unknown names are ignored.
    void notify(std::string_view destination);
    void notify_all();

    /// Takes over a new set of destinations while it runs (SIGHUP). What did not change goes on untouched; what changed
    /// goes on with the new settings, while sends under way end with the old ones. A destination disabled by 410 is tried
    /// again once it was changed. Throws like the constructor, and then changes nothing; does nothing after `stop`.
    void update(std::vector<DestinationSettings> destinations);

    /// Leases nothing more, lets sends under way end within `grace`, then cancels them; what was not delivered is
    /// released, so that the next process takes it at once. Returns when all threads have ended.
    void stop(Duration grace);

    /// Until when nothing is sent to `destination`, whatever a row's own `next_attempt_at`: its breaker is open or it
    /// named a time. None: it may be tried now. What people are shown as next attempt is the later of both.
    [[nodiscard]] std::optional<incidents::WallTime> not_before(std::string_view destination) const;
    [[nodiscard]] std::map<std::string, DestinationStats> stats() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fusebox::notifications
