// The jobs of upkeep that keep incidents and their store in order.
#pragma once

#include <functional>
#include <vector>

#include <fusebox/core/clock.hpp>
#include <fusebox/incidents/incident_service.hpp>
#include <fusebox/storage/store.hpp>

#include "config/config.hpp"
#include "upkeep.hpp"

namespace fusebox::service {

/// `store_repeats` every 15 s and at the stop, `expire` every 10 s, `close_resolved` and `prune` every minute, each in
/// small batches. All arguments must outlive the jobs; `retention` is asked at each run, by upkeep's thread.
///
/// What is pruned is judged by the wall clock, and gone for good: nothing is pruned before the wall clock has run
/// evenly for 10 min.
[[nodiscard]] std::vector<UpkeepJob> incident_jobs(incidents::IncidentService& incidents, storage::Store& store,
                                                   std::function<RetentionConfig()> retention,
                                                   const Clock& clock = steady_clock());

}  // namespace fusebox::service
