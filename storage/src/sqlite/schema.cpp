#include "sqlite/schema.hpp"

#include <array>
#include <string>

namespace fusebox::storage::sqlite {

using Kind = incidents::StoreError::Kind;

namespace {

/// "fuse" in ASCII: marks the file as ours (`PRAGMA application_id`).
constexpr std::int64_t application_id = 0x66757365;

// Step N makes schema N out of schema N - 1. A step that was released is never changed. Times are microseconds since
// 1970 in UTC; states and severities are the words of the API.
constexpr std::array steps{
    // 1: incidents. Labels are what list filters look at; the timeline is only read with a single incident.
    R"sql(
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
    )sql",
    // 2: the outbox, and a table in which a test write leaves nothing behind.
    R"sql(
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
    )sql",
    // 3: the destinations that were told of an incident. For incidents stored before, the outbox says which they are.
    R"sql(
    ALTER TABLE incidents ADD COLUMN notified TEXT NOT NULL DEFAULT '[]';  -- JSON array, first told first
    UPDATE incidents SET notified = (
        SELECT json_group_array(destination) FROM (
            SELECT destination FROM outbox WHERE incident_id = incidents.id AND fallback_for = ''
            GROUP BY destination ORDER BY min(sequence)));
    )sql",
};

}  // namespace

std::int64_t newest_schema() noexcept { return static_cast<std::int64_t>(steps.size()); }

void migrate(Connection& connection, const std::string& name) {
    for (;;) {
        connection.execute("BEGIN IMMEDIATE");
        try {
            // Read inside the transaction: another process may have migrated before this one got the lock.
            const auto owner = connection.number("PRAGMA application_id");
            const auto version = connection.number("PRAGMA user_version");
            const bool fresh =
                owner == 0 && version == 0 && connection.number("SELECT count(*) FROM sqlite_schema") == 0;
            if (!fresh && owner != application_id)
                throw Failure{Kind::invalid, "sqlite " + name + ": this is another program's database"};
            if (version > newest_schema())
                throw Failure{Kind::invalid, "sqlite " + name + ": its schema is version " + std::to_string(version) +
                                                 ", this program knows up to " + std::to_string(newest_schema()) +
                                                 ": use the newer program or another file"};
            if (version == newest_schema()) {
                connection.execute("ROLLBACK");
                return;
            }
            connection.execute(steps.at(static_cast<std::size_t>(version)));
            connection.execute(("PRAGMA application_id = " + std::to_string(application_id) +
                                "; PRAGMA user_version = " + std::to_string(version + 1) + "; COMMIT")
                                   .c_str());
        } catch (...) {
            if (connection.in_transaction()) connection.execute("ROLLBACK");
            throw;
        }
    }
}

}  // namespace fusebox::storage::sqlite
