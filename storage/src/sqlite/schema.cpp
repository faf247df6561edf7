#include "sqlite/schema.hpp"

#include <array>
#include <string>
#include <string_view>

namespace fusebox::storage::sqlite {

using Kind = incidents::StoreError::Kind;

namespace {

/// "fuse" in ASCII: marks the file as ours (`PRAGMA application_id`).
constexpr std::int64_t application_id = 0x66757365;

struct Step {
    std::string_view what;  ///< for the log, where the step changes a file that has data
    const char* sql;
};

// Step N makes schema N out of schema N - 1. A step that was released is never changed. Times are microseconds since
// 1970 in UTC. Up to schema 3 states and severities are the words of the API, from schema 4 on the numbers of the
// enumerations.
constexpr std::array steps{
    // 1: incidents. Labels are what list filters look at; the timeline is only read with a single incident.
    Step{"incidents", R"sql(
    CREATE TABLE incidents (
        id              TEXT PRIMARY KEY,
        title           TEXT NOT NULL,
        state           TEXT NOT NULL,
        severity        TEXT NOT NULL,
        labels          TEXT NOT NULL,     -- JSON object
        annotations     TEXT NOT NULL,     -- JSON object
        source          TEXT NOT NULL,
        fingerprint     TEXT NOT NULL,
        created_at      INTEGER NOT NULL,
        updated_at      INTEGER NOT NULL,
        alert_starts_at INTEGER NOT NULL,
        resolved_at     INTEGER,
        alert_count     INTEGER NOT NULL,
        version         INTEGER NOT NULL,
        timeline        TEXT NOT NULL      -- JSON array, oldest first
    ) STRICT;
    CREATE INDEX incidents_by_age ON incidents (created_at, id, state, severity);
    CREATE INDEX incidents_by_fingerprint ON incidents (fingerprint, created_at, id);
    CREATE UNIQUE INDEX incidents_open ON incidents (fingerprint) WHERE state NOT IN ('resolved', 'closed');
    )sql"},
    // 2: the outbox, and a table in which a test write leaves nothing behind.
    Step{"the outbox of notifications", R"sql(
    CREATE TABLE outbox (
        sequence        INTEGER PRIMARY KEY AUTOINCREMENT,
        id              TEXT NOT NULL UNIQUE,
        incident_id     TEXT NOT NULL REFERENCES incidents (id),
        destination     TEXT NOT NULL,
        kind            TEXT NOT NULL,
        severity        TEXT NOT NULL,
        payload         TEXT NOT NULL,
        created_at      INTEGER NOT NULL,
        fallback_for    TEXT NOT NULL,
        state           TEXT NOT NULL,
        attempts        INTEGER NOT NULL,
        deferrals       INTEGER NOT NULL,
        next_attempt_at INTEGER NOT NULL,
        delivered_at    INTEGER,
        first_failed_at INTEGER,
        lease_token     TEXT NOT NULL,
        lease_until     INTEGER,
        last_error      TEXT,              -- JSON object
        attempt_log     TEXT NOT NULL,     -- JSON array, oldest first
        due_at          INTEGER AS (CASE state WHEN 'leased' THEN lease_until ELSE next_attempt_at END) VIRTUAL
    ) STRICT;
    CREATE INDEX outbox_waiting ON outbox (destination, sequence, due_at, incident_id)
        WHERE state IN ('pending', 'leased');
    CREATE INDEX outbox_due ON outbox (destination, due_at, sequence, incident_id)
        WHERE state IN ('pending', 'leased');
    CREATE INDEX outbox_by_incident ON outbox (incident_id, destination, state, sequence);
    CREATE INDEX outbox_by_state ON outbox (state, sequence);
    CREATE INDEX outbox_by_destination ON outbox (destination, state);
    CREATE TABLE write_test (content BLOB NOT NULL) STRICT;
    )sql"},
    // 3: the destinations that were told of an incident. For incidents stored before, the outbox says which they are.
    Step{"who was told of an incident", R"sql(
    ALTER TABLE incidents ADD COLUMN notified TEXT NOT NULL DEFAULT '[]';  -- JSON array, first told first
    UPDATE incidents SET notified = (
        SELECT json_group_array(destination) FROM (
            SELECT destination FROM outbox WHERE incident_id = incidents.id AND fallback_for = ''
            GROUP BY destination ORDER BY min(sequence)));
    )sql"},
    // 4: what is written often stands apart from what is written seldom. Repeats change `sightings` alone; the timeline
    // and the outbox grow and rewrite nothing that is wide; what a list filters by is indexed; counts are kept. Tables
    // refer to an incident by its key. A word that no store writes becomes -1, and its row is corrupt as before.
    Step{"timelines, sightings, labels and counts in tables of their own", R"sql(
    DROP INDEX incidents_by_age;
    DROP INDEX incidents_by_fingerprint;
    DROP INDEX incidents_open;
    DROP INDEX outbox_waiting;
    DROP INDEX outbox_due;
    DROP INDEX outbox_by_state;
    DROP INDEX outbox_by_destination;
    ALTER TABLE incidents RENAME TO incidents_3;
    ALTER TABLE outbox RENAME TO outbox_3;

    CREATE TABLE incidents (
        key             INTEGER PRIMARY KEY,  -- in the order of storing
        id              TEXT NOT NULL UNIQUE,
        fingerprint     TEXT NOT NULL,
        state           INTEGER NOT NULL,     -- 0 detected … 3 remediating, 4 resolved, 5 closed
        severity        INTEGER NOT NULL,     -- 0 is P0 … 4 is P4
        created_at      INTEGER NOT NULL,
        updated_at      INTEGER NOT NULL,
        alert_starts_at INTEGER NOT NULL,
        resolved_at     INTEGER,
        version         INTEGER NOT NULL,
        title           TEXT NOT NULL,
        source          TEXT NOT NULL,
        labels          TEXT NOT NULL,        -- JSON object
        annotations     TEXT NOT NULL,        -- JSON object
        notified        TEXT NOT NULL         -- JSON array, first told first
    ) STRICT;
    INSERT INTO incidents (id, fingerprint, state, severity, created_at, updated_at, alert_starts_at, resolved_at,
                           version, title, source, labels, annotations, notified)
    SELECT id, fingerprint,
           CASE state WHEN 'detected' THEN 0 WHEN 'triaged' THEN 1 WHEN 'investigating' THEN 2
                      WHEN 'remediating' THEN 3 WHEN 'resolved' THEN 4 WHEN 'closed' THEN 5 ELSE -1 END,
           CASE severity WHEN 'P0' THEN 0 WHEN 'P1' THEN 1 WHEN 'P2' THEN 2 WHEN 'P3' THEN 3 WHEN 'P4' THEN 4
                         ELSE -1 END,
           created_at, updated_at, alert_starts_at, resolved_at, version, title, source, labels, annotations, notified
    FROM incidents_3 ORDER BY created_at, id;
    CREATE UNIQUE INDEX incidents_open ON incidents (fingerprint) WHERE state < 4;
    CREATE INDEX incidents_ended ON incidents (fingerprint, created_at) WHERE state >= 4;
    CREATE INDEX incidents_by_state ON incidents (state, severity, created_at);
    CREATE INDEX incidents_by_end ON incidents (updated_at) WHERE state >= 4;
    CREATE INDEX incidents_resolved ON incidents (resolved_at) WHERE state = 4;

    CREATE TABLE sightings (
        incident    INTEGER PRIMARY KEY,
        alert_count INTEGER NOT NULL,
        last_seen   INTEGER NOT NULL,
        expires_at  INTEGER,                  -- of an open incident whose firings all have an end
        firings     TEXT NOT NULL             -- JSON array of numbers
    ) STRICT;
    INSERT INTO sightings
    SELECT row.key, old.alert_count, old.updated_at, NULL,
           CASE WHEN row.state < 4
                THEN json_array(NULL, json_array(old.alert_starts_at, old.created_at, NULL, NULL, NULL, 0, 0))
                ELSE json_array(old.alert_starts_at,
                                json_array(old.alert_starts_at, old.created_at, NULL,
                                           coalesce(old.resolved_at, old.updated_at),
                                           coalesce(old.resolved_at, old.updated_at), 0, 1)) END
    FROM incidents AS row JOIN incidents_3 AS old ON old.id = row.id ORDER BY row.key;
    CREATE INDEX sightings_by_expiry ON sightings (expires_at) WHERE expires_at IS NOT NULL;

    CREATE TABLE timeline (
        incident INTEGER NOT NULL,
        number   INTEGER NOT NULL,            -- 0, then a run without gaps
        at       INTEGER NOT NULL,
        kind     TEXT NOT NULL,
        actor    TEXT NOT NULL,
        detail   TEXT NOT NULL,
        PRIMARY KEY (incident, number)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO timeline
    SELECT row.key, event.key, event.value ->> 'at', event.value ->> 'kind', event.value ->> 'actor',
           event.value ->> 'detail'
    FROM incidents AS row JOIN incidents_3 AS old ON old.id = row.id,
         json_each(CASE WHEN json_valid(old.timeline) THEN old.timeline ELSE '[]' END) AS event;
    INSERT INTO timeline
    SELECT row.key, 0, row.updated_at, 'note', 'system', 'the events until now could not be read and were dropped'
    FROM incidents AS row JOIN incidents_3 AS old ON old.id = row.id WHERE NOT json_valid(old.timeline);

    CREATE TABLE incident_labels (
        label      INTEGER NOT NULL,          -- label_hash
        created_at INTEGER NOT NULL,
        incident   INTEGER NOT NULL,
        PRIMARY KEY (label, created_at, incident)
    ) STRICT, WITHOUT ROWID;
    INSERT OR IGNORE INTO incident_labels
    SELECT label_hash(label.key, label.value), row.created_at, row.key
    FROM incidents AS row, json_each(CASE WHEN json_valid(row.labels) THEN row.labels ELSE '{}' END) AS label;

    CREATE TABLE outbox (
        sequence        INTEGER PRIMARY KEY,
        id              TEXT NOT NULL UNIQUE,
        incident        INTEGER NOT NULL,
        incident_id     TEXT NOT NULL,
        destination     TEXT NOT NULL,
        kind            TEXT NOT NULL,
        severity        INTEGER NOT NULL,
        state           INTEGER NOT NULL,     -- 0 pending, 1 leased, 2 delivered, 3 dead
        attempts        INTEGER NOT NULL,
        deferrals       INTEGER NOT NULL,
        created_at      INTEGER NOT NULL,
        next_attempt_at INTEGER NOT NULL,
        delivered_at    INTEGER,
        ended_at        INTEGER,              -- of a row that is delivered or dead
        first_failed_at INTEGER,
        lease_until     INTEGER,
        lease_token     TEXT NOT NULL,
        fallback_for    TEXT NOT NULL,
        last_error      TEXT,                 -- JSON object
        attempt_log     TEXT NOT NULL,        -- JSON array, oldest first
        due_at          INTEGER AS (CASE state WHEN 1 THEN lease_until ELSE next_attempt_at END) VIRTUAL
    ) STRICT;
    CREATE TABLE outbox_payloads (sequence INTEGER PRIMARY KEY, payload TEXT NOT NULL) STRICT;
    INSERT INTO outbox (sequence, id, incident, incident_id, destination, kind, severity, state, attempts, deferrals,
                        created_at, next_attempt_at, delivered_at, ended_at, first_failed_at, lease_until, lease_token,
                        fallback_for, last_error, attempt_log)
    SELECT old.sequence, old.id, row.key, old.incident_id, old.destination, old.kind,
           CASE old.severity WHEN 'P0' THEN 0 WHEN 'P1' THEN 1 WHEN 'P2' THEN 2 WHEN 'P3' THEN 3 WHEN 'P4' THEN 4
                             ELSE -1 END,
           CASE old.state WHEN 'pending' THEN 0 WHEN 'leased' THEN 1 WHEN 'delivered' THEN 2 WHEN 'dead' THEN 3
                          ELSE -1 END,
           old.attempts, old.deferrals, old.created_at, old.next_attempt_at, old.delivered_at,
           CASE WHEN old.state IN ('delivered', 'dead')
                THEN coalesce(old.delivered_at,
                              CASE WHEN json_valid(old.attempt_log) THEN old.attempt_log ->> '$[#-1].at' END,
                              old.created_at) END,
           old.first_failed_at, old.lease_until, old.lease_token, old.fallback_for, old.last_error, old.attempt_log
    FROM outbox_3 AS old JOIN incidents AS row ON row.id = old.incident_id ORDER BY old.sequence;
    INSERT INTO outbox_payloads SELECT sequence, payload FROM outbox_3 ORDER BY sequence;
    DROP TABLE outbox_3;
    DROP TABLE incidents_3;
    CREATE INDEX outbox_waiting ON outbox (destination, sequence, due_at, incident, state) WHERE state < 2;
    CREATE INDEX outbox_due ON outbox (destination, due_at, sequence, incident) WHERE state < 2;
    CREATE INDEX outbox_by_incident ON outbox (incident, destination, state);
    CREATE INDEX outbox_dead ON outbox (destination) WHERE state = 3;
    CREATE INDEX outbox_ended ON outbox (ended_at) WHERE ended_at IS NOT NULL;

    CREATE TABLE incident_counts (state INTEGER PRIMARY KEY, incidents INTEGER NOT NULL) STRICT;
    INSERT INTO incident_counts SELECT state, count(*) FROM incidents GROUP BY state;
    CREATE TRIGGER incident_counts_insert AFTER INSERT ON incidents BEGIN
        INSERT INTO incident_counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET incidents = incidents + 1;
    END;
    CREATE TRIGGER incident_counts_update AFTER UPDATE OF state ON incidents WHEN NEW.state <> OLD.state BEGIN
        UPDATE incident_counts SET incidents = incidents - 1 WHERE state = OLD.state;
        INSERT INTO incident_counts VALUES (NEW.state, 1) ON CONFLICT (state) DO UPDATE SET incidents = incidents + 1;
    END;
    CREATE TRIGGER incident_counts_delete AFTER DELETE ON incidents BEGIN
        UPDATE incident_counts SET incidents = incidents - 1 WHERE state = OLD.state;
    END;

    CREATE TABLE outbox_counts (
        destination   TEXT NOT NULL,
        state         INTEGER NOT NULL,
        notifications INTEGER NOT NULL,
        PRIMARY KEY (destination, state)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO outbox_counts SELECT destination, state, count(*) FROM outbox GROUP BY destination, state;
    CREATE TRIGGER outbox_counts_insert AFTER INSERT ON outbox BEGIN
        INSERT INTO outbox_counts VALUES (NEW.destination, NEW.state, 1)
            ON CONFLICT (destination, state) DO UPDATE SET notifications = notifications + 1;
    END;
    CREATE TRIGGER outbox_counts_update AFTER UPDATE OF state ON outbox WHEN NEW.state <> OLD.state BEGIN
        UPDATE outbox_counts SET notifications = notifications - 1
            WHERE destination = OLD.destination AND state = OLD.state;
        INSERT INTO outbox_counts VALUES (NEW.destination, NEW.state, 1)
            ON CONFLICT (destination, state) DO UPDATE SET notifications = notifications + 1;
    END;
    CREATE TRIGGER outbox_counts_delete AFTER DELETE ON outbox BEGIN
        UPDATE outbox_counts SET notifications = notifications - 1
            WHERE destination = OLD.destination AND state = OLD.state;
    END;
    )sql"},
    // 5: NewRows counts new rows, once per request.
    Step{"new rows counted together", R"sql(
    DROP TRIGGER incident_counts_insert;
    DROP TRIGGER outbox_counts_insert;
    )sql"},
};

}  // namespace

std::int64_t newest_schema() noexcept { return static_cast<std::int64_t>(steps.size()); }

void check_owner(Connection& connection) {
    if (connection.number("PRAGMA application_id") != application_id)
        throw Failure{Kind::invalid, "sqlite: this is another program's database"};
    if (const auto version = connection.number("PRAGMA user_version"); version > newest_schema())
        throw Failure{Kind::invalid, "sqlite: its schema is version " + std::to_string(version) +
                                         ", this program knows up to " + std::to_string(newest_schema()) +
                                         ": use the newer program or another file"};
}

std::vector<std::string> migrate(Connection& connection) {
    connection.add_label_hash();
    std::vector<std::string> done;
    bool fresh = false;
    for (;;) {
        connection.execute("BEGIN IMMEDIATE");
        try {
            // Read inside the transaction: another process may have migrated before this one got the lock.
            const auto version = connection.number("PRAGMA user_version");
            if (version == 0 && connection.number("PRAGMA application_id") == 0 &&
                connection.number("SELECT count(*) FROM sqlite_schema") == 0)
                fresh = true;
            if (!fresh || version > 0) check_owner(connection);
            if (version == newest_schema()) {
                connection.execute("ROLLBACK");
                return done;
            }
            const Step& step = steps.at(static_cast<std::size_t>(version));
            connection.execute(step.sql);
            connection.execute(("PRAGMA application_id = " + std::to_string(application_id) +
                                "; PRAGMA user_version = " + std::to_string(version + 1) + "; COMMIT")
                                   .c_str());
            if (!fresh) done.push_back("schema " + std::to_string(version + 1) + ": " + std::string{step.what});
        } catch (...) {
            if (connection.in_transaction()) connection.execute("ROLLBACK");
            throw;
        }
    }
}

}  // namespace fusebox::storage::sqlite
