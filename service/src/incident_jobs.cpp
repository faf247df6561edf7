#include "incident_jobs.hpp"

#include <cstddef>
#include <memory>
#include <utility>

#include "api/api.hpp"
#include "even_wall_clock.hpp"

namespace fusebox::service {
namespace {

using namespace std::chrono_literals;
using Result = std::expected<UpkeepResult, std::string>;

constexpr Duration even_before_pruning = 10min;

enum class Batches : bool { no, yes };  // whether a run that did something may have left more

Result result_of(const incidents::StoreResult<std::size_t>& done, Batches batches) {
    if (!done) return std::unexpected(done.error().message);
    return UpkeepResult{.done = *done, .more = batches == Batches::yes && *done > 0};
}

Result prune(storage::Store& store, const RetentionConfig& retention, incidents::WallTime now) {
    const auto age = [](Duration kept) { return std::chrono::ceil<std::chrono::microseconds>(kept); };
    const auto gone = store.prune({.incidents_before = now - age(retention.incidents),
                                   .notifications_before = now - age(retention.notifications)},
                                  request_context());
    if (!gone) return std::unexpected(gone.error().message);
    const auto rows = gone->incidents + gone->notifications;
    return UpkeepResult{.done = rows, .more = rows > 0};
}

}  // namespace

std::vector<UpkeepJob> incident_jobs(incidents::IncidentService& incidents, storage::Store& store,
                                     std::function<RetentionConfig()> retention, const Clock& clock) {
    const auto wall = std::make_shared<EvenWallClock>(clock);
    return {
        {.name = "store_repeats",
         .every = 15s,
         .first = 15s,
         .at_stop = true,
         .run = [&incidents] { return result_of(incidents.flush_sightings(request_context()), Batches::no); }},
        {.name = "expire",
         .every = 10s,
         .run = [&incidents] { return result_of(incidents.expire(request_context()), Batches::yes); }},
        {.name = "close_resolved",
         .every = 1min,
         .run = [&incidents] { return result_of(incidents.close_resolved(request_context()), Batches::yes); }},
        {.name = "prune",
         .every = 1min,
         .run = [&store, &clock, wall, retention = std::move(retention)]() -> Result {
             if (!wall->even_for(even_before_pruning)) return UpkeepResult{};
             return prune(store, retention(), clock.wall_now());
         }},
    };
}

}  // namespace fusebox::service
