// The one type behind which incidents and their notifications are kept together.
#pragma once

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
};

}  // namespace fusebox::storage
