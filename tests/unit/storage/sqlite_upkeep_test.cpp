// What keeps a file well over the years: counts, pruning, copies, and what is said of damage.
#include <fstream>
#include <random>

#include <fusebox/storage/open_store.hpp>

#include "delivery_results.hpp"
#include "sqlite_file.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace storage;
using Kind = StoreError::Kind;

namespace {

/// The counts that the file keeps are those that counting gives.
void check_counts(Sqlite& file) {
    const auto same = [&](const std::string& kept, const std::string& counted) {
        CHECK(file.value("SELECT count(*) FROM (" + kept + " EXCEPT " + counted + ")") == "0");
        CHECK(file.value("SELECT count(*) FROM (" + counted + " EXCEPT " + kept + ")") == "0");
    };
    same("SELECT state, incidents FROM incident_counts WHERE incidents <> 0",
         "SELECT state, count(*) FROM incidents GROUP BY state");
    same("SELECT destination, state, notifications FROM outbox_counts WHERE notifications <> 0",
         "SELECT destination, state, count(*) FROM outbox GROUP BY destination, state");
}

/// Nothing is left of incidents and notifications that are gone.
void check_no_orphans(Sqlite& file) {
    for (const auto* table : {"sightings", "timeline", "incident_labels"}) {
        CAPTURE(table);
        CHECK(file.value("SELECT count(*) FROM " + std::string{table} +
                         " WHERE incident NOT IN (SELECT key FROM incidents)") == "0");
    }
    CHECK(file.value("SELECT count(*) FROM outbox_payloads WHERE sequence NOT IN (SELECT sequence FROM outbox)") ==
          "0");
}

}  // namespace

TEST_CASE("counts stay right through every change, and pruning leaves nothing of what goes") {
    std::mt19937 random{7};  // the same changes in each run
    const SqliteFile file;
    const auto store = file.open();
    Sqlite other{file.path()};
    std::vector<Incident> incidents;
    for (int i = 0; i < 400; ++i) {
        const WallTime now = new_year + 1min * i;
        if (incidents.empty() || random() % 3 == 0) {
            incidents.push_back(sample_incident("inc_" + std::to_string(i), "f" + std::to_string(i), now));
        } else {
            Incident& changed = incidents[random() % incidents.size()];
            changed.state = static_cast<IncidentState>(random() % 6);
            changed.updated_at = now;
            std::swap(changed, incidents.back());
        }
        Incident& incident = incidents.back();
        IncidentWrite write{.incident = incident, .events = incident.timeline, .notifications = {}};
        for (const auto* destination : {"hook", "mail"})
            if (random() % 2 == 0)
                write.notifications.push_back(
                    sample_draft("msg_" + std::to_string(i) + destination, incident.id, destination, now));
        REQUIRE(store->commit({&write, 1}, {}));
        ++incident.version;
        const auto leased = store->lease("hook", now, 30s, 1 + random() % 3, {}).value();
        for (const auto& row : leased) {
            const auto result = random() % 3 == 0   ? dead(now)
                                : random() % 3 == 0 ? retry(now, now + 1min)
                                                    : delivered(now);
            if (random() % 4 != 0) REQUIRE(store->settle(row.draft.id, row.lease_token, result, {}));
            if (result.kind == DeliveryResult::Kind::dead && random() % 2 == 0)
                (void)store->replay(row.draft.id, now, {});
        }
        if (i % 40 == 39) {
            const WallTime before = now - 2h;
            const auto pruned =
                store->prune({.incidents_before = before, .notifications_before = before, .limit = 20}, {});
            REQUIRE(pruned);
            std::erase_if(incidents, [&](const Incident& known) { return !store->get(known.id, {}).has_value(); });
        }
    }
    check_counts(other);
    check_no_orphans(other);
    CHECK(other.value("SELECT count(*) > 10 FROM incidents") == "1");
    CHECK(other.value("SELECT count(*) > 10 FROM outbox") == "1");
    CHECK(other.value("PRAGMA integrity_check") == "ok");
}

TEST_CASE("pruning gives the file back to the disk") {
    const SqliteFile file;
    constexpr int incidents = 1500;
    const auto store = file.open();
    for (int begin = 0; begin < incidents; begin += 100) {
        std::vector<IncidentWrite> writes;
        for (int i = begin; i < begin + 100; ++i) {
            Incident incident = sample_incident("inc_" + std::to_string(i));
            incident.state = IncidentState::closed;
            incident.annotations["description"].assign(10'000, 'x');
            writes.push_back({.incident = incident, .events = incident.timeline, .notifications = {}});
        }
        REQUIRE(store->commit(writes, {}));
    }
    Sqlite other{file.path()};
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    const auto full = std::filesystem::file_size(file.path());
    REQUIRE(full > 15'000'000);
    std::uint64_t pruned = 0;
    const PruneQuery query{.incidents_before = new_year + 1s, .notifications_before = new_year, .limit = 200};
    for (int calls = 0;; ++calls) {
        REQUIRE(calls < 20);
        const auto counts = store->prune(query, {}).value();
        CHECK(counts.incidents <= query.limit);
        pruned += counts.incidents;
        if (counts.incidents == 0) break;
    }
    CHECK(pruned == incidents);
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    CHECK(std::filesystem::file_size(file.path()) < full / 2);
    CHECK(other.value("PRAGMA integrity_check") == "ok");
}

TEST_CASE("a copy of a store in use opens and holds everything that was acknowledged before it began") {
    const SqliteFile file;
    const auto store = file.open();
    for (int i = 0; i < 200; ++i) REQUIRE(add(*store, "before_" + std::to_string(i), {}, 2000));
    const auto copy = file.folder() / "copies" / "monday.db";
    std::atomic<bool> done{false};
    std::atomic<int> written{0};
    std::atomic<int> refused{0};
    std::jthread writer{[&] {
        while (!done) ++(add(*store, "during_" + std::to_string(written)) ? written : refused);
    }};
    while (written < 3 && refused == 0) std::this_thread::yield();
    const auto copied = SqliteStore::back_up(file.path(), copy, {});
    const int written_by_then = written;
    done = true;
    writer.join();
    INFO((copied ? "" : copied.error().message));
    REQUIRE(copied);
    CHECK(written_by_then >= 3);
    CHECK(refused == 0);

    const auto opened = SqliteStore::open({.path = copy});
    REQUIRE(opened);
    for (int i = 0; i < 200; ++i) {
        REQUIRE((*opened)->get("before_" + std::to_string(i), {}).value().timeline.size() == 1);
        REQUIRE((*opened)->get_notification("msg-before_" + std::to_string(i), {}));
    }
    CHECK(add(**opened, "afterwards"));
    Sqlite look{copy};
    CHECK(look.value("PRAGMA integrity_check") == "ok");
    check_counts(look);
    CHECK(std::filesystem::status(copy).permissions() ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
    CHECK(store->get("afterwards", {}).error().kind == Kind::not_found);
}

TEST_CASE("a copy replaces nothing, and what cannot be copied leaves nothing behind") {
    const SqliteFile file;
    REQUIRE(add(*file.open(), "inc_1"));
    const auto target = file.folder() / "copy.db";
    const auto files = [&] { return std::distance(std::filesystem::directory_iterator{file.folder()}, {}); };
    SECTION("a file that exists") {
        std::ofstream{target} << "precious";
        const auto before = files();
        const auto refused = SqliteStore::back_up(file.path(), target, {});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == Kind::invalid);
        CHECK(refused.error().message.find(target.string()) != std::string::npos);
        CHECK(std::filesystem::file_size(target) == 8);
        CHECK(files() == before);
    }
    SECTION("no store") {
        const auto refused = SqliteStore::back_up(file.folder() / "none.db", target, {});
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == Kind::not_found);
        CHECK_FALSE(std::filesystem::exists(file.folder() / "none.db"));
        CHECK_FALSE(std::filesystem::exists(target));
    }
    SECTION("another program's database") {
        const auto songs = file.folder() / "songs.db";
        Sqlite{songs}.execute("CREATE TABLE songs (name TEXT)");
        const auto before = files();
        CHECK(SqliteStore::back_up(songs, target, {}).error().kind == Kind::invalid);
        CHECK(files() == before);
    }
    SECTION("a copy that was cancelled") {
        std::stop_source stop;
        stop.request_stop();
        const auto before = files();
        CHECK(SqliteStore::back_up(file.path(), target, {.deadline = {}, .stop = stop.get_token()}).error().kind ==
              Kind::timeout);
        CHECK(files() == before);
    }
    SECTION("by URL") {
        CHECK(back_up_store("sqlite:" + file.path().string(), target, {}));
        CHECK(SqliteStore::open({.path = target}).value()->get("inc_1", {}));
        CHECK(back_up_store("memory:", file.folder() / "other", {}).error().kind == Kind::invalid);
    }
}

TEST_CASE("damage that a call meets is remembered, and other failures are not") {
    const SqliteFile file;
    const auto store = file.open();
    REQUIRE(add(*store, "inc_1"));
    CHECK_FALSE(store->get("inc_none", {}));
    CHECK(store->damage() == std::nullopt);
    Sqlite{file.path()}.execute("UPDATE incidents SET labels = '{'");
    CHECK_FALSE(store->get("inc_1", {}));
    REQUIRE(store->damage());
    CHECK(store->damage()->find("inc_1") != std::string::npos);
    REQUIRE(add(*store, "inc_2"));
    CHECK(store->damage());
}

TEST_CASE("what a request hears of a failure names no path") {
    const SqliteFile file;
    const auto store = file.open(0, 20ms);
    Sqlite other{file.path()};
    const auto check = [&](const StoreError& error) {
        CHECK_FALSE(error.message.empty());
        CHECK(error.message.find(file.folder().string()) == std::string::npos);
        CHECK(error.message.find(".db") == std::string::npos);
    };
    other.execute("BEGIN IMMEDIATE");
    check(add(*store, "inc_1").error());
    check(store->check_writable({.deadline = std::chrono::steady_clock::now() + 5ms, .stop = {}}).error());
    other.execute("ROLLBACK");
    check(store->get("inc_1", {.deadline = std::chrono::steady_clock::now() - 1ms, .stop = {}}).error());
    other.execute("DROP TABLE timeline");
    check(add(*store, "inc_1").error());
}

TEST_CASE("sightings write narrow rows") {
    const SqliteFile file;
    const auto store = file.open();
    std::vector<IncidentWrite> writes;
    std::vector<Sighting> sightings;
    constexpr int incidents = 1000;
    for (int i = 0; i < incidents; ++i) {
        Incident incident = sample_incident("inc_" + std::to_string(i));
        incident.annotations["description"].assign(1500, 'x');
        incident.firings.all.push_back({.starts_at = new_year, .first_seen = new_year, .ends_at = new_year + 4min});
        writes.push_back({.incident = incident, .events = incident.timeline, .notifications = {}});
        sightings.push_back({.incident_id = incident.id,
                             .version = 1,
                             .alert_count = 2,
                             .last_seen = new_year + 1min,
                             .firings = incident.firings});
        sightings.back().firings.all.front().ends_at = new_year + 5min;
    }
    REQUIRE(store->commit(writes, {}));
    Sqlite{file.path()}.execute("PRAGMA wal_checkpoint(TRUNCATE)");
    const auto log = file.path().string() + "-wal";
    REQUIRE(store->note_sightings(sightings, {}).value().empty());
    // A row is about 150 bytes with its index, and whole pages are written.
    CHECK(std::filesystem::file_size(log) < incidents * 400);
    CHECK(store->get("inc_7", {}).value().alert_count == 2);
}

}  // namespace fusebox::test
