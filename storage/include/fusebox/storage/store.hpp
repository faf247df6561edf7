// The one type behind which incidents and their notifications are kept together.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <fusebox/incidents/ports.hpp>

namespace fusebox::storage {

/// Both ports over the same data: an incident change and its notifications are stored in one transaction, so a class
/// that implements one port implements the other. Thread contract of the ports: any member from any thread.
///
/// What every implementation agrees on beyond the ports:
///   - `commit` applies its writes in order, so one batch may resolve an incident and open the next of its fingerprint.
///     An incident without an id, a draft without an id or a destination and a draft about another incident are
///     `invalid`; a draft whose id is stored already, or stands twice in the commit, is a `conflict`. Nothing is stored
///     of such a commit.
///   - `enqueue` of a draft about an incident that is not stored, or without an id or a destination, is `invalid`.
///   - `settle` with `delivered` forgets `first_failed_at`; `last_error` stays, as the latest there was. A row is dead
///     since its last attempt.
///   - `PruneCounts::notifications` counts those that went with their incident too. The time before which history goes
///     is itself not before.
///   - A cursor of one list is `invalid` for the other list, and so are more than 50 labels in one query.
///   - A cancelled request (`RequestContext::stop`) ends as `timeout`.
///   - `IncidentQuery::text` folds the case of ASCII letters only.
///   - `next_due` leaves out rows that wait behind an earlier row of their incident and destination: nothing can be
///     leased before that earlier row's own time.
///   - `replay` keeps the counts and the attempt log and forgets `first_failed_at`: a new run of tries begins.
///   - What an error says is fit for clients: it names no path and no host. What opening a store says does.
class Store : public incidents::IncidentStore, public incidents::Outbox {
public:
    /// What opening did to older data, one line each, for the log; empty for data that was up to date.
    [[nodiscard]] virtual std::vector<std::string> upgrades() const { return {}; }
    /// The latest damage that a call has met since the store was opened; none: none was met. Costs no read.
    [[nodiscard]] virtual std::optional<std::string> damage() const { return std::nullopt; }
    /// For a process that alone uses the store, before it leases anything itself: what a process before it had leased
    /// is pending again and due at `now`. How many rows there were; none in a store that does not outlive its process.
    virtual incidents::StoreResult<std::uint64_t> release_leases([[maybe_unused]] incidents::WallTime now,
                                                                 const incidents::RequestContext&) {
        return 0;
    }
};

}  // namespace fusebox::storage
