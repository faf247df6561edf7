// Files of older schemas, and files that are not to be touched.
#include <array>

#include "sqlite_file.hpp"
#include "support/catch.hpp"
#include "support/incident_samples.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using namespace incidents;
using namespace storage;
using Kind = StoreError::Kind;

namespace {

// Schema 1 as it was; never to be changed.
constexpr auto schema_1 = R"sql(
    PRAGMA application_id = 1718973285;
    PRAGMA user_version = 1;
    CREATE TABLE incidents (
        id TEXT PRIMARY KEY, title TEXT NOT NULL, state TEXT NOT NULL, severity TEXT NOT NULL, labels TEXT NOT NULL,
        annotations TEXT NOT NULL, source TEXT NOT NULL, fingerprint TEXT NOT NULL, created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL, alert_starts_at INTEGER NOT NULL, resolved_at INTEGER,
        alert_count INTEGER NOT NULL, version INTEGER NOT NULL, timeline TEXT NOT NULL
    ) STRICT;
    CREATE INDEX incidents_by_age ON incidents (created_at, id, state, severity);
    CREATE INDEX incidents_by_fingerprint ON incidents (fingerprint, created_at, id);
    CREATE UNIQUE INDEX incidents_open ON incidents (fingerprint) WHERE state NOT IN ('resolved', 'closed');
    INSERT INTO incidents VALUES ('inc_old', 'From before', 'triaged', 'P0', '{"team":"llm"}', '{}', 'prometheus', 'f',
        1767225600000000, 1767225601000000, 1767225599000000, NULL, 3, 2,
        '[{"at":1767225600000000,"kind":"created","actor":"system","detail":"fires"}]');
)sql";

// What schema 2 added, as it was; never to be changed.
constexpr auto schema_2_after_1 = R"sql(
    PRAGMA user_version = 2;
    CREATE TABLE outbox (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
        incident_id TEXT NOT NULL REFERENCES incidents (id), destination TEXT NOT NULL, kind TEXT NOT NULL,
        severity TEXT NOT NULL, payload TEXT NOT NULL, created_at INTEGER NOT NULL, fallback_for TEXT NOT NULL,
        state TEXT NOT NULL, attempts INTEGER NOT NULL, deferrals INTEGER NOT NULL, next_attempt_at INTEGER NOT NULL,
        delivered_at INTEGER, first_failed_at INTEGER, lease_token TEXT NOT NULL, lease_until INTEGER, last_error TEXT,
        attempt_log TEXT NOT NULL,
        due_at INTEGER AS (CASE state WHEN 'leased' THEN lease_until ELSE next_attempt_at END) VIRTUAL
    ) STRICT;
    CREATE INDEX outbox_waiting ON outbox (destination, sequence, due_at, incident_id)
        WHERE state IN ('pending', 'leased');
    CREATE INDEX outbox_due ON outbox (destination, due_at, sequence, incident_id)
        WHERE state IN ('pending', 'leased');
    CREATE INDEX outbox_by_incident ON outbox (incident_id, destination, state, sequence);
    CREATE INDEX outbox_by_state ON outbox (state, sequence);
    CREATE INDEX outbox_by_destination ON outbox (destination, state);
    CREATE TABLE write_test (content BLOB NOT NULL) STRICT;
    INSERT INTO incidents SELECT 'inc_untold', title, state, severity, labels, annotations, source, 'f2', created_at,
        updated_at, alert_starts_at, resolved_at, alert_count, version, timeline FROM incidents;
    INSERT INTO outbox (id, incident_id, destination, kind, severity, payload, created_at, fallback_for, state,
        attempts, deferrals, next_attempt_at, lease_token, attempt_log)
    VALUES
        ('msg_1', 'inc_old', 'pager', 'incident.triggered', 'P0', '{}', 1, '', 'delivered', 1, 0, 1, '', '[]'),
        ('msg_2', 'inc_old', 'hook', 'incident.triggered', 'P0', '{}', 1, '', 'pending', 0, 0, 1, '', '[]'),
        ('msg_3', 'inc_old', 'mail', 'incident.triggered', 'P0', '{}', 1, 'msg_2', 'pending', 0, 0, 1, '', '[]'),
        ('msg_4', 'inc_old', 'hook', 'incident.updated', 'P0', '{}', 1, '', 'pending', 0, 0, 1, '', '[]');
)sql";

// What schema 3 added, as it was; never to be changed. Beside it, what a store of that time had written.
constexpr auto schema_3_after_2 = R"sql(
    PRAGMA user_version = 3;
    ALTER TABLE incidents ADD COLUMN notified TEXT NOT NULL DEFAULT '[]';
    UPDATE incidents SET notified = '["pager","hook"]', timeline =
        '[{"at":1767225600000000,"kind":"created","actor":"alert:prometheus","detail":"fires"},' ||
        '{"at":1767225601000000,"kind":"note","actor":"Ann","detail":"looks \"odd\" — sehr"}]' WHERE id = 'inc_old';
    UPDATE incidents SET state = 'resolved', resolved_at = 1767225602000000, updated_at = 1767225603000000,
        severity = 'P3', labels = '{"team":"llm","zone":"a"}', timeline = '[]' WHERE id = 'inc_untold';
    UPDATE outbox SET payload = '{"id":"inc_old"}', delivered_at = 1767225604000000, attempt_log =
        '[{"at":1767225604000000,"class":"","delivered":true,"message":"","status":null,"took_ms":7}]'
        WHERE id = 'msg_1';
    UPDATE outbox SET state = 'leased', lease_token = 'lease_1', lease_until = 1767225630000000 WHERE id = 'msg_2';
    UPDATE outbox SET state = 'dead', attempts = 1, last_error =
        '{"class":"http_4xx","counts_as_failure":false,"disable_destination":false,"message":"410",' ||
        '"next_move":"give_up","retry_after_ms":null,"status":410}', attempt_log =
        '[{"at":1767225605000000,"class":"http_4xx","delivered":false,"message":"410","status":410,"took_ms":9}]'
        WHERE id = 'msg_3';
)sql";

std::string schema_3() { return std::string{schema_1} + schema_2_after_1 + schema_3_after_2; }

}  // namespace

TEST_CASE("an older schema is brought up to date with its data") {
    const SqliteFile file;
    Sqlite{file.path()}.execute(schema_1);
    {
        const auto store = file.open();
        const Incident old = store->get("inc_old", {}).value();
        CHECK(old.title == "From before");
        CHECK(old.state == IncidentState::triaged);
        CHECK(old.version == 2);
        CHECK(old.created_at == new_year);
        CHECK(old.timeline.size() == 1);
        CHECK(store->enqueue(sample_draft("msg_1", "inc_old"), {}));
        CHECK(store->lease("hook", new_year, 30s, 1, {}).value().size() == 1);
    }
    CHECK(Sqlite{file.path()}.value("PRAGMA user_version") == "5");
    CHECK(file.open()->get("inc_old", {}));
}

TEST_CASE("from schema 2 on it is known who was told, and what was told before is found in the outbox") {
    const SqliteFile file;
    Sqlite{file.path()}.execute(std::string{schema_1} + schema_2_after_1);
    {
        const auto store = file.open();
        Incident told = store->get("inc_old", {}).value();
        // First told first, each once, and a fallback only stood in.
        CHECK(told.notified == std::vector<std::string>{"pager", "hook"});
        CHECK(told.timeline.size() == 1);
        CHECK(store->get("inc_untold", {}).value().notified.empty());
        CHECK(store->get_notification("msg_1", {}).value().draft.destination == "pager");
        told.notified.emplace_back("mail");
        const IncidentWrite write{.incident = told, .notifications = {}};
        CHECK(store->commit({&write, 1}, {}));
    }
    CHECK(Sqlite{file.path()}.value("PRAGMA user_version") == "5");
    CHECK(file.open()->get("inc_old", {}).value().notified == std::vector<std::string>{"pager", "hook", "mail"});
}

TEST_CASE("a schema step that fails leaves the file at the step before") {
    const SqliteFile file;
    Sqlite{file.path()}.execute(std::string{schema_1} + "CREATE TABLE write_test (something_else TEXT)");
    CHECK(file.refusal().message.find("write_test") != std::string::npos);
    Sqlite after{file.path()};
    CHECK(after.value("PRAGMA user_version") == "1");
    CHECK(after.value("SELECT count(*) FROM sqlite_schema WHERE name = 'outbox'") == "0");
    after.execute("DROP TABLE write_test");
    CHECK(file.open()->get("inc_old", {}));
}

TEST_CASE("a newer schema and another program's database are refused and left as they are") {
    const SqliteFile file;
    SECTION("newer") {
        Sqlite{file.path()}.execute(std::string{schema_1} + "PRAGMA user_version = 99");
        const auto refused = file.refusal();
        CHECK(refused.kind == Kind::invalid);
        CHECK(refused.message.find("99") != std::string::npos);
        CHECK(Sqlite{file.path()}.value("PRAGMA user_version") == "99");
    }
    SECTION("another program's") {
        Sqlite{file.path()}.execute("CREATE TABLE songs (name TEXT)");
        const auto refused = file.refusal();
        CHECK(refused.kind == Kind::invalid);
        CHECK(refused.message.find("another program") != std::string::npos);
        CHECK(Sqlite{file.path()}.value("SELECT count(*) FROM sqlite_schema") == "1");
    }
    CHECK(Sqlite{file.path()}.value("PRAGMA journal_mode") == "delete");
}

TEST_CASE("from schema 4 on repeats, timelines and labels stand apart, and all that was stored before is there") {
    const SqliteFile file;
    Sqlite{file.path()}.execute(schema_3());
    const auto store = file.open();

    const Incident open = store->get("inc_old", {}).value();
    CHECK(open.title == "From before");
    CHECK(open.state == IncidentState::triaged);
    CHECK(open.severity == Severity::p0);
    CHECK(open.labels == Labels{{"team", "llm"}});
    CHECK(open.notified == std::vector<std::string>{"pager", "hook"});
    CHECK(open.created_at == new_year);
    CHECK(open.updated_at == new_year + 1s);
    CHECK(open.last_seen == new_year + 1s);
    CHECK(open.alert_count == 3);
    CHECK(open.version == 2);
    REQUIRE(open.timeline.size() == 2);
    CHECK(open.timeline.at(1) ==
          TimelineEvent{.at = new_year + 1s, .kind = "note", .actor = "Ann", .detail = "looks \"odd\" — sehr"});
    // Nobody vouched for it, so nothing but a message or a person ends it.
    REQUIRE(open.firings.all.size() == 1);
    CHECK(open.firings.all.front().starts_at == open.alert_starts_at);
    CHECK(open.firings.all.front().active());
    CHECK_FALSE(open.firings.expires_at());
    CHECK(store->expiring(new_year + 24h * 365, 10, {}).value().empty());

    const Incident resolved = store->get("inc_untold", {}).value();
    CHECK(resolved.state == IncidentState::resolved);
    CHECK(resolved.timeline.empty());
    REQUIRE(resolved.firings.all.size() == 1);
    CHECK(resolved.firings.all.front().ended_at == new_year + 2s);
    CHECK(resolved.firings.all.front().reported_end == new_year + 2s);
    CHECK(resolved.firings.all.front().dismissed);
    CHECK(resolved.firings.dismissed_until == resolved.alert_starts_at);
    CHECK(store->resolved_before(new_year + 2s, 10, {}).value() == std::vector<std::string>{"inc_untold"});
    CHECK(store->resolved_before(new_year + 2s - 1us, 10, {}).value().empty());

    const std::array fingerprints{std::string{"f"}, std::string{"f2"}};
    const auto latest = store->latest_by_fingerprints(fingerprints, {}).value();
    CHECK(latest.at("f").id == "inc_old");
    CHECK(latest.at("f2").id == "inc_untold");
    IncidentQuery in_zone;
    in_zone.labels = {{"team", "llm"}, {"zone", "a"}};
    REQUIRE(store->list(in_zone, {}).value().items.size() == 1);
    CHECK(store->list(in_zone, {}).value().items.front().id == "inc_untold");
    CHECK(store->incident_counts({}).value() ==
          std::map<IncidentState, std::uint64_t>{{IncidentState::triaged, 1}, {IncidentState::resolved, 1}});

    const auto sent = store->get_notification("msg_1", {}).value();
    CHECK(sent.draft.payload == R"({"id":"inc_old"})");
    CHECK(sent.draft.incident_id == "inc_old");
    CHECK(sent.state == NotificationState::delivered);
    CHECK(sent.delivered_at == new_year + 4s);
    CHECK(sent.sequence == 1);
    REQUIRE(sent.attempt_log.size() == 1);
    CHECK(sent.attempt_log.front().took == 7ms);
    const auto held = store->get_notification("msg_2", {}).value();
    CHECK(held.state == NotificationState::leased);
    CHECK(held.lease_until == new_year + 30s);
    CHECK(store->next_due("hook", {}).value() == new_year + 30s);
    CHECK(store->get_notification("msg_3", {}).value().last_error->status == 410);
    const auto counts = store->counts({}).value();
    CHECK(counts.at("pager").at(NotificationState::delivered) == 1);
    CHECK(counts.at("hook").at(NotificationState::leased) == 1);
    CHECK(counts.at("hook").at(NotificationState::pending) == 1);
    CHECK(counts.at("mail").at(NotificationState::dead) == 1);

    // The times at which rows ended are known, too.
    const PruneQuery late{.incidents_before = new_year, .notifications_before = new_year + 5s, .limit = 10};
    CHECK(store->prune(late, {}).value() == PruneCounts{.incidents = 0, .notifications = 1});
    CHECK(store->get_notification("msg_1", {}).error().kind == Kind::not_found);

    // What comes after goes on from there.
    CHECK(store->settle("msg_2", "lease_1", {.kind = DeliveryResult::Kind::delivered, .at = new_year + 6s}, {}));
    Incident next = open;
    next.state = IncidentState::resolved;
    const IncidentWrite write{.incident = next,
                              .events = {{.at = new_year + 7s, .kind = "resolved", .actor = "Ann", .detail = "done"}},
                              .notifications = {sample_draft("msg_5", "inc_old", "hook", new_year + 7s)}};
    REQUIRE(store->commit({&write, 1}, {}));
    CHECK(store->get("inc_old", {}).value().timeline.size() == 3);
    CHECK(store->get_notification("msg_5", {}).value().sequence > 4);
    CHECK(Sqlite{file.path()}.value("PRAGMA integrity_check") == "ok");
}

TEST_CASE("what an upgrade did is told, and a new file or a current one has nothing to tell") {
    const SqliteFile file;
    SECTION("an old file") {
        Sqlite{file.path()}.execute(schema_3());
        const auto told = file.open()->upgrades();
        REQUIRE(told.size() == 3);
        CHECK(told.front().find("schema 4") != std::string::npos);
        CHECK(told.back().find("shrink") != std::string::npos);
    }
    SECTION("a new file") { CHECK(file.open()->upgrades().empty()); }
    CHECK(file.open()->upgrades().empty());
    CHECK(Sqlite{file.path()}.value("PRAGMA auto_vacuum") == "2");
}

TEST_CASE("after the upgrade from schema 4, which counted by triggers, new rows are counted once") {
    const SqliteFile file;
    static_cast<void>(file.open());
    Sqlite{file.path()}.execute(
        "CREATE TRIGGER incident_counts_insert AFTER INSERT ON incidents BEGIN"
        " INSERT INTO incident_counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET incidents = incidents + "
        "1;"
        "END;"
        "CREATE TRIGGER outbox_counts_insert AFTER INSERT ON outbox BEGIN"
        " INSERT INTO outbox_counts VALUES (NEW.destination, NEW.state, 1)"
        "  ON CONFLICT (destination, state) DO UPDATE SET notifications = notifications + 1;"
        "END;"
        "PRAGMA user_version = 4");
    const auto store = file.open();
    const IncidentWrite write{.incident = sample_incident("inc_1"),
                              .events = {},
                              .notifications = {sample_draft("msg_1", "inc_1", "hook", new_year)}};
    REQUIRE(store->commit({&write, 1}, {}));
    REQUIRE(store->enqueue(sample_draft("msg_2", "inc_1", "hook", new_year), {}));
    CHECK(store->incident_counts({}).value() == std::map<IncidentState, std::uint64_t>{{IncidentState::detected, 1}});
    CHECK(store->counts({}).value().at("hook") ==
          std::map<NotificationState, std::uint64_t>{{NotificationState::pending, 2}});
}

TEST_CASE("a row that could not be read before the upgrade cannot be read after it, and stops nothing else") {
    const SqliteFile file;
    Sqlite{file.path()}.execute(schema_3() +
                                "UPDATE incidents SET state = 'confused', timeline = '[{' WHERE id = 'inc_old';"
                                "UPDATE outbox SET attempt_log = '[{' WHERE id = 'msg_3'");
    const auto store = file.open();
    CHECK(store->get("inc_old", {}).error().kind == Kind::corrupt);
    CHECK(store->get_notification("msg_3", {}).error().kind == Kind::corrupt);
    CHECK(store->get("inc_untold", {}));
    CHECK(store->list({}, {}).value().items.size() == 1);
    CHECK(add(*store, "inc_new"));
}

}  // namespace fusebox::test
