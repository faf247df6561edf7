#include <fusebox/incidents/incident_service.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <set>
#include <thread>
#include <tuple>

#include <fusebox/incidents/json.hpp>

#include "support/catch.hpp"
#include "unit/incidents/alert_samples.hpp"
#include "unit/incidents/fake_store.hpp"

namespace fusebox::test {

using namespace incidents;

namespace {

using namespace std::chrono_literals;
using Kinds = std::vector<ChangeKind>;
using Strings = std::vector<std::string>;

RoutingTable to(Strings destinations) {
    RoutingTable table;
    table.default_route = std::move(destinations);
    return table;
}

RoutingTable p0_to_pager_else_log() {
    RoutingTable table = to({"log"});
    table.routes.resize(1);
    table.routes[0].severities = {Severity::p0};
    table.routes[0].to = {"pager"};
    return table;
}

Alert worse() {
    Alert alert = firing(new_year);
    alert.severity = Severity::p0;
    return alert;
}

/// A service over a fake store, with a clock that stands still until it is set.
struct Fixture {
    explicit Fixture(RoutingTable routing = to({"ops"}), IncidentRules rules = {})
        : service{store, std::move(routing), rules, [this] { return now; },
                  [this](const Change& change) { announced.push_back(change); }} {}

    Kinds ingest(const std::vector<Alert>& alerts) {
        const auto results = service.ingest(alerts);
        REQUIRE(results);
        Kinds kinds;
        for (const auto& result : *results) kinds.push_back(result.change);
        return kinds;
    }
    std::string make_incident() {
        const std::vector alerts{firing(now)};
        const auto results = service.ingest(alerts);
        REQUIRE(results);
        return results->front().incident_id;
    }
    Incident only_incident() {
        REQUIRE(store.incidents().size() == 1);
        return store.incidents().front();
    }
    Strings notified() {
        Strings all;
        for (const auto& draft : store.notifications()) all.push_back(draft.kind + " > " + draft.destination);
        return all;
    }

    FakeStore store;
    WallTime now{new_year};
    std::vector<Change> announced;
    IncidentService service;
};

/// The payload about `incident`: receivers do not learn of each other.
std::string sent(Incident incident) {
    incident.notified.clear();
    return to_json(incident);
}

StoreError error(StoreError::Kind kind) { return {kind, "injected", {}}; }

const StoreError& store_error(const std::expected<Incident, ChangeError>& result) {
    REQUIRE_FALSE(result);
    REQUIRE(std::holds_alternative<StoreError>(result.error()));
    return std::get<StoreError>(result.error());
}

}  // namespace

TEST_CASE("a first alert makes an incident and one notification per destination, in one commit") {
    Fixture f{to({"ops", "mail"})};
    const std::vector alerts{firing(new_year)};
    const auto results = f.service.ingest(alerts);
    REQUIRE(results);
    REQUIRE(results->size() == 1);
    CHECK(results->front().change == ChangeKind::created);

    const Incident stored = f.only_incident();
    CHECK(stored.id == results->front().incident_id);
    CHECK(stored.id.starts_with("inc_"));
    CHECK(stored.version == 1);
    CHECK(f.store.commits() == 1);

    const auto drafts = f.store.notifications();
    REQUIRE(drafts.size() == 2);
    CHECK(drafts[0].destination == "ops");
    CHECK(drafts[1].destination == "mail");
    CHECK(drafts[0].id != drafts[1].id);
    for (const auto& draft : drafts) {
        CHECK(draft.id.starts_with("msg_"));
        CHECK(draft.incident_id == stored.id);
        CHECK(draft.kind == "incident.triggered");
        CHECK(draft.severity == stored.severity);
        CHECK(draft.created_at == new_year);
        CHECK(draft.fallback_for.empty());
        CHECK(draft.payload == sent(stored));
    }
}

TEST_CASE("repeats that say nothing new are answered without the store, and stored together later") {
    Fixture f;
    const auto id = f.make_incident();
    const Incident before = f.only_incident();
    const auto look_ups = f.store.look_ups();
    for (int minute = 1; minute <= 5; ++minute) {
        f.now = new_year + 1min * minute;
        const std::vector alerts{firing(new_year)};
        const auto results = f.service.ingest(alerts);
        REQUIRE(results);
        CHECK(results->front().change == ChangeKind::repeated);
        CHECK(results->front().incident_id == id);
    }
    CHECK(f.store.commits() == 1);
    CHECK(f.store.look_ups() == look_ups);
    CHECK(f.only_incident() == before);
    CHECK(f.announced.size() == 1);

    CHECK(f.service.flush_sightings() == 1U);
    Incident expected = before;
    expected.alert_count = 6;
    expected.last_seen = new_year + 5min;
    CHECK(f.only_incident() == expected);
    CHECK(f.notified() == Strings{"incident.triggered > ops"});
    CHECK(f.service.flush_sightings() == 0U);
    CHECK(f.store.commits() == 1);
}

TEST_CASE("what repeats said is stored with the next change, and kept where the store fails") {
    Fixture f;
    const auto id = f.make_incident();
    f.now += 1min;
    f.ingest({firing(new_year)});
    REQUIRE(f.service.add_note(id, "ada", "seen"));
    CHECK(f.only_incident().alert_count == 2);
    CHECK(f.only_incident().last_seen == new_year + 1min);
    CHECK(f.service.flush_sightings() == 0U);

    f.ingest({firing(new_year)});
    f.store.fail_next_commit(error(StoreError::Kind::unavailable));
    CHECK_FALSE(f.service.flush_sightings());
    f.ingest({firing(new_year)});
    CHECK(f.service.flush_sightings() == 1U);
    CHECK(f.only_incident().alert_count == 4);
    CHECK(f.only_incident().version == 2);
}

TEST_CASE("repeats by a service that has just started are read once and then answered from memory") {
    Fixture f;
    f.make_incident();
    IncidentService second{f.store, to({"ops"}), {}, [&f] { return f.now; }};
    const std::vector alerts{firing(new_year)};
    for (int i = 0; i < 3; ++i) CHECK(second.ingest(alerts)->front().change == ChangeKind::repeated);
    CHECK(f.store.look_ups() == 2);
    CHECK(f.store.commits() == 1);
    CHECK(second.flush_sightings() == 1U);
    CHECK(f.only_incident().alert_count == 4);
}

TEST_CASE("a change by another process is noticed with the next flush at the latest") {
    Fixture f;
    const auto id = f.make_incident();
    IncidentService other{f.store, to({"ops"}), {}, [&f] { return f.now; }};
    REQUIRE(other.resolve(id, "ada", ""));
    CHECK(f.ingest({firing(new_year)}) == Kinds{ChangeKind::repeated});
    CHECK(f.service.flush_sightings() == 0U);
    CHECK(f.only_incident().alert_count == 1);
    CHECK(f.ingest({firing(new_year)}) == Kinds{ChangeKind::none});
}

TEST_CASE("a message that brings something new is no repeat, whatever the memory holds") {
    Fixture f;
    f.make_incident();
    const auto changed = [&f](auto change) {
        Alert alert = firing(new_year);
        change(alert);
        return f.ingest({alert});
    };
    CHECK(changed([](Alert& alert) { alert.title = "another"; }) == Kinds{ChangeKind::updated});
    CHECK(changed([](Alert& alert) { alert.title = "another"; }) == Kinds{ChangeKind::repeated});
    CHECK(changed([](Alert& alert) { alert.annotations["value"] = "1"; }) == Kinds{ChangeKind::updated});
    CHECK(changed([](Alert& alert) { alert.severity = Severity::p0; }) == Kinds{ChangeKind::updated});
    CHECK(changed([](Alert& alert) { alert.starts_at += 1min; }) == Kinds{ChangeKind::updated});
    CHECK(f.only_incident().severity == Severity::p0);
    CHECK(f.only_incident().firings.all.size() == 2);
}

TEST_CASE("a batch looks its alerts up in one read, however many they are") {
    Fixture f;
    std::vector<Alert> alerts;
    for (int i = 0; i < 200; ++i) alerts.push_back(firing(new_year, "Alert" + std::to_string(i)));
    f.ingest(alerts);
    CHECK(f.store.look_ups() == 1);
    CHECK(f.store.commits() == 1);
    f.ingest(alerts);
    CHECK(f.store.look_ups() == 1);
    CHECK(f.store.commits() == 1);
}

TEST_CASE("an alert whose source has died expires, but not before the sources have had the time to send again") {
    Fixture f;
    Alert alert = firing(new_year);
    alert.ends_at = new_year + 4min;
    f.ingest({alert});
    const auto tick_until = [&f](WallTime end) {
        std::size_t expired = 0;
        for (; f.now < end; f.now += 10s) expired += *f.service.expire();
        return expired;
    };
    CHECK(tick_until(new_year + 5min) == 0);
    CHECK(is_open(f.only_incident().state));
    CHECK(tick_until(new_year + 5min + 10s) == 1);
    CHECK(f.only_incident().state == IncidentState::resolved);
    CHECK(f.only_incident().resolved_at == new_year + 4min);
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.resolved > ops"});
}

TEST_CASE("repeats keep an alert from expiring, stored or not") {
    Fixture f;
    for (int minute = 0; minute <= 60; ++minute) {
        f.now = new_year + 1min * minute;
        Alert alert = firing(new_year);
        alert.ends_at = f.now + 4min;
        f.ingest({alert});
        CHECK(f.service.expire() == 0U);
    }
    CHECK(is_open(f.only_incident().state));
    CHECK(f.store.commits() == 1);
    CHECK(f.only_incident().alert_count == 61);
}

TEST_CASE("after a sleep of the machine, or a step of its clock, nothing expires until all could be sent again") {
    for (const auto step : {std::chrono::minutes{60}, std::chrono::minutes{-60}}) {
        Fixture f;
        Alert alert = firing(new_year);
        alert.ends_at = new_year + 10min;
        f.ingest({alert});
        for (; f.now < new_year + 8min; f.now += 10s) CHECK(f.service.expire() == 0U);
        f.now += step;
        const WallTime stepped = f.now;
        for (; f.now < stepped + 4min; f.now += 10s) CHECK(f.service.expire() == 0U);
        alert.ends_at = f.now + 4min;
        CHECK(f.ingest({alert}).front() != ChangeKind::created);
        for (; f.now < stepped + 7min; f.now += 10s) CHECK(f.service.expire() == 0U);
        CHECK(is_open(f.only_incident().state));
    }
}

TEST_CASE("what was resolved long enough ago is closed") {
    Fixture f;
    const auto id = f.make_incident();
    REQUIRE(f.service.resolve(id, "ada", ""));
    f.now += 24h - 1us;
    CHECK(f.service.close_resolved() == 0U);
    f.now += 1us;
    CHECK(f.service.close_resolved() == 1U);
    CHECK(f.only_incident().state == IncidentState::closed);
    CHECK(f.only_incident().timeline.back().actor == "system");
    CHECK(f.service.close_resolved() == 0U);
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.resolved > ops"});
}

TEST_CASE("while the store fails nothing expires, nor before the sources have had the time to send again") {
    Fixture f;
    Alert alert = firing(new_year);
    alert.ends_at = new_year + 14min;
    f.ingest({alert});
    for (; f.now < new_year + 10min; f.now += 10s) CHECK(f.service.expire() == 0U);
    // The repeats of this alert find no room in the memory or no way to the store; those of another are remembered.
    Alert other = firing(new_year, "Other");
    other.ends_at = new_year + 24h;
    f.ingest({other});
    for (; f.now < new_year + 20min; f.now += 10s) {
        other.ends_at = *other.ends_at + 1s;
        f.ingest({other});
        f.store.fail_next_commit({StoreError::Kind::unavailable, "the disk is full", {}});
        CHECK_FALSE(f.service.expire());
    }
    const WallTime healed = f.now;
    for (; f.now < healed + 4min; f.now += 10s) CHECK(f.service.expire() == 0U);
    for (; f.now < healed + 6min; f.now += 10s) REQUIRE(f.service.expire());
    CHECK(std::ranges::count(f.store.incidents(), IncidentState::resolved, &Incident::state) == 1);
}

TEST_CASE("an incident that cannot be read keeps no other from expiring") {
    Fixture f;
    std::vector<Alert> alerts;
    for (const auto* name : {"A", "B", "C"}) {
        alerts.push_back(firing(new_year, name));
        alerts.back().ends_at = new_year + 1min;
    }
    f.ingest(alerts);
    f.store.make_unreadable(f.store.incidents().front().id);
    std::size_t expired = 0;
    for (; f.now < new_year + 5min; f.now += 10s) REQUIRE(f.service.expire());
    expired = f.service.expire().value_or(0);
    CHECK(expired == 2);
    const auto rest = f.service.expire();
    REQUIRE_FALSE(rest);
    CHECK(rest.error().kind == StoreError::Kind::corrupt);
}

TEST_CASE("an incident that cannot be read keeps no other alert of its batch out") {
    for (std::size_t bad = 0; bad < 7; ++bad) {
        CAPTURE(bad);
        Fixture f;
        std::vector<Alert> alerts;
        for (char name = 'A'; name < 'H'; ++name) alerts.push_back(firing(new_year, std::string{name}));
        const std::vector first{alerts.at(bad)};
        f.ingest(first);
        f.store.make_unreadable(f.only_incident().id);
        FakeStore& store = f.store;
        IncidentService restarted{store, to({"ops"}), {}, [&f] { return f.now; }};
        alerts.push_back(ended(new_year, new_year + 1min, bad == 0 ? "B" : "A"));
        const auto results = restarted.ingest(alerts);
        REQUIRE_FALSE(results);
        CHECK(results.error().kind == StoreError::Kind::corrupt);
        CHECK(store.incidents().size() == 7);
        CHECK(std::ranges::count(store.incidents(), IncidentState::resolved, &Incident::state) == 1);
        CHECK(store.notifications().size() == 8);
    }
}

namespace {

/// The alert of an incident that has ended has fired anew, in another incident, and nothing was heard since.
struct TwoIncidents : Fixture {
    TwoIncidents() {
        old = make_incident();
        ingest({ended(new_year, new_year + 1min)});
        now = new_year + 1h;
        Alert again = firing(now);
        again.merged = true;
        REQUIRE(ingest({again}) == Kinds{ChangeKind::created});
        now = new_year + 24h + 1min;
        REQUIRE(service.flush_sightings());  // drops what nobody has asked for
    }
    bool any_open() {
        return std::ranges::any_of(store.incidents(), [](const Incident& each) { return is_open(each.state); });
    }
    std::string old;
};

}  // namespace

TEST_CASE("a change of an older incident does not take the resolve of the open one") {
    for (const bool by_upkeep : {true, false}) {
        for (const bool start_stated : {true, false}) {
            CAPTURE(by_upkeep, start_stated);
            TwoIncidents f;
            if (by_upkeep) {
                REQUIRE(f.service.close_resolved() == 1U);
            } else {
                REQUIRE(f.service.add_note(f.old, "ada", "why it happened"));
            }
            Alert over = ended(new_year + 1h, f.now);
            over.start_stated = start_stated;
            over.merged = start_stated;
            CHECK(f.ingest({over}) == Kinds{ChangeKind::resolved});
            CHECK_FALSE(f.any_open());
        }
    }
}

TEST_CASE("a note on an older incident does not take the resolve of the open one that goes on with its firing") {
    Fixture f;
    Alert alert = firing(new_year);
    alert.ends_at = new_year + 4min;
    f.ingest({alert});
    std::string old = f.only_incident().id;
    for (; f.now < new_year + 6min; f.now += 10s) REQUIRE(f.service.expire());
    REQUIRE(f.service.close(old, "ada", ""));
    alert.ends_at = f.now + 4min;
    REQUIRE(f.ingest({alert}) == Kinds{ChangeKind::created});
    f.now += 1h;
    REQUIRE(f.service.flush_sightings());  // drops what nobody has asked for
    REQUIRE(f.service.add_note(old, "ada", "why it happened"));
    CHECK(f.ingest({ended(new_year, f.now)}) == Kinds{ChangeKind::resolved});
}

TEST_CASE("a resolve is not answered from the memory of an incident that has ended, unless it is known there") {
    Fixture f;
    f.make_incident();
    f.now += 1min;
    f.ingest({ended(new_year, new_year + 1min)});
    f.now += 1h;
    IncidentService other_process{f.store, to({"ops"}), {}, [&f] { return f.now; }};
    REQUIRE(other_process.ingest(std::vector{firing(f.now)}));
    const int look_ups = f.store.look_ups();
    CHECK(f.ingest({ended(new_year, new_year + 1min)}) == Kinds{ChangeKind::none});
    CHECK(f.store.look_ups() == look_ups);
    Alert over = ended(f.now, f.now);
    over.start_stated = false;
    CHECK(f.ingest({over}) == Kinds{ChangeKind::resolved});
}

TEST_CASE("an operator can take every step of the life cycle, and back") {
    Fixture f;
    const auto id = f.make_incident();
    const auto state = [&f] { return f.only_incident().state; };
    REQUIRE(f.service.acknowledge(id, "ada", ""));
    REQUIRE(f.service.unacknowledge(id, "ada", "not mine"));
    CHECK(state() == IncidentState::detected);
    REQUIRE(f.service.investigate(id, "ada", ""));
    CHECK(state() == IncidentState::investigating);
    REQUIRE(f.service.remediate(id, "ada", ""));
    CHECK(state() == IncidentState::remediating);
    REQUIRE(f.service.resolve(id, "ada", ""));
    REQUIRE(f.service.close(id, "ada", ""));
    CHECK(state() == IncidentState::closed);
    REQUIRE(f.service.reopen(id, "bob", "again"));
    CHECK(state() == IncidentState::detected);
    CHECK_FALSE(f.only_incident().resolved_at);
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.acknowledged > ops",
                                  "incident.unacknowledged > ops", "incident.resolved > ops",
                                  "incident.reopened > ops"});
    for (const auto& refused :
         {f.service.unacknowledge(id, "ada", ""), f.service.reopen(id, "ada", ""), f.service.close(id, "ada", "")}) {
        REQUIRE_FALSE(refused);
        CHECK(std::holds_alternative<TransitionRefused>(refused.error()));
    }
}

TEST_CASE("an incident is not reopened beside another open one of its alert") {
    Fixture f;
    const auto old = f.make_incident();
    REQUIRE(f.service.resolve(old, "ada", ""));
    f.now += 1h;
    f.ingest({firing(f.now)});
    const auto refused = f.service.reopen(old, "ada", "");
    REQUIRE_FALSE(refused);
    REQUIRE(std::holds_alternative<TransitionRefused>(refused.error()));
    CHECK(std::get<TransitionRefused>(refused.error()).message.find("another open incident") != std::string::npos);
}

TEST_CASE("an incident that a person opened again takes the alert's messages, though a newer one exists") {
    Fixture f;
    const auto old = f.make_incident();
    REQUIRE(f.service.resolve(old, "ada", ""));
    f.now += 1h;
    f.ingest({firing(f.now)});
    f.now += 1min;
    f.ingest({ended(f.now - 1min, f.now)});
    REQUIRE(f.service.reopen(old, "ada", ""));
    f.now += 1h;
    const std::vector alerts{firing(f.now)};
    const auto results = f.service.ingest(alerts);
    REQUIRE(results);
    CHECK(results->front().incident_id == old);
    CHECK(results->front().change == ChangeKind::updated);
}

TEST_CASE("a repeat that raises the severity notifies by the routes of the new severity, and who knew before") {
    Fixture f{p0_to_pager_else_log()};
    f.make_incident();
    CHECK(f.only_incident().notified == Strings{"log"});
    CHECK(f.ingest({worse()}) == Kinds{ChangeKind::updated});
    CHECK(f.notified() == Strings{"incident.triggered > log", "incident.updated > pager", "incident.updated > log"});
    CHECK(f.store.notifications().back().severity == Severity::p0);
    CHECK(f.only_incident().notified == Strings{"log", "pager"});
}

TEST_CASE("whoever got the trigger hears all the rest, also when the severity has changed the routes") {
    Fixture f{p0_to_pager_else_log()};
    f.ingest({worse()});
    Alert better = firing(new_year);
    better.severity = Severity::p3;  // a fall notifies nobody
    CHECK(f.ingest({better}) == Kinds{ChangeKind::updated});
    CHECK(f.only_incident().notified == Strings{"pager"});
    const auto id = f.only_incident().id;
    REQUIRE(f.service.acknowledge(id, "ada", ""));
    REQUIRE(f.service.add_note(id, "ada", "told nobody"));
    f.now += 1min;
    REQUIRE(f.service.resolve(id, "ada", ""));
    f.now += 1min;
    CHECK(f.ingest({firing(f.now)}) == Kinds{ChangeKind::reopened});
    CHECK(f.notified() == Strings{"incident.triggered > pager", "incident.acknowledged > log",
                                  "incident.acknowledged > pager", "incident.resolved > log",
                                  "incident.resolved > pager", "incident.reopened > log", "incident.reopened > pager"});
    CHECK(f.only_incident().notified == Strings{"pager", "log"});
}

TEST_CASE("of changes folded into one write the later know whom the earlier told") {
    Fixture f{p0_to_pager_else_log()};
    f.now = new_year + 10min;
    CHECK(f.ingest({firing(new_year), worse(), ended(new_year, f.now)}) ==
          Kinds{ChangeKind::created, ChangeKind::updated, ChangeKind::resolved});
    CHECK(f.store.commits() == 1);
    CHECK(f.notified() == Strings{"incident.triggered > log", "incident.updated > pager", "incident.updated > log",
                                  "incident.resolved > pager", "incident.resolved > log"});
    CHECK(f.only_incident().notified == Strings{"log", "pager"});
}

TEST_CASE("a destination that is gone hears no more, and hears again once it is back") {
    Fixture f{to({"old"})};
    const auto id = f.make_incident();
    RoutingTable without = to({"new"});
    without.existing = {"new"};
    f.service.reconfigure(without, {});
    REQUIRE(f.service.acknowledge(id, "ada", ""));
    CHECK(f.only_incident().notified == Strings{"old", "new"});
    RoutingTable with = to({"new"});
    with.existing = {"new", "old"};
    f.service.reconfigure(with, {});
    REQUIRE(f.service.resolve(id, "ada", ""));
    CHECK(f.notified() == Strings{"incident.triggered > old", "incident.acknowledged > new", "incident.resolved > new",
                                  "incident.resolved > old"});
}

TEST_CASE("what was not committed was told to nobody") {
    Fixture f;
    const auto id = f.make_incident();
    f.service.reconfigure(to({"mail"}), {});
    f.store.fail_next_commit(error(StoreError::Kind::unavailable));
    CHECK_FALSE(f.service.acknowledge(id, "ada", ""));
    CHECK(f.only_incident().notified == Strings{"ops"});
}

TEST_CASE("the next incident of a fingerprint begins with nobody told") {
    Fixture f{p0_to_pager_else_log()};
    f.ingest({worse(), ended(new_year, new_year)});
    f.now = new_year + 10h;
    CHECK(f.ingest({firing(f.now)}) == Kinds{ChangeKind::created});
    CHECK(f.notified() ==
          Strings{"incident.triggered > pager", "incident.resolved > pager", "incident.triggered > log"});
}

TEST_CASE("a batch that changes nothing commits nothing") {
    Fixture f;
    CHECK(f.ingest({}).empty());
    CHECK(f.ingest({ended(new_year, new_year), ended(new_year, new_year, "Other")}) ==
          Kinds{ChangeKind::none, ChangeKind::none});
    CHECK(f.store.commits() == 0);
    CHECK(f.announced.empty());
}

TEST_CASE("a resolve that is sent again commits nothing and still names its incident") {
    Fixture f;
    const auto id = f.make_incident();
    f.now += 5min;
    CHECK(f.ingest({ended(new_year, f.now)}) == Kinds{ChangeKind::resolved});
    CHECK(f.store.commits() == 2);

    const std::vector again{ended(new_year, f.now), ended(new_year, f.now, "NeverSeen")};
    const auto results = f.service.ingest(again);
    REQUIRE(results);
    CHECK(f.store.commits() == 2);
    CHECK((*results)[0].change == ChangeKind::none);
    CHECK((*results)[0].incident_id == id);
    CHECK((*results)[1].change == ChangeKind::none);
    CHECK((*results)[1].incident_id.empty());
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.resolved > ops"});
}

TEST_CASE("a batch is one commit, whatever it holds, with one result per alert") {
    Fixture f;
    f.make_incident();
    f.now += 1min;
    CHECK(f.ingest({firing(f.now, "A"), firing(new_year), firing(f.now, "B"), ended(new_year, f.now, "C")}) ==
          Kinds{ChangeKind::created, ChangeKind::repeated, ChangeKind::created, ChangeKind::none});
    CHECK(f.store.commits() == 2);
    CHECK(f.store.incidents().size() == 3);
}

TEST_CASE("trigger and resolve in one batch both go out, in order, each as it was") {
    Fixture f{to({"ops", "mail"})};
    f.now = new_year + 10min;
    CHECK(f.ingest({firing(new_year), firing(new_year), ended(new_year, new_year + 2min)}) ==
          Kinds{ChangeKind::created, ChangeKind::repeated, ChangeKind::resolved});
    const Incident stored = f.only_incident();
    CHECK(f.store.commits() == 1);
    CHECK(stored.version == 1);
    CHECK(stored.state == IncidentState::resolved);
    CHECK(stored.alert_count == 3);
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.triggered > mail", "incident.resolved > ops",
                                  "incident.resolved > mail"});
    const auto first = incident_from_json(f.store.notifications().front().payload);
    REQUIRE(first);
    CHECK(first->state == IncidentState::detected);
    CHECK(first->version == 1);
    CHECK(f.store.notifications().back().payload == sent(stored));
}

TEST_CASE("one batch can end one incident of a fingerprint and begin the next") {
    Fixture f;
    f.make_incident();
    f.now = new_year + 10h;
    const std::vector batch{ended(new_year, new_year + 1h), firing(new_year + 5h), ended(new_year + 5h, new_year + 6h),
                            firing(new_year + 9h)};
    CHECK(f.ingest(batch) ==
          Kinds{ChangeKind::resolved, ChangeKind::created, ChangeKind::resolved, ChangeKind::created});
    CHECK(f.store.incidents().size() == 3);
    CHECK(f.store.commits() == 2);
    const std::array fingerprints{fingerprint(batch.front().labels)};
    const auto newest = f.store.latest_by_fingerprints(fingerprints, {});
    REQUIRE(newest);
    REQUIRE(newest->size() == 1);
    CHECK(newest->begin()->second.state == IncidentState::detected);
    CHECK(f.ingest({firing(new_year + 9h)}) == Kinds{ChangeKind::repeated});
}

TEST_CASE("a firing within the flap window reopens the incident and says so") {
    Fixture f;
    const auto id = f.make_incident();
    f.now = new_year + 5min;
    f.ingest({ended(new_year, f.now)});
    f.now = new_year + 8min;
    CHECK(f.ingest({firing(f.now)}) == Kinds{ChangeKind::reopened});
    CHECK(f.only_incident().id == id);
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.resolved > ops", "incident.reopened > ops"});
}

TEST_CASE("each change is announced after its commit, in order, with the version stored") {
    FakeStore store;
    WallTime now = new_year;
    std::vector<std::tuple<ChangeKind, std::uint64_t, int>> announced;
    IncidentService service{store,
                            to({"ops"}),
                            {},
                            [&now] { return now; },
                            [&](const Change& change) {
                                announced.emplace_back(change.kind, change.incident.version, store.commits());
                                // No lock is held: the listener may come back in.
                                CHECK(service.ingest({}));
                                service.reconfigure(to({"ops"}), {});
                            }};
    const std::vector alerts{firing(new_year), ended(new_year, new_year)};
    REQUIRE(service.ingest(alerts));
    const auto id = store.incidents().front().id;
    REQUIRE(service.add_note(id, "ada", "seen"));
    CHECK(announced == std::vector<std::tuple<ChangeKind, std::uint64_t, int>>{
                           {ChangeKind::created, 1, 1}, {ChangeKind::resolved, 1, 1}, {ChangeKind::noted, 2, 2}});
}

TEST_CASE("what was not committed is not announced") {
    Fixture f;
    f.store.fail_next_commit(error(StoreError::Kind::unavailable));
    const std::vector alerts{firing(new_year)};
    CHECK_FALSE(f.service.ingest(alerts));
    CHECK(f.announced.empty());
    CHECK(f.store.notifications().empty());
}

TEST_CASE("a version conflict is decided again from what is stored then") {
    Fixture f;
    const auto id = f.make_incident();
    f.now += 1min;
    // Between our read and our commit an operator resolves.
    f.store.before_next_commit = [&f, &id] { CHECK(f.service.resolve(id, "ada", "")); };
    CHECK(f.ingest({worse()}) == Kinds{ChangeKind::none});
    CHECK(f.only_incident().state == IncidentState::resolved);
    CHECK(f.only_incident().alert_count == 1);
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.resolved > ops"});
}

TEST_CASE("two who meet a new alert at once make one incident") {
    Fixture f;
    f.store.before_next_commit = [&f] { CHECK(f.ingest({firing(new_year)}) == Kinds{ChangeKind::created}); };
    CHECK(f.ingest({firing(new_year)}) == Kinds{ChangeKind::repeated});
    REQUIRE(f.service.flush_sightings());
    CHECK(f.only_incident().alert_count == 2);
    CHECK(f.notified() == Strings{"incident.triggered > ops"});
}

TEST_CASE("conflicts are retried, but not for ever") {
    Fixture f;
    for (int i = 0; i < 10; ++i) f.store.fail_next_commit(error(StoreError::Kind::conflict));
    CHECK(f.ingest({firing(new_year)}) == Kinds{ChangeKind::created});
    CHECK(f.store.commits() == 11);

    const auto id = f.only_incident().id;
    for (int i = 0; i < 1'000; ++i) f.store.fail_next_commit(error(StoreError::Kind::conflict));
    const std::vector alerts{worse()};
    const auto results = f.service.ingest(alerts);
    REQUIRE_FALSE(results);
    CHECK(results.error().kind == StoreError::Kind::conflict);
    CHECK(f.store.commits() < 200);
    CHECK(store_error(f.service.acknowledge(id, "ada", "")).kind == StoreError::Kind::conflict);
    CHECK(f.store.commits() < 400);
}

TEST_CASE("every other store error is returned at once, and nothing is stored") {
    using Kind = StoreError::Kind;
    for (const auto kind :
         {Kind::unavailable, Kind::timeout, Kind::not_found, Kind::invalid, Kind::corrupt, Kind::rejected}) {
        CAPTURE(to_string(kind));
        Fixture f;
        const std::vector alerts{firing(new_year)};
        f.store.fail_next_commit({kind, "injected", 3s});
        const auto by_commit = f.service.ingest(alerts);
        REQUIRE_FALSE(by_commit);
        CHECK(by_commit.error().kind == kind);
        CHECK(by_commit.error().message == "injected");
        CHECK(by_commit.error().retry_after == 3s);
        CHECK(f.store.commits() == 1);

        f.store.fail_next_read(error(kind));
        const auto by_read = f.service.ingest(alerts);
        REQUIRE_FALSE(by_read);
        CHECK(by_read.error().kind == kind);
        CHECK(f.store.commits() == 1);
        CHECK(f.store.incidents().empty());

        const auto id = f.make_incident();
        f.store.fail_next_commit(error(kind));
        CHECK(store_error(f.service.add_note(id, "ada", "x")).kind == kind);
        f.store.fail_next_read(error(kind));
        CHECK(store_error(f.service.add_note(id, "ada", "x")).kind == kind);
        CHECK(f.only_incident().version == 1);
    }
}

TEST_CASE("an alert sent again after a failure is taken in once") {
    Fixture f;
    const std::vector alerts{firing(new_year)};
    f.store.fail_next_commit(error(StoreError::Kind::timeout));
    CHECK_FALSE(f.service.ingest(alerts));
    CHECK(f.ingest(alerts) == Kinds{ChangeKind::created});
    CHECK(f.store.incidents().size() == 1);
    CHECK(f.store.notifications().size() == 1);
}

TEST_CASE("an operator acknowledges, notes and resolves") {
    Fixture f;
    const auto id = f.make_incident();
    f.now += 1min;
    const auto acknowledged = f.service.acknowledge(id, "ada", "on it");
    REQUIRE(acknowledged);
    CHECK(acknowledged->state == IncidentState::triaged);
    CHECK(acknowledged->version == 2);
    CHECK(*acknowledged == f.only_incident());

    const auto noted = f.service.add_note(id, "ada", "the cache was cold");
    REQUIRE(noted);
    CHECK(noted->timeline.back().detail == "the cache was cold");
    CHECK(*noted == f.only_incident());

    f.now += 1min;
    const auto resolved = f.service.resolve(id, "bob", "");
    REQUIRE(resolved);
    CHECK(resolved->state == IncidentState::resolved);
    CHECK(resolved->resolved_at == new_year + 2min);
    CHECK(*resolved == f.only_incident());

    CHECK(f.notified() ==
          Strings{"incident.triggered > ops", "incident.acknowledged > ops", "incident.resolved > ops"});
    CHECK(f.store.notifications().back().payload == sent(*resolved));
}

TEST_CASE("a change that is not allowed is refused with its reason and stores nothing") {
    Fixture f;
    const auto id = f.make_incident();
    REQUIRE(f.service.resolve(id, "ada", ""));
    for (const auto& result : {f.service.acknowledge(id, "bob", ""), f.service.resolve(id, "bob", "")}) {
        REQUIRE_FALSE(result);
        REQUIRE(std::holds_alternative<TransitionRefused>(result.error()));
        CHECK(
            std::get<TransitionRefused>(result.error()).message.starts_with("an incident that is resolved cannot be "));
    }
    CHECK(f.only_incident().version == 2);
    CHECK(f.store.commits() == 2);
}

TEST_CASE("an unknown incident is not found") {
    Fixture f;
    CHECK(store_error(f.service.acknowledge("inc_none", "ada", "")).kind == StoreError::Kind::not_found);
    CHECK(store_error(f.service.resolve("inc_none", "ada", "")).kind == StoreError::Kind::not_found);
    CHECK(store_error(f.service.add_note("inc_none", "ada", "x")).kind == StoreError::Kind::not_found);
}

TEST_CASE("of two who acknowledge at once one is told that it is done") {
    Fixture f;
    const auto id = f.make_incident();
    f.store.before_next_commit = [&f, &id] { CHECK(f.service.acknowledge(id, "bob", "")); };
    const auto second = f.service.acknowledge(id, "ada", "");
    REQUIRE_FALSE(second);
    CHECK(std::holds_alternative<TransitionRefused>(second.error()));
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.acknowledged > ops"});
}

TEST_CASE("new routes and rules hold for changes from then on") {
    Fixture f;
    const auto id = f.make_incident();
    IncidentRules rules;
    rules.flap_window = 0s;
    f.service.reconfigure(to({"mail"}), rules);
    f.now += 1min;
    f.ingest({ended(new_year, f.now)});
    f.now += 1min;
    CHECK(f.ingest({firing(f.now)}) == Kinds{ChangeKind::created});
    CHECK(f.notified() == Strings{"incident.triggered > ops", "incident.resolved > mail", "incident.resolved > ops",
                                  "incident.triggered > mail"});
}

TEST_CASE("an incident that is routed nowhere is stored all the same") {
    Fixture f{to({})};
    f.make_incident();
    CHECK(f.store.notifications().empty());
}

TEST_CASE("a payload carries the latest of a long timeline, the store the whole") {
    Fixture f;
    const auto id = f.make_incident();
    for (int i = 0; i < 50; ++i) REQUIRE(f.service.add_note(id, "ada", std::to_string(i)));
    REQUIRE(f.service.resolve(id, "ada", ""));
    CHECK(f.only_incident().timeline.size() == 52);
    const auto sent = incident_from_json(f.store.notifications().back().payload);
    REQUIRE(sent);
    REQUIRE(sent->timeline.size() == 20);
    CHECK(sent->timeline.front().kind == "truncated");
    CHECK(sent->timeline[1].detail == "32");
    CHECK(sent->timeline[18].detail == "49");
    CHECK(sent->timeline.back().kind == "resolved");
}

TEST_CASE("the request's deadline and stop reach the store") {
    struct Watching final : IncidentStore {
        std::vector<RequestContext> seen;
        FakeStore inner;
        FakeStore& note(const RequestContext& context) {
            seen.push_back(context);
            return inner;
        }
        StoreResult<void> commit(std::span<const IncidentWrite> writes, const RequestContext& c) override {
            return note(c).commit(writes, c);
        }
        StoreResult<Incident> get(std::string_view id, const RequestContext& c) override { return note(c).get(id, c); }
        StoreResult<std::map<std::string, Incident, std::less<>>> latest_by_fingerprints(
            std::span<const std::string> f, const RequestContext& c) override {
            return note(c).latest_by_fingerprints(f, c);
        }
        StoreResult<std::vector<std::string>> note_sightings(std::span<const Sighting> s,
                                                             const RequestContext& c) override {
            return note(c).note_sightings(s, c);
        }
        StoreResult<std::vector<std::string>> expiring(WallTime t, std::size_t n, const RequestContext& c) override {
            return note(c).expiring(t, n, c);
        }
        StoreResult<std::vector<std::string>> resolved_before(WallTime t, std::size_t n,
                                                              const RequestContext& c) override {
            return note(c).resolved_before(t, n, c);
        }
        StoreResult<PruneCounts> prune(const PruneQuery& q, const RequestContext& c) override {
            return note(c).prune(q, c);
        }
        StoreResult<Page<Incident>> list(const IncidentQuery& q, const RequestContext& c) override {
            return inner.list(q, c);
        }
        StoreResult<std::map<IncidentState, std::uint64_t>> incident_counts(const RequestContext& c) override {
            return inner.incident_counts(c);
        }
        StoreResult<void> check_writable(const RequestContext& c) override { return inner.check_writable(c); }
    } store;
    IncidentService service{store, to({"ops"}), {}, [] { return new_year; }};
    std::stop_source stop;
    const RequestContext context{.deadline = std::chrono::steady_clock::time_point{1h}, .stop = stop.get_token()};
    const std::vector alerts{firing(new_year)};
    REQUIRE(service.ingest(alerts, context));
    const auto id = store.inner.incidents().front().id;
    REQUIRE(service.acknowledge(id, "ada", "", context));
    REQUIRE(service.add_note(id, "ada", "x", context));
    REQUIRE(service.resolve(id, "ada", "", context));
    CHECK(store.seen.size() == 8);
    for (const auto& seen : store.seen) {
        CHECK(seen.deadline == context.deadline);
        CHECK(seen.stop == context.stop);
    }
}

TEST_CASE("the same alert from eight threads at once is one incident with one notification per destination") {
    constexpr std::size_t threads = 8;
    for (int repetition = 0; repetition < 20; ++repetition) {
        FakeStore store;
        std::atomic<int> announced{0};
        IncidentService service{
            store, to({"ops", "mail"}), {}, [] { return new_year; }, [&announced](const Change&) { ++announced; }};
        std::barrier start{static_cast<std::ptrdiff_t>(threads)};
        std::array<std::optional<IntakeResult>, threads> results;
        {
            std::vector<std::jthread> workers;
            for (auto& mine : results) {
                workers.emplace_back([&] {
                    const std::vector alerts{firing(new_year)};
                    start.arrive_and_wait();
                    if (const auto got = service.ingest(alerts)) mine = got->front();
                });
            }
        }
        REQUIRE(store.incidents().size() == 1);
        REQUIRE(service.flush_sightings());
        const auto incident = store.incidents().front();
        CHECK(incident.alert_count == threads);
        CHECK(incident.version == 1);
        CHECK(store.notifications().size() == 2);
        CHECK(announced == 1);
        int created = 0;
        for (const auto& result : results) {
            REQUIRE(result);
            CHECK(result->incident_id == incident.id);
            created += result->change == ChangeKind::created ? 1 : 0;
        }
        CHECK(created == 1);
    }
}

TEST_CASE("threads that fire, resolve, note and reconfigure at once leave a consistent history") {
    FakeStore store;
    std::atomic<std::int64_t> minute{0};
    const auto now = [&minute] { return new_year + 1min * minute.load(); };
    IncidentService service{store, to({"ops"}), {}, now};
    const std::vector first{firing(new_year)};
    REQUIRE(service.ingest(first));
    const auto id = store.incidents().front().id;
    std::atomic<int> notes{0};
    {
        std::vector<std::jthread> workers;
        for (int thread = 0; thread < 2; ++thread) {
            workers.emplace_back([&] {
                for (int i = 0; i < 50; ++i) {
                    ++minute;
                    const std::vector alerts{firing(now())};
                    static_cast<void>(service.ingest(alerts));
                }
            });
            workers.emplace_back([&] {
                for (int i = 0; i < 50; ++i) {
                    const std::vector alerts{ended(now(), now())};
                    static_cast<void>(service.ingest(alerts));
                }
            });
            workers.emplace_back([&] {
                for (int i = 0; i < 50; ++i) notes += service.add_note(id, "ada", "x") ? 1 : 0;
            });
            workers.emplace_back([&] {
                for (int i = 0; i < 50; ++i) service.reconfigure(to({"ops"}), {});
            });
        }
    }
    CHECK(notes == 100);
    REQUIRE(store.incidents().size() == 1);
    const auto incident = store.incidents().front();
    CHECK(std::ranges::count(incident.timeline, "note", &TimelineEvent::kind) == 100);

    // Each turn of the life cycle went out once, triggers and resolves taking turns.
    Strings sent;
    for (const auto& draft : store.notifications()) sent.push_back(draft.kind);
    REQUIRE_FALSE(sent.empty());
    CHECK(sent.front() == "incident.triggered");
    for (std::size_t i = 1; i < sent.size(); ++i) {
        CHECK(sent[i] == (i % 2 == 1 ? "incident.resolved" : "incident.reopened"));
    }
    CHECK(is_open(incident.state) == (sent.size() % 2 == 1));
    std::set<std::string> ids;
    for (const auto& draft : store.notifications()) ids.insert(draft.id);
    CHECK(ids.size() == sent.size());
}

}  // namespace fusebox::test
