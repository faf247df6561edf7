// What the domain asks of the outside: a store, an outbox, senders. Implemented in storage/ and notifications/.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/incidents/incident.hpp>
#include <fusebox/incidents/notification.hpp>
#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

/// A store's failure, by what the caller should do next.
struct StoreError {
    enum class Kind : std::uint8_t {
        unavailable,  ///< connection lost, disk full, locked too long: retry later; counts against the breaker
        timeout,      ///< likewise
        conflict,     ///< the version read is no longer current: read again and decide again; neutral
        not_found,    ///< no such row; neutral
        invalid,      ///< the request cannot be stored as it is; neutral
        corrupt,      ///< the data cannot be read: an operator must look; counts against the breaker
        rejected,     ///< the breaker refused: see retry_after; neutral
    };
    Kind kind{};
    std::string message;
    std::optional<std::chrono::milliseconds> retry_after{};
};
[[nodiscard]] std::string_view to_string(StoreError::Kind kind) noexcept;
template <class T>
using StoreResult = std::expected<T, StoreError>;

/// One incident change and the notifications that it causes; stored together or not at all.
struct IncidentWrite {
    Incident
        incident;  ///< `version` is the version that was read; 0 = must not exist yet. Its timeline is not looked at
    std::vector<TimelineEvent> events{};  ///< appended to the timeline that is stored
    std::vector<NotificationDraft> notifications{};
    std::size_t max_timeline{500};  ///< the stored timeline is cut to this as `truncate_timeline` does it
};

/// What repeats said of an incident since its version was stored.
struct Sighting {
    std::string incident_id;
    std::uint64_t version{};  ///< of the incident that the repeats were about
    std::uint64_t alert_count{};
    WallTime last_seen{};
    Firings firings;
};

/// How much history to drop. Incidents go with their timeline and their notifications; an incident that still has a
/// notification to deliver stays.
struct PruneQuery {
    WallTime incidents_before{};      ///< resolved or closed, and not changed since
    WallTime notifications_before{};  ///< delivered or dead since before this time
    std::size_t limit{500};           ///< of each kind in one call: one short transaction
};
struct PruneCounts {
    std::uint64_t incidents{};
    std::uint64_t notifications{};
    bool operator==(const PruneCounts&) const = default;
};

struct IncidentQuery {
    std::vector<IncidentState> states{};  ///< any of these; empty = all
    std::vector<Severity> severities{};   ///< any of these; empty = all
    Labels labels{};                      ///< all of these
    std::string text{};                   ///< in the title, case-insensitive
    std::size_t limit{50};                ///< 1 … 500; a page of very large incidents ends sooner
    std::string cursor{};                 ///< opaque, from the page before
};
template <class T>
struct Page {
    std::vector<T> items;
    std::optional<std::string> next_cursor;  ///< none: this was the last page
};

/// Thread contract of every port: all members may be called from any thread.
class IncidentStore {
public:
    virtual ~IncidentStore() = default;
    /// All writes in one transaction, durable when this returns (a power cut included), each incident with `version +
    /// 1`. `conflict` if any version is not current or a second open incident of one fingerprint would arise; then
    /// nothing is stored.
    virtual StoreResult<void> commit(std::span<const IncidentWrite> writes, const RequestContext& context) = 0;
    /// With the whole timeline.
    virtual StoreResult<Incident> get(std::string_view id, const RequestContext& context) = 0;
    /// Per fingerprint the open incident, else the newest; a fingerprint without any is left out. Timelines hold the
    /// latest `latest_events`. A constant number of statements, however many fingerprints.
    virtual StoreResult<std::map<std::string, Incident, std::less<>>> latest_by_fingerprints(
        std::span<const std::string> fingerprints, const RequestContext& context) = 0;
    static constexpr std::size_t latest_events{20};
    /// Stores what repeats said, in one transaction, without a new version; `updated_at` stays. Returns the ids of the
    /// incidents that are gone or at another version: nothing was stored of those.
    virtual StoreResult<std::vector<std::string>> note_sightings(std::span<const Sighting> sightings,
                                                                 const RequestContext& context) = 0;
    /// Open incidents whose `expires_at(incident)`, as of what is stored, is not after `before`, the earliest first.
    virtual StoreResult<std::vector<std::string>> expiring(WallTime before, std::size_t limit,
                                                           const RequestContext& context) = 0;
    /// Resolved, not closed, incidents whose `resolved_at` is not after `before`, the earliest first.
    virtual StoreResult<std::vector<std::string>> resolved_before(WallTime before, std::size_t limit,
                                                                  const RequestContext& context) = 0;
    /// One small transaction of history dropped; counts of 0 say that nothing is left to drop.
    virtual StoreResult<PruneCounts> prune(const PruneQuery& query, const RequestContext& context) = 0;
    /// Newest first by `created_at`, of one moment the one that was stored last; stable while incidents are added. A
    /// page may be short, even empty, although there are more: a search looks at a bounded number of them per page, and
    /// `next_cursor` goes on from there. `invalid` for a bad cursor. Timelines are left empty. Incidents that cannot be
    /// read are left out.
    virtual StoreResult<Page<Incident>> list(const IncidentQuery& query, const RequestContext& context) = 0;
    /// Incidents by state; a state without any may be missing.
    virtual StoreResult<std::map<IncidentState, std::uint64_t>> incident_counts(const RequestContext& context) = 0;
    /// Succeeds if a write would (for /readyz), at the cost of one; leaves nothing in the store.
    virtual StoreResult<void> check_writable(const RequestContext& context) = 0;
};

struct NotificationQuery {
    std::optional<NotificationState> state{};
    std::string incident_id{};  ///< empty = any
    std::string destination{};  ///< empty = any
    std::size_t limit{50};      ///< 1 … 500
    std::string cursor{};       ///< opaque, from the page before
};

/// What became of a leased notification.
struct DeliveryResult {
    enum class Kind : std::uint8_t { delivered, retry, defer, dead };
    Kind kind{};
    WallTime at{};
    WallTime next_attempt_at{};            ///< retry, defer
    std::optional<DeliveryError> error{};  ///< retry, defer, dead
    std::chrono::milliseconds took{};
};

class Outbox {
public:
    virtual ~Outbox() = default;
    /// Takes up to `limit` due rows of `destination`: pending and due at `now`, or leased with an expired lease; never
    /// a row while an earlier row of the same incident and destination is pending or leased (a resolve never overtakes
    /// its trigger). Oldest first. The lease and its token are durable. A row that cannot be read becomes dead, and its
    /// last error says why (class `unreadable`): it keeps no other waiting.
    virtual StoreResult<std::vector<Notification>> lease(std::string_view destination, WallTime now,
                                                         std::chrono::milliseconds lease_for, std::size_t limit,
                                                         const RequestContext& context) = 0;
    /// `conflict` when `lease_token` is not the current lease: another holder has taken the row over. delivered, retry
    /// and dead append to the attempt log and count an attempt; defer counts a deferral only.
    virtual StoreResult<void> settle(std::string_view id, std::string_view lease_token, const DeliveryResult& result,
                                     const RequestContext& context) = 0;
    /// Earliest time at which a row of `destination` is due or a lease ends; none when nothing waits.
    virtual StoreResult<std::optional<WallTime>> next_due(std::string_view destination,
                                                          const RequestContext& context) = 0;
    virtual StoreResult<Notification> get_notification(std::string_view id, const RequestContext& context) = 0;
    /// Newest first. A page may be short although there are more, as those of `IncidentStore::list`.
    virtual StoreResult<Page<Notification>> list_notifications(const NotificationQuery& query,
                                                               const RequestContext& context) = 0;
    /// A dead row becomes pending and due now, with the same id; `invalid` for a row that is not dead.
    virtual StoreResult<Notification> replay(std::string_view id, WallTime now, const RequestContext& context) = 0;
    /// One more row outside an incident change (a fallback); storing the same draft id twice does nothing.
    virtual StoreResult<void> enqueue(const NotificationDraft& draft, const RequestContext& context) = 0;
    /// Rows by destination and state.
    virtual StoreResult<std::map<std::string, std::map<NotificationState, std::uint64_t>>> counts(
        const RequestContext& context) = 0;
};

/// Sends one notification to one destination. Blocking; keeps the deadline of `context`.
class NotificationSender {
public:
    virtual ~NotificationSender() = default;
    [[nodiscard]] virtual std::string_view destination() const noexcept = 0;
    virtual std::expected<void, DeliveryError> send(const Notification& notification,
                                                    const RequestContext& context) = 0;
};

}  // namespace fusebox::incidents
