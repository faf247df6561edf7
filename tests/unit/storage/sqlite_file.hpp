// A store in a file, and a look at the file past the store.
#pragma once

#include <sqlite3.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <fusebox/storage/sqlite_store.hpp>

#include "sqlite/label_hash.hpp"
#include "support/catch.hpp"
#include "support/incident_samples.hpp"
#include "support/temporary_folder.hpp"

namespace fusebox::test {

/// A plain connection; throws what SQLite says.
class Sqlite {
public:
    explicit Sqlite(const std::filesystem::path& path) {
        if (sqlite3_open(path.c_str(), &handle_) != SQLITE_OK) throw std::runtime_error{"cannot open " + path.string()};
    }
    Sqlite(const Sqlite&) = delete;
    Sqlite& operator=(const Sqlite&) = delete;
    ~Sqlite() { sqlite3_close(handle_); }

    void execute(const std::string& sql) { value(sql); }
    /// Gives SQL the function that the schema uses.
    void add_label_hash() {
        const auto hash = [](sqlite3_context* result, int, sqlite3_value** arguments) {
            const auto text = [](sqlite3_value* value) {
                return std::string{reinterpret_cast<const char*>(sqlite3_value_text(value))};
            };
            sqlite3_result_int64(result, storage::sqlite::label_hash(text(arguments[0]), text(arguments[1])));
        };
        sqlite3_create_function_v2(handle_, "label_hash", 2, SQLITE_UTF8, nullptr, hash, nullptr, nullptr, nullptr);
    }
    /// The first column of the last row; empty without one.
    std::string value(const std::string& sql) {
        std::string found;
        const auto keep = [](void* out, int, char** columns, char**) {
            *static_cast<std::string*>(out) = columns[0] ? columns[0] : "";
            return 0;
        };
        if (sqlite3_exec(handle_, sql.c_str(), keep, &found, nullptr) != SQLITE_OK)
            throw std::runtime_error{sqlite3_errmsg(handle_)};
        return found;
    }

private:
    sqlite3* handle_{};
};

/// A file of its own, and stores in it.
class SqliteFile {
public:
    [[nodiscard]] const std::filesystem::path& folder() const { return folder_.path(); }
    [[nodiscard]] const std::filesystem::path& path() const { return path_; }
    [[nodiscard]] std::unique_ptr<storage::SqliteStore> open(
        std::uint64_t max_bytes = 0, std::chrono::milliseconds busy_timeout = std::chrono::seconds{5}) const {
        auto opened = storage::SqliteStore::open({.path = path_, .busy_timeout = busy_timeout, .max_bytes = max_bytes});
        INFO((opened ? "" : opened.error().message));
        REQUIRE(opened);
        return *std::move(opened);
    }
    [[nodiscard]] incidents::StoreError refusal() const {
        const auto opened = storage::SqliteStore::open({.path = path_});
        REQUIRE_FALSE(opened);
        return opened.error();
    }

    /// Adds `count` resolved incidents of titles "title NUMBER" past the store, a microsecond apart, of labels
    /// {"a": "b", "parity": "even" or "odd"}, a quarter of them of each severity P0 to P3.
    void fill(int count) const {
        Sqlite other{path_};
        other.add_label_hash();
        const std::string numbers =
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(count) + ") ";
        const std::string parity = "CASE i % 2 WHEN 0 THEN 'even' ELSE 'odd' END";
        other.execute("BEGIN");
        other.execute(
            "INSERT INTO incidents (key, id, fingerprint, state, severity, created_at, updated_at, "
            "alert_starts_at, resolved_at, version, title, source, labels, annotations, notified) " +
            numbers +
            "SELECT i, 'inc_' || i, 'f' || i, 4, i % 4, i, i, i, i, 1, 'title ' || i, 's', "
            "json_object('a', 'b', 'parity', " +
            parity + "), '{}', '[]' FROM n");
        other.execute("INSERT INTO sightings " + numbers + "SELECT i, 1, i, NULL, '[null]' FROM n");
        other.execute("INSERT INTO incident_labels " + numbers + "SELECT label_hash('a', 'b'), i, i FROM n");
        other.execute("INSERT INTO incident_labels " + numbers + "SELECT label_hash('parity', " + parity +
                      "), i, i FROM n");
        other.execute("COMMIT");
    }

private:
    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_.path() / "store.db";
};

/// One incident with a notification to the hook, "msg-ID".
inline incidents::StoreResult<void> add(storage::Store& store, const std::string& id,
                                        const incidents::RequestContext& context = {}, std::size_t payload_bytes = 0) {
    const incidents::Incident incident = sample_incident(id);
    incidents::IncidentWrite write{
        .incident = incident, .events = incident.timeline, .notifications = {sample_draft("msg-" + id, id)}};
    if (payload_bytes > 0) write.notifications.front().payload.assign(payload_bytes, 'x');
    return store.commit({&write, 1}, context);
}

inline std::size_t count(storage::Store& store) {
    std::size_t found = 0;
    incidents::IncidentQuery query;
    query.limit = 500;
    for (;;) {
        const auto page = store.list(query, {}).value();
        found += page.items.size();
        if (!page.next_cursor) return found;
        query.cursor = *page.next_cursor;
    }
}

}  // namespace fusebox::test
