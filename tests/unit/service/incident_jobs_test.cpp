#include "incident_jobs.hpp"

#include <map>

#include <fusebox/core/manual_clock.hpp>
#include <fusebox/storage/memory_store.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using namespace service;
using incidents::IncidentState;

namespace {

/// Incidents in memory under upkeep, on a clock of the test's.
struct World {
    ManualClock clock;
    storage::MemoryStore store;
    RetentionConfig retention;
    std::map<std::string, std::uint64_t> done;  // by job
    std::vector<std::string> failures;
    incidents::IncidentService incidents{store, routes(), {}, [this] { return clock.wall_now(); }};
    Upkeep upkeep{{.jobs = incident_jobs(
                       incidents, store, [this] { return retention; }, clock),
                   .on_run =
                       [this](const UpkeepJob& job, const std::expected<UpkeepResult, std::string>& result) {
                           if (!result) failures.push_back(job.name + ": " + result.error());
                           done[job.name] += result ? result->done : 0;
                       },
                   .clock = &clock}};

    static incidents::RoutingTable routes() {
        incidents::RoutingTable table;
        table.default_route = {"log"};
        return table;
    }
    /// Lets time pass as upkeep's thread would see it: each job runs when it is due.
    void pass(Duration time) {
        const auto end = clock.now() + time;
        for (auto wait = upkeep.run_due(); clock.now() + wait <= end; wait = upkeep.run_due()) clock.advance(wait);
        clock.advance(end - clock.now());
    }
    incidents::Alert alert(const std::string& name) const {
        incidents::Alert alert;
        alert.labels = {{"alertname", name}};
        alert.title = name;
        alert.source = "prometheus";
        alert.starts_at = clock.wall_now();
        return alert;
    }
    std::string fire(const incidents::Alert& alert) {
        const auto answer = incidents.ingest({&alert, 1});
        REQUIRE(answer);
        return answer->front().incident_id;
    }
    void deliver_all() {
        for (;;) {
            const auto rows = store.lease("log", clock.wall_now(), 1min, 500, {});
            REQUIRE(rows);
            if (rows->empty()) return;
            for (const auto& row : *rows) {
                incidents::DeliveryResult delivered;
                delivered.at = clock.wall_now();
                REQUIRE(store.settle(row.draft.id, row.lease_token, delivered, {}));
            }
        }
    }
    IncidentState state(const std::string& id) {
        const auto incident = store.get(id, {});
        REQUIRE(incident);
        return incident->state;
    }
};

}  // namespace

TEST_CASE("a firing whose end passes expires, is closed, and is deleted in the end") {
    World world;
    auto alert = world.alert("a");
    alert.ends_at = world.clock.wall_now() + 4min;
    const auto id = world.fire(alert);
    world.pass(5min - 1s);
    CHECK(world.state(id) == IncidentState::detected);  // its Prometheus had no time yet to send again
    world.pass(1min);
    CHECK(world.state(id) == IncidentState::resolved);
    CHECK(world.done["expire"] == 1);
    world.pass(23h);
    CHECK(world.state(id) == IncidentState::resolved);
    world.pass(2h);
    CHECK(world.state(id) == IncidentState::closed);
    CHECK(world.done["close_resolved"] == 1);
    CHECK(world.done["prune"] == 0);

    world.deliver_all();  // an incident that has news to tell is not deleted
    world.retention = {.incidents = 48h, .notifications = 24h};
    world.pass(23h);
    CHECK(world.store.get(id, {}));
    CHECK_FALSE(world.store.list_notifications({}, {}).value().items.empty());
    world.pass(2h);
    CHECK(world.store.list_notifications({}, {}).value().items.empty());
    CHECK(world.store.get(id, {}));
    world.pass(46h);
    CHECK_FALSE(world.store.get(id, {}));
    CHECK(world.done["prune"] > 0);
    CHECK(world.failures.empty());
}

TEST_CASE("more incidents than a batch holds are closed and deleted one batch after the other") {
    World world;
    constexpr int many = 1'200;
    for (int i = 0; i < many; ++i) {
        auto alert = world.alert("alert " + std::to_string(i));
        world.fire(alert);
        alert.resolved = true;
        alert.ends_at = world.clock.wall_now();
        world.fire(alert);
    }
    world.deliver_all();
    world.retention = {.incidents = 24h * 365, .notifications = 24h * 365};
    world.pass(25h);
    CHECK(world.done["close_resolved"] == many);
    CHECK(world.done["prune"] == 0);
    world.retention = {.incidents = 1h, .notifications = 1h};
    world.pass(1h);
    CHECK(world.done["prune"] >= many);
    const auto left = world.store.list({}, {});
    REQUIRE(left);
    CHECK(left->items.empty());
}

TEST_CASE("nothing is deleted while the wall clock has not run evenly for ten minutes") {
    World world;
    auto alert = world.alert("a");
    const auto id = world.fire(alert);
    alert.resolved = true;
    alert.ends_at = world.clock.wall_now();
    world.fire(alert);
    world.deliver_all();
    world.pass(1h);
    world.clock.step_wall(24h * 365);  // a wrong date
    world.pass(9min);
    CHECK(world.store.get(id, {}));
    world.clock.step_wall(-24h * 365);  // is set right
    world.pass(2h);
    CHECK(world.store.get(id, {}));
    CHECK(world.done["prune"] == 0);
}

}  // namespace fusebox::test
