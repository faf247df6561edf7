// What every store promises, asked of each of them.
#include <algorithm>
#include <array>
#include <set>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/storage/circuit_breaker_store.hpp>
#include <fusebox/storage/memory_store.hpp>
#ifdef FUSEBOX_WITH_SQLITE
#include <fusebox/storage/sqlite_store.hpp>
#endif

#include "delivery_results.hpp"
#include "support/catch.hpp"
#include "support/incident_samples.hpp"
#include "support/temporary_folder.hpp"

namespace fusebox::test {

using namespace storage;
using Kind = StoreError::Kind;

namespace {

class InMemory {
public:
    Store& operator*() { return store_; }

private:
    MemoryStore store_;
};

#ifdef FUSEBOX_WITH_SQLITE
class InSqlite {
public:
    InSqlite() {
        auto opened = SqliteStore::open({.path = folder_.path() / "store.db"});
        REQUIRE(opened);
        store_ = *std::move(opened);
    }
    Store& operator*() { return *store_; }

private:
    TemporaryFolder folder_;
    std::unique_ptr<Store> store_;
};
#define SQLITE_TOO , InSqlite
#else
#define SQLITE_TOO
#endif

class BehindBreaker {
public:
    Store& operator*() { return store_; }

private:
    CircuitBreakerStore store_{std::make_shared<MemoryStore>(), std::make_shared<fusebox::CircuitBreaker>("store")};
};

/// A store, and the calls that tests make most.
template <class Backend>
class Subject {
    Backend backend_;

public:
    Store& store = *backend_;

    /// Gives the incidents as they are stored then. The timeline of a new one is stored with it.
    std::vector<Incident> commit(std::vector<IncidentWrite> writes) {
        std::vector<Incident> incidents;
        for (auto& write : writes) {
            if (write.incident.version == 0 && write.events.empty()) write.events = write.incident.timeline;
            incidents.push_back(write.incident);
            ++incidents.back().version;
        }
        const auto stored = store.commit(writes, {});
        INFO((stored ? "" : stored.error().message));
        REQUIRE(stored);
        return incidents;
    }
    std::optional<Incident> latest(const std::string& fingerprint) {
        const std::array asked{fingerprint};
        auto found = store.latest_by_fingerprints(asked, {});
        REQUIRE(found);
        if (found->empty()) return std::nullopt;
        REQUIRE(found->size() == 1);
        return found->at(fingerprint);
    }
    /// One incident with a notification to each of `destinations`, named ID-DESTINATION.
    Incident add(const std::string& id, const std::vector<std::string>& destinations = {}, WallTime at = new_year) {
        IncidentWrite write{.incident = sample_incident(id, "fingerprint of " + id, at), .notifications = {}};
        for (const auto& destination : destinations)
            write.notifications.push_back(sample_draft(id + "-" + destination, id, destination, at));
        return commit({write}).front();
    }
    Kind refusal(const std::vector<IncidentWrite>& writes) {
        auto stored = store.commit(writes, {});
        REQUIRE_FALSE(stored);
        CHECK_FALSE(stored.error().message.empty());
        return stored.error().kind;
    }
    std::vector<Notification> lease(WallTime now, std::size_t limit = 10, const std::string& destination = "hook") {
        auto leased = store.lease(destination, now, 30s, limit, {});
        REQUIRE(leased);
        return *std::move(leased);
    }
    void settle(const Notification& row, const DeliveryResult& result) {
        auto settled = store.settle(row.draft.id, row.lease_token, result, {});
        INFO((settled ? "" : settled.error().message));
        REQUIRE(settled);
    }
    Notification notification(const std::string& id) {
        auto found = store.get_notification(id, {});
        REQUIRE(found);
        return *std::move(found);
    }
    std::optional<WallTime> next_due(const std::string& destination = "hook") {
        auto due = store.next_due(destination, {});
        REQUIRE(due);
        return *due;
    }
};

std::vector<std::string> ids_of(const std::vector<Notification>& rows) {
    std::vector<std::string> ids;
    for (const auto& row : rows) ids.push_back(row.draft.id);
    return ids;
}
std::vector<std::string> ids_of(const std::vector<Incident>& incidents) {
    std::vector<std::string> ids;
    for (const auto& incident : incidents) ids.push_back(incident.id);
    return ids;
}
using Ids = std::vector<std::string>;

}  // namespace

#define EVERY_STORE InMemory, BehindBreaker SQLITE_TOO

TEMPLATE_TEST_CASE("an incident comes back as it was stored, one version on", "", EVERY_STORE) {
    Subject<TestType> subject;
    Incident original = sample_incident("inc_1", "f1");
    original.title = "Модель \"llm\" — 'медленно'\n\t\\ ☂";
    original.labels[""] = "";
    original.labels["quote\"and'back\\slash.$[0]"] = "значение";
    original.state = IncidentState::resolved;
    original.resolved_at = new_year + 61s + 123'456us;
    original.notified = {"hook", "Почта \"1\""};
    original.timeline.push_back({.at = new_year + 1us, .kind = "note", .actor = "ann", .detail = "looking"});
    const auto stored = subject.commit({{.incident = original, .notifications = {}}});

    Incident expected = original;
    expected.version = 1;
    REQUIRE(stored.size() == 1);
    CHECK(stored.front() == expected);
    CHECK(subject.store.get("inc_1", {}).value() == expected);
    CHECK(subject.latest("f1") == expected);

    Incident next = expected;
    next.notified.emplace_back("pager");
    subject.commit({{.incident = next, .notifications = {}}});
    CHECK(subject.store.get("inc_1", {}).value().notified == next.notified);
    CHECK(subject.store.list({}, {}).value().items.at(0).notified == next.notified);
}

TEMPLATE_TEST_CASE("what does not exist is not found", "", EVERY_STORE) {
    Subject<TestType> subject;
    CHECK(subject.store.get("inc_none", {}).error().kind == Kind::not_found);
    CHECK(subject.store.get_notification("msg_none", {}).error().kind == Kind::not_found);
    CHECK(subject.store.settle("msg_none", "token", delivered(new_year), {}).error().kind == Kind::not_found);
    CHECK(subject.store.replay("msg_none", new_year, {}).error().kind == Kind::not_found);
    CHECK(subject.latest("none") == std::nullopt);
    CHECK(subject.next_due() == std::nullopt);
    CHECK(subject.store.list({}, {}).value().items.empty());
    CHECK(subject.store.counts({}).value().empty());
    CHECK(subject.lease(new_year).empty());
}

TEMPLATE_TEST_CASE("a commit is stored whole or not at all", "", EVERY_STORE) {
    Subject<TestType> subject;
    const Incident known = subject.add("inc_1");
    Incident changed = known;
    changed.title = "changed";
    IncidentWrite good{.incident = changed, .notifications = {sample_draft("msg_1", "inc_1")}};
    IncidentWrite fresh{.incident = sample_incident("inc_2", "f2"), .notifications = {sample_draft("msg_2", "inc_2")}};

    SECTION("a version that is not current") {
        IncidentWrite stale{.incident = sample_incident("inc_3", "f3"), .notifications = {}};
        stale.incident.version = 4;
        CHECK(subject.refusal({good, fresh, stale}) == Kind::conflict);
    }
    SECTION("a notification that exists already") {
        IncidentWrite doubled{
            .incident = sample_incident("inc_3", "f3"),
            .notifications = {sample_draft("msg_3", "inc_3"), sample_draft("msg_3", "inc_3", "mail")}};
        CHECK(subject.refusal({good, fresh, doubled}) == Kind::conflict);
    }
    SECTION("a notification about another incident") {
        IncidentWrite foreign{.incident = sample_incident("inc_3", "f3"),
                              .notifications = {sample_draft("msg_3", "inc_1")}};
        CHECK(subject.refusal({good, fresh, foreign}) == Kind::invalid);
    }
    SECTION("an incident without an id") {
        CHECK(subject.refusal({good, fresh, {.incident = sample_incident("", "f3"), .notifications = {}}}) ==
              Kind::invalid);
    }
    CHECK(subject.store.get("inc_1", {}).value() == known);
    CHECK(subject.store.get("inc_2", {}).error().kind == Kind::not_found);
    CHECK(subject.latest("f2") == std::nullopt);
    CHECK(subject.store.list({}, {}).value().items.size() == 1);
    CHECK(subject.store.get_notification("msg_1", {}).error().kind == Kind::not_found);
    CHECK(subject.store.get_notification("msg_2", {}).error().kind == Kind::not_found);

    subject.commit({good, fresh});
    CHECK(subject.store.get("inc_1", {}).value().title == "changed");
    CHECK(subject.notification("msg_2").draft.incident_id == "inc_2");
}

TEMPLATE_TEST_CASE("only the current version can be changed, once", "", EVERY_STORE) {
    Subject<TestType> subject;
    Incident read = subject.add("inc_1");
    CHECK(subject.refusal({{.incident = sample_incident("inc_1", "other"), .notifications = {}}}) == Kind::conflict);

    read.title = "first";
    CHECK(subject.commit({{.incident = read, .notifications = {}}}).front().version == 2);
    read.title = "second";
    CHECK(subject.refusal({{.incident = read, .notifications = {}}}) == Kind::conflict);
    CHECK(subject.store.get("inc_1", {}).value().title == "first");
}

TEMPLATE_TEST_CASE("one fingerprint has one open incident", "", EVERY_STORE) {
    Subject<TestType> subject;
    Incident first = subject.commit({{.incident = sample_incident("inc_1", "f"), .notifications = {}}}).front();
    const IncidentWrite second{.incident = sample_incident("inc_2", "f", new_year + 1h), .notifications = {}};
    CHECK(subject.refusal({second}) == Kind::conflict);

    SECTION("one batch resolves the old one and opens the next") {
        first.state = IncidentState::resolved;
        subject.commit({{.incident = first, .notifications = {}}, second});
        CHECK(subject.latest("f")->id == "inc_2");

        first = subject.store.get("inc_1", {}).value();
        first.state = IncidentState::detected;
        CHECK(subject.refusal({{.incident = first, .notifications = {}}}) == Kind::conflict);
    }
    SECTION("not both in one batch") {
        CHECK(subject.refusal({{.incident = sample_incident("inc_3", "g"), .notifications = {}},
                               {.incident = sample_incident("inc_4", "g"), .notifications = {}}}) == Kind::conflict);
        CHECK(subject.latest("g") == std::nullopt);
    }
    SECTION("an open one may change") {
        first.state = IncidentState::investigating;
        subject.commit({{.incident = first, .notifications = {}}});
        CHECK(subject.store.get("inc_1", {}).value().state == IncidentState::investigating);
    }
}

TEMPLATE_TEST_CASE("the latest incident of a fingerprint is the open one, else the newest", "", EVERY_STORE) {
    Subject<TestType> subject;
    for (const auto& [id, age] : {std::pair{"inc_2", 1h}, {"inc_3", 3h}, {"inc_1", 2h}}) {
        Incident closed = sample_incident(id, "f", new_year - age);
        closed.state = IncidentState::closed;
        subject.commit({{.incident = closed, .notifications = {}}});
    }
    CHECK(subject.latest("f")->id == "inc_2");
    CHECK(subject.latest("f")->timeline.size() == 1);

    Incident oldest = subject.store.get("inc_3", {}).value();
    oldest.state = IncidentState::detected;
    subject.commit({{.incident = oldest}});
    CHECK(subject.latest("f")->id == "inc_3");
}

TEMPLATE_TEST_CASE("the latest of many fingerprints are read at once, and those without any are left out", "",
                   EVERY_STORE) {
    Subject<TestType> subject;
    for (int i = 0; i < 300; ++i) subject.add("inc_" + std::to_string(i));
    std::vector<std::string> asked{"none"};
    for (int i = 0; i < 300; i += 2) asked.push_back("fingerprint of inc_" + std::to_string(i));
    const auto found = subject.store.latest_by_fingerprints(asked, {}).value();
    CHECK(found.size() == 150);
    CHECK_FALSE(found.contains("none"));
    for (const auto& [fingerprint, incident] : found) CHECK(incident.fingerprint == fingerprint);
    CHECK(subject.store.latest_by_fingerprints({}, {}).value().empty());
}

TEMPLATE_TEST_CASE("a timeline grows by the events of each commit and is cut in its middle", "", EVERY_STORE) {
    Subject<TestType> subject;
    const auto event = [](int number) {
        return TimelineEvent{
            .at = new_year + 1s * number, .kind = "note", .actor = "ann", .detail = std::to_string(number)};
    };
    Incident incident = sample_incident("inc_1", "f");
    incident.timeline = {event(0)};
    incident = subject.commit({{.incident = incident}}).front();
    std::vector<TimelineEvent> expected{event(0)};
    for (int i = 1; i <= 40; ++i) {
        std::vector<TimelineEvent> more{event(i)};
        if (i % 7 == 0) more.push_back(event(1000 + i));
        expected.insert(expected.end(), more.begin(), more.end());
        truncate_timeline(expected, 30);
        incident = subject.commit({{.incident = incident, .events = more, .max_timeline = 30}}).front();
        REQUIRE(subject.store.get("inc_1", {}).value().timeline == expected);
    }
    const std::vector<TimelineEvent> latest{expected.end() - IncidentStore::latest_events, expected.end()};
    CHECK(subject.latest("f")->timeline == latest);
}

namespace {

Firings firings_until(WallTime end) {
    Firings firings;
    firings.all.push_back({.starts_at = new_year - 5min,
                           .first_seen = new_year - 4min,
                           .ends_at = std::nullopt,
                           .ended_at = new_year - 1min,
                           .reported_end = new_year - 1min,
                           .lifetime = 4min + 7us,
                           .dismissed = true});
    firings.all.push_back({.starts_at = new_year, .first_seen = new_year + 1s, .ends_at = end, .lifetime = 4min});
    firings.dismissed_until = new_year - 5min;
    return firings;
}

}  // namespace

TEMPLATE_TEST_CASE("firings come back as they were stored", "", EVERY_STORE) {
    Subject<TestType> subject;
    Incident incident = sample_incident("inc_1", "f");
    incident.firings = firings_until(new_year + 4min);
    incident.last_seen = new_year + 2s;
    incident.alert_count = 7;
    const auto stored = subject.commit({{.incident = incident}}).front();
    CHECK(subject.store.get("inc_1", {}).value() == stored);
    CHECK(subject.latest("f") == stored);
    CHECK(subject.store.list({}, {}).value().items.front().firings == incident.firings);
}

TEMPLATE_TEST_CASE("sightings change what repeats say, without a version, and only of the version that they are about",
                   "", EVERY_STORE) {
    Subject<TestType> subject;
    const Incident before = subject.add("inc_1");
    const Incident other = subject.add("inc_2");
    const auto firings = firings_until(new_year + 9min);
    const std::vector<Sighting> sightings{
        {.incident_id = "inc_1", .version = 1, .alert_count = 12, .last_seen = new_year + 5min, .firings = firings},
        {.incident_id = "inc_2", .version = 2, .alert_count = 12, .last_seen = new_year + 5min, .firings = firings},
        {.incident_id = "inc_3", .version = 1, .alert_count = 12, .last_seen = new_year + 5min, .firings = firings}};
    auto missed = subject.store.note_sightings(sightings, {}).value();
    std::ranges::sort(missed);
    CHECK(missed == Ids{"inc_2", "inc_3"});

    Incident expected = before;
    expected.alert_count = 12;
    expected.last_seen = new_year + 5min;
    expected.firings = firings;
    CHECK(subject.store.get("inc_1", {}).value() == expected);
    CHECK(subject.store.get("inc_2", {}).value() == other);
    CHECK(subject.store.note_sightings({}, {}).value().empty());
    subject.commit({{.incident = expected}});  // the version is the one before
}

TEMPLATE_TEST_CASE("open incidents are found by when they expire, the earliest first", "", EVERY_STORE) {
    Subject<TestType> subject;
    const auto add = [&](const std::string& id, std::optional<WallTime> end, IncidentState state) {
        Incident incident = sample_incident(id);
        incident.state = state;
        if (state == IncidentState::resolved) incident.resolved_at = new_year;
        incident.firings.all.push_back({.starts_at = new_year, .first_seen = new_year, .ends_at = end});
        subject.commit({{.incident = incident}});
    };
    add("late", new_year + 3min, IncidentState::detected);
    add("first", new_year + 1min, IncidentState::remediating);
    add("second", new_year + 2min, IncidentState::triaged);
    add("never", std::nullopt, IncidentState::detected);
    add("over", new_year + 1min, IncidentState::resolved);
    CHECK(subject.store.expiring(new_year + 1min - 1us, 10, {}).value().empty());
    CHECK(subject.store.expiring(new_year + 1min, 10, {}).value() == Ids{"first"});
    CHECK(subject.store.expiring(new_year + 1h, 10, {}).value() == Ids{"first", "second", "late"});
    CHECK(subject.store.expiring(new_year + 1h, 2, {}).value() == Ids{"first", "second"});

    Sighting later{.incident_id = "first", .version = 1, .alert_count = 2, .last_seen = new_year, .firings = {}};
    later.firings.all.push_back({.starts_at = new_year, .first_seen = new_year, .ends_at = new_year + 9min});
    CHECK(subject.store.note_sightings({&later, 1}, {}).value().empty());
    CHECK(subject.store.expiring(new_year + 3min, 10, {}).value() == Ids{"second", "late"});
}

TEMPLATE_TEST_CASE("resolved incidents are found by when they were resolved", "", EVERY_STORE) {
    Subject<TestType> subject;
    const auto add = [&](const std::string& id, IncidentState state, std::optional<WallTime> resolved_at) {
        Incident incident = sample_incident(id);
        incident.state = state;
        incident.resolved_at = resolved_at;
        subject.commit({{.incident = incident}});
    };
    add("open", IncidentState::detected, std::nullopt);
    add("closed", IncidentState::closed, new_year);
    add("second", IncidentState::resolved, new_year + 1h);
    add("first", IncidentState::resolved, new_year);
    CHECK(subject.store.resolved_before(new_year - 1us, 10, {}).value().empty());
    CHECK(subject.store.resolved_before(new_year, 10, {}).value() == Ids{"first"});
    CHECK(subject.store.resolved_before(new_year + 1h, 10, {}).value() == Ids{"first", "second"});
    CHECK(subject.store.resolved_before(new_year + 1h, 1, {}).value() == Ids{"first"});
}

TEMPLATE_TEST_CASE("history is dropped by its age, but nothing that is open or still to be delivered", "",
                   EVERY_STORE) {
    Subject<TestType> subject;
    const auto end = [&](Incident incident, WallTime at) {
        incident.state = IncidentState::resolved;
        incident.updated_at = at;
        incident.resolved_at = at;
        subject.commit({{.incident = incident}});
    };
    end(subject.add("old", {"hook"}), new_year);
    end(subject.add("waiting", {"pager"}), new_year);
    end(subject.add("young"), new_year + 2h);
    subject.add("open", {"hook"});
    for (const auto& row : subject.lease(new_year)) subject.settle(row, delivered(new_year));

    const PruneQuery nothing{.incidents_before = new_year, .notifications_before = new_year, .limit = 10};
    CHECK(subject.store.prune(nothing, {}).value() == PruneCounts{});
    PruneQuery query{.incidents_before = new_year + 1h, .notifications_before = new_year, .limit = 10};
    CHECK(subject.store.prune(query, {}).value() == PruneCounts{.incidents = 1, .notifications = 1});
    CHECK(subject.store.get("old", {}).error().kind == Kind::not_found);
    CHECK(subject.store.get_notification("old-hook", {}).error().kind == Kind::not_found);
    for (const auto* id : {"waiting", "young", "open"}) CHECK(subject.store.get(id, {}));
    CHECK(subject.latest("fingerprint of old") == std::nullopt);

    query.notifications_before = new_year + 1h;
    CHECK(subject.store.prune(query, {}).value() == PruneCounts{.incidents = 0, .notifications = 1});
    CHECK(subject.store.get_notification("open-hook", {}).error().kind == Kind::not_found);
    CHECK(subject.store.get_notification("waiting-pager", {}));
    CHECK(subject.store.prune(query, {}).value() == PruneCounts{});
}

TEMPLATE_TEST_CASE("history is dropped in small batches", "", EVERY_STORE) {
    Subject<TestType> subject;
    for (int i = 0; i < 7; ++i) {
        Incident incident = sample_incident("inc_" + std::to_string(i));
        incident.state = IncidentState::closed;
        subject.commit({{.incident = incident}});
    }
    const PruneQuery query{.incidents_before = new_year + 1h, .notifications_before = new_year + 1h, .limit = 3};
    for (const std::uint64_t dropped : {3U, 3U, 1U, 0U})
        CHECK(subject.store.prune(query, {}).value().incidents == dropped);
}

TEMPLATE_TEST_CASE("lists are newest first, without timelines", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_b", {}, new_year + 1s);
    subject.add("inc_c", {}, new_year);
    subject.add("inc_e", {}, new_year + 1s);
    subject.add("inc_a", {}, new_year + 1s);
    subject.add("inc_d", {}, new_year - 1s);
    const auto page = subject.store.list({}, {}).value();
    // Of one moment the one stored last comes first.
    CHECK(ids_of(page.items) == Ids{"inc_a", "inc_e", "inc_b", "inc_c", "inc_d"});
    CHECK(page.next_cursor == std::nullopt);
    CHECK(page.items.front().timeline.empty());
    CHECK(page.items.front().labels == sample_incident("", "").labels);
}

TEMPLATE_TEST_CASE("a page of very large incidents ends at 4 MiB, and the next one goes on", "", EVERY_STORE) {
    Subject<TestType> subject;
    for (int i = 0; i < 7; ++i) {
        Incident incident = sample_incident("inc_" + std::to_string(i), std::to_string(i), new_year + 1s * i);
        incident.annotations.clear();
        for (int a = 0; a < 64; ++a) incident.annotations["a" + std::to_string(a)] = std::string(16'384, 'x');
        subject.commit({{.incident = incident}});
    }
    IncidentQuery query;
    query.limit = 500;
    const auto first = subject.store.list(query, {}).value();
    CHECK(ids_of(first.items) == Ids{"inc_6", "inc_5", "inc_4", "inc_3"});
    query.cursor = first.next_cursor.value();
    const auto second = subject.store.list(query, {}).value();
    CHECK(ids_of(second.items) == Ids{"inc_2", "inc_1", "inc_0"});
    CHECK(second.next_cursor == std::nullopt);
}

TEMPLATE_TEST_CASE("paging shows each incident once while others are added", "", EVERY_STORE) {
    Subject<TestType> subject;
    for (int i = 0; i < 7; ++i) subject.add("old_" + std::to_string(i), {}, new_year + 1s * (i / 2));
    Ids seen;
    IncidentQuery query;
    query.limit = 3;
    for (int added = 0;; ++added) {
        const auto page = subject.store.list(query, {}).value();
        for (const auto& id : ids_of(page.items)) seen.push_back(id);
        if (!page.next_cursor) break;
        CHECK(page.items.size() == query.limit);
        query.cursor = *page.next_cursor;
        subject.add("new_" + std::to_string(added), {}, new_year + 1h);
    }
    CHECK(seen == Ids{"old_6", "old_5", "old_4", "old_3", "old_2", "old_1", "old_0"});
}

TEMPLATE_TEST_CASE("a page that ends with the list says so", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    subject.add("inc_2", {"hook"});
    CHECK(subject.store.list({.states = {}, .severities = {}, .labels = {}, .text = {}, .limit = 2, .cursor = {}}, {})
              .value()
              .next_cursor == std::nullopt);
    NotificationQuery query;
    query.limit = 2;
    CHECK(subject.store.list_notifications(query, {}).value().next_cursor == std::nullopt);
}

TEMPLATE_TEST_CASE("filters of a list narrow together", "", EVERY_STORE) {
    Subject<TestType> subject;
    Incident first = sample_incident("inc_1", "f1", new_year);
    first.title = "GPU memory EXHAUSTED 100%";
    first.severity = Severity::p0;
    first.labels = {{"team", "llm"}, {"zone", "a"}};
    Incident second = sample_incident("inc_2", "f2", new_year + 1s);
    second.title = "Disk is full";
    second.severity = Severity::p2;
    second.labels = {{"team", "llm"}, {"zone", "b"}, {R"(odd"na'me.$[0])", "x"}};
    Incident third = sample_incident("inc_3", "f3", new_year + 2s);
    third.title = "GPU fan stopped";
    third.state = IncidentState::resolved;
    third.labels = {{"team", "hardware"}};
    subject.commit({{.incident = first, .notifications = {}},
                    {.incident = second, .notifications = {}},
                    {.incident = third, .notifications = {}}});
    const auto ids = [&](IncidentQuery query) { return ids_of(subject.store.list(query, {}).value().items); };
    const auto query = [] { return IncidentQuery{}; };

    auto by_state = query();
    by_state.states = {IncidentState::resolved, IncidentState::closed};
    CHECK(ids(by_state) == Ids{"inc_3"});

    auto by_severity = query();
    by_severity.severities = {Severity::p0, Severity::p2};
    CHECK(ids(by_severity) == Ids{"inc_2", "inc_1"});

    auto by_label = query();
    by_label.labels = {{"team", "llm"}};
    CHECK(ids(by_label) == Ids{"inc_2", "inc_1"});
    by_label.labels["zone"] = "a";
    CHECK(ids(by_label) == Ids{"inc_1"});
    by_label.labels = {{R"(odd"na'me.$[0])", "x"}};
    CHECK(ids(by_label) == Ids{"inc_2"});
    by_label.labels = {{"team", ""}};
    CHECK(ids(by_label).empty());

    auto by_text = query();
    by_text.text = "gpu";
    CHECK(ids(by_text) == Ids{"inc_3", "inc_1"});
    by_text.text = "Exhausted 100%";
    CHECK(ids(by_text) == Ids{"inc_1"});
    by_text.text = "_";
    CHECK(ids(by_text).empty());

    auto all_together = query();
    all_together.states = {IncidentState::detected};
    all_together.severities = {Severity::p0, Severity::p1, Severity::p2};
    all_together.labels = {{"team", "llm"}};
    all_together.text = "s";
    all_together.limit = 1;
    CHECK(ids(all_together) == Ids{"inc_2"});
    all_together.cursor = subject.store.list(all_together, {}).value().next_cursor.value();
    CHECK(ids(all_together) == Ids{"inc_1"});
}

TEMPLATE_TEST_CASE("a bad cursor or limit is invalid", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook", "mail"}, new_year + 1s);
    subject.add("inc_2");
    IncidentQuery incidents;
    incidents.limit = 1;
    NotificationQuery notifications;
    notifications.limit = 1;
    const std::string incident_cursor = subject.store.list(incidents, {}).value().next_cursor.value();
    const std::string notification_cursor =
        subject.store.list_notifications(notifications, {}).value().next_cursor.value();

    for (const std::string& bad : Ids{"x", "i", "n", "i1", "i.inc_1", "n1x", "n-1", "i99999999999999999999.a",
                                      "n99999999999999999999", " " + incident_cursor, notification_cursor}) {
        CAPTURE(bad);
        incidents.cursor = bad;
        const auto refused = subject.store.list(incidents, {});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == Kind::invalid);
    }
    notifications.cursor = incident_cursor;
    CHECK(subject.store.list_notifications(notifications, {}).error().kind == Kind::invalid);

    for (const std::size_t bad : {0, 501}) {
        incidents = {};
        incidents.limit = bad;
        CHECK(subject.store.list(incidents, {}).error().kind == Kind::invalid);
        notifications = {};
        notifications.limit = bad;
        CHECK(subject.store.list_notifications(notifications, {}).error().kind == Kind::invalid);
    }
}

TEMPLATE_TEST_CASE("fifty labels can be filtered by, more are invalid", "", EVERY_STORE) {
    Subject<TestType> subject;
    IncidentQuery query;
    for (int i = 0; i < 50; ++i) query.labels["label" + std::to_string(i)] = "x";
    CHECK(subject.store.list(query, {}).has_value());
    query.labels["one more"] = "x";
    CHECK(subject.store.list(query, {}).error().kind == Kind::invalid);
}

TEMPLATE_TEST_CASE("a test write succeeds and leaves nothing behind", "", EVERY_STORE) {
    Subject<TestType> subject;
    REQUIRE(subject.store.check_writable({}));
    CHECK(subject.store.list({}, {}).value().items.empty());
    CHECK(subject.store.counts({}).value().empty());
}

TEMPLATE_TEST_CASE("a due row is leased once, oldest first, to its own destination", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook", "mail"});
    subject.add("inc_2", {"hook"}, new_year + 2s);
    subject.add("inc_3", {"hook"}, new_year + 1s);

    CHECK(subject.lease(new_year - 1us).empty());
    CHECK(subject.lease(new_year + 2s, 0).empty());
    const auto first = subject.lease(new_year + 2s, 2);
    CHECK(ids_of(first) == Ids{"inc_1-hook", "inc_2-hook"});
    CHECK(ids_of(subject.lease(new_year + 2s)) == Ids{"inc_3-hook"});
    CHECK(subject.lease(new_year + 2s).empty());
    CHECK(ids_of(subject.lease(new_year, 10, "mail")) == Ids{"inc_1-mail"});

    const Notification leased = subject.notification("inc_1-hook");
    CHECK(leased.state == NotificationState::leased);
    CHECK(leased.lease_until == new_year + 2s + 30s);
    CHECK(leased.lease_token == first.front().lease_token);
    CHECK_FALSE(leased.lease_token.empty());
    CHECK(first.front().draft.payload == sample_draft("", "inc_1").payload);
    CHECK(first.front().sequence < first.back().sequence);
}

TEMPLATE_TEST_CASE("an expired lease is taken over and its old holder cannot settle", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    const auto first = subject.lease(new_year);
    CHECK(subject.lease(new_year + 30s - 1us).empty());
    const auto second = subject.lease(new_year + 30s);
    REQUIRE(ids_of(second) == Ids{"inc_1-hook"});
    CHECK(second.front().lease_token != first.front().lease_token);
    CHECK(second.front().attempts == 0);

    const auto stale = subject.store.settle("inc_1-hook", first.front().lease_token, delivered(new_year), {});
    CHECK(stale.error().kind == Kind::conflict);
    CHECK(subject.notification("inc_1-hook").state == NotificationState::leased);
    subject.settle(second.front(), delivered(new_year + 31s));
    const auto again = subject.store.settle("inc_1-hook", second.front().lease_token, dead(new_year), {});
    CHECK(again.error().kind == Kind::conflict);
    CHECK(subject.store.settle("inc_1-hook", "", dead(new_year), {}).error().kind == Kind::conflict);
    CHECK(subject.notification("inc_1-hook").state == NotificationState::delivered);
}

TEMPLATE_TEST_CASE("a lease that has expired but was not taken over can still be settled", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    const auto leased = subject.lease(new_year);
    subject.settle(leased.front(), delivered(new_year + 1h));
    CHECK(subject.notification("inc_1-hook").state == NotificationState::delivered);
}

TEMPLATE_TEST_CASE("a resolve never overtakes its trigger", "", EVERY_STORE) {
    Subject<TestType> subject;
    const Incident open = subject.add("inc_1", {"hook", "mail"});
    Incident resolved = open;
    resolved.state = IncidentState::resolved;
    subject.commit({{.incident = resolved,
                     .notifications = {sample_draft("resolve-hook", "inc_1", "hook"),
                                       sample_draft("resolve-mail", "inc_1", "mail")}}});
    subject.add("inc_2", {"hook"});

    const auto leased = subject.lease(new_year);
    REQUIRE(ids_of(leased) == Ids{"inc_1-hook", "inc_2-hook"});
    CHECK(subject.lease(new_year).empty());

    SECTION("not while the trigger waits for its next attempt, however late the resolve is due") {
        subject.settle(leased.front(), retry(new_year, new_year + 1h));
        CHECK(subject.lease(new_year + 1min).size() == 1);  // the expired lease of the other incident
        CHECK(ids_of(subject.lease(new_year + 1h)) == Ids{"inc_1-hook", "inc_2-hook"});
    }
    SECTION("not while an expired lease of the trigger is taken over") {
        CHECK(ids_of(subject.lease(new_year + 30s)) == Ids{"inc_1-hook", "inc_2-hook"});
    }
    SECTION("after the delivery of the trigger") {
        subject.settle(leased.front(), delivered(new_year + 1s));
        CHECK(ids_of(subject.lease(new_year + 1s)) == Ids{"resolve-hook"});
    }
    SECTION("after the trigger has become a dead letter") {
        subject.settle(leased.front(), dead(new_year + 1s));
        CHECK(ids_of(subject.lease(new_year + 1s)) == Ids{"resolve-hook"});
    }
    SECTION("another destination goes its own way") {
        const auto mail = subject.lease(new_year, 10, "mail");
        REQUIRE(ids_of(mail) == Ids{"inc_1-mail"});
        subject.settle(mail.front(), delivered(new_year));
        CHECK(ids_of(subject.lease(new_year, 10, "mail")) == Ids{"resolve-mail"});
    }
}

TEMPLATE_TEST_CASE("a failed attempt is counted, logged and due again at its time", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    subject.settle(subject.lease(new_year).front(), retry(new_year + 1s, new_year + 10s));

    Notification row = subject.notification("inc_1-hook");
    CHECK(row.state == NotificationState::pending);
    CHECK(row.attempts == 1);
    CHECK(row.deferrals == 0);
    CHECK(row.next_attempt_at == new_year + 10s);
    CHECK(row.first_failed_at == new_year + 1s);
    CHECK(row.lease_token.empty());
    CHECK(row.lease_until == std::nullopt);
    REQUIRE(row.last_error);
    CHECK(row.last_error->next_move == NextMove::retry);
    CHECK(row.last_error->counts_as_failure);
    CHECK(row.last_error->error_class == "http_5xx");
    CHECK(row.last_error->message == "the server answered 503");
    CHECK(row.last_error->status == 503);
    CHECK(row.last_error->retry_after == 1500ms);
    CHECK_FALSE(row.last_error->disable_destination);
    REQUIRE(row.attempt_log.size() == 1);
    CHECK(row.attempt_log.front().at == new_year + 1s);
    CHECK(row.attempt_log.front().took == 7ms);
    CHECK_FALSE(row.attempt_log.front().delivered);
    CHECK(row.attempt_log.front().error_class == "http_5xx");
    CHECK(row.attempt_log.front().message == "the server answered 503");
    CHECK(row.attempt_log.front().status == 503);

    CHECK(subject.lease(new_year + 10s - 1us).empty());
    subject.settle(subject.lease(new_year + 10s).front(), retry(new_year + 11s, new_year + 20s));
    CHECK(subject.notification("inc_1-hook").first_failed_at == new_year + 1s);
    subject.settle(subject.lease(new_year + 20s).front(), delivered(new_year + 21s));
    row = subject.notification("inc_1-hook");
    CHECK(row.state == NotificationState::delivered);
    CHECK(row.attempts == 3);
    CHECK(row.delivered_at == new_year + 21s);
    CHECK(row.first_failed_at == std::nullopt);
    REQUIRE(row.attempt_log.size() == 3);
    CHECK(row.attempt_log.back().delivered);
    CHECK(row.attempt_log.back().error_class.empty());
    CHECK(row.attempt_log.back().took == 12ms);
    CHECK(subject.lease(new_year + 24h).empty());
}

TEMPLATE_TEST_CASE("a deferral burns no attempt", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    for (int i = 0; i < 3; ++i)
        subject.settle(subject.lease(new_year + 1s * i).front(), defer(new_year, new_year + 1s * (i + 1)));
    const Notification row = subject.notification("inc_1-hook");
    CHECK(row.state == NotificationState::pending);
    CHECK(row.attempts == 0);
    CHECK(row.deferrals == 3);
    CHECK(row.attempt_log.empty());
    CHECK(row.first_failed_at == std::nullopt);
    CHECK(row.next_attempt_at == new_year + 3s);
}

TEMPLATE_TEST_CASE("the attempt log keeps the last twenty", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    for (int i = 0; i < 23; ++i)
        subject.settle(subject.lease(new_year + 1s * i).front(), retry(new_year + 1s * i, new_year + 1s * (i + 1)));
    const Notification row = subject.notification("inc_1-hook");
    CHECK(row.attempts == 23);
    REQUIRE(row.attempt_log.size() == 20);
    CHECK(row.attempt_log.front().at == new_year + 3s);
    CHECK(row.attempt_log.back().at == new_year + 22s);
    CHECK(row.first_failed_at == new_year);
}

TEMPLATE_TEST_CASE("a dead letter goes out again under its own id", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    CHECK(subject.store.replay("inc_1-hook", new_year, {}).error().kind == Kind::invalid);
    subject.settle(subject.lease(new_year).front(), dead(new_year + 1s));
    CHECK(subject.notification("inc_1-hook").state == NotificationState::dead);
    CHECK(subject.lease(new_year + 24h).empty());

    const auto replayed = subject.store.replay("inc_1-hook", new_year + 1h, {});
    REQUIRE(replayed);
    CHECK(replayed->state == NotificationState::pending);
    CHECK(replayed->next_attempt_at == new_year + 1h);
    CHECK(replayed->first_failed_at == std::nullopt);
    CHECK(subject.store.replay("inc_1-hook", new_year + 1h, {}).error().kind == Kind::invalid);

    const auto leased = subject.lease(new_year + 1h);
    REQUIRE(ids_of(leased) == Ids{"inc_1-hook"});
    CHECK(leased.front().attempt_log.size() == 1);
    subject.settle(leased.front(), delivered(new_year + 1h));
    CHECK(subject.store.replay("inc_1-hook", new_year + 2h, {}).error().kind == Kind::invalid);
}

TEMPLATE_TEST_CASE("enqueueing the same notification twice stores it once", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    NotificationDraft fallback = sample_draft("msg_2", "inc_1", "mail");
    fallback.fallback_for = "inc_1-hook";
    REQUIRE(subject.store.enqueue(fallback, {}));
    subject.settle(subject.lease(new_year, 10, "mail").front(), delivered(new_year));
    REQUIRE(subject.store.enqueue(fallback, {}));
    CHECK(subject.notification("msg_2").state == NotificationState::delivered);
    CHECK(subject.notification("msg_2").draft.fallback_for == "inc_1-hook");
    CHECK(subject.lease(new_year, 10, "mail").empty());

    CHECK(subject.store.enqueue(sample_draft("msg_3", "inc_none"), {}).error().kind == Kind::invalid);
    CHECK(subject.store.enqueue(sample_draft("", "inc_1"), {}).error().kind == Kind::invalid);
    CHECK(subject.store.enqueue(sample_draft("msg_3", "inc_1", ""), {}).error().kind == Kind::invalid);
    CHECK(subject.store.counts({}).value().size() == 2);
}

TEMPLATE_TEST_CASE("the next due time is that of the first row that can go", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"}, new_year + 5s);
    CHECK(subject.next_due() == new_year + 5s);
    CHECK(subject.next_due("mail") == std::nullopt);
    subject.add("inc_2", {"hook"}, new_year + 3s);
    CHECK(subject.next_due() == new_year + 3s);

    const auto leased = subject.lease(new_year + 3s);
    CHECK(subject.next_due() == new_year + 5s);
    subject.settle(leased.front(), retry(new_year + 3s, new_year + 20s));
    const auto other = subject.lease(new_year + 5s);
    CHECK(subject.next_due() == new_year + 20s);
    // A row behind one that waits cannot go before that one, however early it is due.
    REQUIRE(subject.store.enqueue(sample_draft("later", "inc_2", "hook", new_year), {}));
    CHECK(subject.next_due() == new_year + 20s);
    subject.settle(other.front(), delivered(new_year + 6s));
    CHECK(subject.next_due() == new_year + 20s);
    subject.settle(subject.lease(new_year + 20s).front(), dead(new_year + 21s));
    CHECK(subject.next_due() == new_year);
    subject.settle(subject.lease(new_year + 21s).front(), delivered(new_year + 22s));
    CHECK(subject.next_due() == std::nullopt);
}

TEMPLATE_TEST_CASE("the end of a lease is a due time", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook"});
    subject.lease(new_year);
    CHECK(subject.next_due() == new_year + 30s);
}

TEMPLATE_TEST_CASE("incidents are counted by state", "", EVERY_STORE) {
    Subject<TestType> subject;
    CHECK(subject.store.incident_counts({}).value().empty());
    subject.add("inc_1");
    subject.add("inc_2");
    auto resolved = subject.add("inc_3");
    resolved.state = IncidentState::resolved;
    subject.commit({{.incident = resolved, .notifications = {}}});
    CHECK(subject.store.incident_counts({}).value() ==
          std::map<IncidentState, std::uint64_t>{{IncidentState::detected, 2}, {IncidentState::resolved, 1}});
}

TEMPLATE_TEST_CASE("counts are by destination and state", "", EVERY_STORE) {
    Subject<TestType> subject;
    for (const auto* id : {"inc_1", "inc_2", "inc_3", "inc_4"}) subject.add(id, {"hook", "mail"});
    const auto leased = subject.lease(new_year, 3);
    subject.settle(leased.at(0), delivered(new_year));
    subject.settle(leased.at(1), dead(new_year));
    const auto counts = subject.store.counts({}).value();
    CHECK(counts.at("hook") == std::map<NotificationState, std::uint64_t>{{NotificationState::pending, 1},
                                                                          {NotificationState::leased, 1},
                                                                          {NotificationState::delivered, 1},
                                                                          {NotificationState::dead, 1}});
    CHECK(counts.at("mail") == std::map<NotificationState, std::uint64_t>{{NotificationState::pending, 4}});
    CHECK(counts.size() == 2);
}

TEMPLATE_TEST_CASE("notifications are listed newest first, filtered and in pages", "", EVERY_STORE) {
    Subject<TestType> subject;
    subject.add("inc_1", {"hook", "mail"});
    subject.add("inc_2", {"hook", "mail"});
    subject.settle(subject.lease(new_year, 1).front(), dead(new_year));

    const auto ids = [&](NotificationQuery query) {
        return ids_of(subject.store.list_notifications(query, {}).value().items);
    };
    NotificationQuery query;
    CHECK(ids(query) == Ids{"inc_2-mail", "inc_2-hook", "inc_1-mail", "inc_1-hook"});
    query.state = NotificationState::dead;
    CHECK(ids(query) == Ids{"inc_1-hook"});
    query = {};
    query.incident_id = "inc_2";
    CHECK(ids(query) == Ids{"inc_2-mail", "inc_2-hook"});
    query.destination = "mail";
    CHECK(ids(query) == Ids{"inc_2-mail"});
    query.state = NotificationState::dead;
    CHECK(ids(query).empty());

    query = {};
    query.limit = 3;
    const auto first = subject.store.list_notifications(query, {}).value();
    CHECK(ids_of(first.items) == Ids{"inc_2-mail", "inc_2-hook", "inc_1-mail"});
    REQUIRE(first.next_cursor);
    subject.add("inc_3", {"hook"});
    query.cursor = *first.next_cursor;
    const auto second = subject.store.list_notifications(query, {}).value();
    CHECK(ids_of(second.items) == Ids{"inc_1-hook"});
    CHECK(second.next_cursor == std::nullopt);
}

TEMPLATE_TEST_CASE("of many threads that open one fingerprint one wins", "", EVERY_STORE) {
    Subject<TestType> subject;
    constexpr int rounds = 20;
    constexpr int racers = 8;
    std::atomic<int> won{0};
    std::atomic<int> lost{0};
    std::atomic<int> other{0};
    std::vector<std::jthread> threads;
    for (int racer = 0; racer < racers; ++racer) {
        threads.emplace_back([&, racer] {
            for (int round = 0; round < rounds; ++round) {
                const std::string id = std::to_string(round) + "-" + std::to_string(racer);
                const IncidentWrite write{.incident = sample_incident(id, "f" + std::to_string(round)),
                                          .notifications = {sample_draft("msg-" + id, id)}};
                const auto stored = subject.store.commit({&write, 1}, {});
                ++(stored ? won : stored.error().kind == Kind::conflict ? lost : other);
            }
        });
    }
    threads.clear();
    CHECK(won == rounds);
    CHECK(lost == rounds * (racers - 1));
    CHECK(other == 0);
    IncidentQuery query;
    query.limit = 500;
    CHECK(subject.store.list(query, {}).value().items.size() == rounds);
    CHECK(subject.store.counts({}).value().at("hook").at(NotificationState::pending) == rounds);
}

TEMPLATE_TEST_CASE("of many threads that lease no two get the same row", "", EVERY_STORE) {
    Subject<TestType> subject;
    constexpr std::size_t rows = 60;
    for (std::size_t i = 0; i < rows; ++i) subject.add("inc_" + std::to_string(i), {"hook"});
    std::mutex mutex;
    std::multiset<std::string> seen;
    std::vector<std::jthread> threads;
    for (int worker = 0; worker < 4; ++worker) {
        threads.emplace_back([&] {
            for (;;) {
                const auto leased = subject.store.lease("hook", new_year, 30s, 3, {});
                if (!leased || leased->empty()) return;
                for (const auto& row : *leased) {
                    if (!subject.store.settle(row.draft.id, row.lease_token, delivered(new_year), {})) return;
                    const std::lock_guard lock{mutex};
                    seen.insert(row.draft.id);
                }
            }
        });
    }
    threads.clear();
    CHECK(seen.size() == rows);
    CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == rows);
    CHECK(subject.store.counts({}).value().at("hook").at(NotificationState::delivered) == rows);
}

}  // namespace fusebox::test
