// What only a file can do: survive, be damaged, be full, be old, be shared.
#include <fusebox/storage/sqlite_store.hpp>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <iterator>
#include <set>

#include <fusebox/storage/open_store.hpp>

#include "delivery_results.hpp"
#include "sqlite_file.hpp"
#include "support/catch.hpp"
#include "support/incident_samples.hpp"
#include "support/temporary_folder.hpp"

namespace fusebox::test {

using namespace storage;
using Kind = StoreError::Kind;
using SteadyClock = std::chrono::steady_clock;

namespace {

unsigned mode_of(const std::filesystem::path& path) {
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return status.st_mode & 0777;
}

/// What `body` returns, from a process of its own.
template <class Body>
int in_child(Body body) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(body());
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("who alone has the file takes over at once what a process before had leased") {
    const SqliteFile file;
    std::string token;
    {
        const auto store = file.open();
        for (const auto* id : {"inc_1", "inc_2", "inc_3"}) REQUIRE(add(*store, id));
        const auto leased = store->lease("hook", new_year, 30s, 2, {}).value();
        REQUIRE(leased.size() == 2);
        token = leased[0].lease_token;
        REQUIRE(store->settle("msg-inc_2", token, {.kind = DeliveryResult::Kind::delivered, .at = new_year}, {}));
    }
    const auto store = file.open();
    CHECK(store->lease("hook", new_year + 1s, 30s, 10, {}).value().size() == 1);  // inc_3
    CHECK(store->release_leases(new_year + 1s, {}).value() == 2);
    CHECK(store->counts({}).value().at("hook").at(NotificationState::pending) == 2);
    const auto taken = store->lease("hook", new_year + 1s, 30s, 10, {}).value();
    REQUIRE(taken.size() == 2);
    CHECK(taken[0].draft.id == "msg-inc_1");
    CHECK(taken[0].attempts == 0);
    CHECK(
        store->settle("msg-inc_1", token, {.kind = DeliveryResult::Kind::delivered, .at = new_year}, {}).error().kind ==
        StoreError::Kind::conflict);
    // A clock that was set back puts nothing off.
    CHECK(store->release_leases(new_year - 1h, {}).value() == 2);
    CHECK(store->lease("hook", new_year - 1h, 30s, 10, {}).value().size() == 2);
}

TEST_CASE("the index of labels holds what an incident has now, and nothing that it had") {
    const SqliteFile file;
    const auto store = file.open();
    REQUIRE(add(*store, "inc_1"));
    Incident changed = store->get("inc_1", {}).value();
    changed.labels = {{"team", "network"}};
    const IncidentWrite write{.incident = changed, .events = {}, .notifications = {}};
    REQUIRE(store->commit({&write, 1}, {}));
    CHECK(Sqlite{file.path()}.value("SELECT count(*) FROM incident_labels") == "1");
    const auto found = store->list({.labels = {{"team", "network"}}}, {});
    REQUIRE(found);
    CHECK(found->items.size() == 1);
}

TEST_CASE("a reopened file holds everything that was stored") {
    const SqliteFile file;
    Incident stored;
    Notification retried;
    std::string lease_token;
    {
        const auto store = file.open();
        REQUIRE(add(*store, "inc_1"));
        stored = store->get("inc_1", {}).value();
        REQUIRE(add(*store, "inc_2"));
        const auto leased = store->lease("hook", new_year, 30s, 10, {}).value();
        REQUIRE(store->settle("msg-inc_1", leased.at(0).lease_token, retry(new_year, new_year + 1h), {}));
        retried = store->get_notification("msg-inc_1", {}).value();
        lease_token = leased.at(1).lease_token;
    }
    const auto store = file.open();
    CHECK(store->get("inc_1", {}).value() == stored);
    const auto again = store->get_notification("msg-inc_1", {}).value();
    CHECK(again.attempt_log.size() == retried.attempt_log.size());
    CHECK(again.last_error->message == retried.last_error->message);
    CHECK(again.next_attempt_at == new_year + 1h);
    CHECK(again.sequence == retried.sequence);
    CHECK(store->next_due("hook", {}).value() == new_year + 30s);
    CHECK(store->settle("msg-inc_2", lease_token, delivered(new_year), {}));
}

TEST_CASE("missing folders and files are created for their owner alone") {
    const SqliteFile file;
    const auto path = file.folder() / "data" / "deep" / "store.db";
    const auto previous_mask = ::umask(0);
    const auto opened = SqliteStore::open({.path = path});
    ::umask(previous_mask);
    REQUIRE(opened);
    REQUIRE(add(**opened, "inc_1"));
    CHECK(mode_of(file.folder() / "data") == 0700);
    CHECK(mode_of(path.parent_path()) == 0700);
    CHECK(mode_of(path) == 0600);
    CHECK(mode_of(path.string() + "-wal") == 0600);
    CHECK(mode_of(path.string() + "-shm") == 0600);
}

TEST_CASE("the file is written ahead and synced in full") {
    const SqliteFile file;
    const auto store = file.open();
    Sqlite other{file.path()};
    CHECK(other.value("PRAGMA journal_mode") == "wal");
    CHECK(other.value("PRAGMA application_id") == "1718973285");
    CHECK(other.value("PRAGMA user_version") == "5");
}

TEST_CASE("a process that is killed in mid-write loses nothing that it acknowledged") {
    const SqliteFile file;
    std::set<std::string> acknowledged;
    for (const int acknowledgements : {40, 1, 15}) {
        int ends[2];
        REQUIRE(::pipe(ends) == 0);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            ::close(ends[0]);
            auto store = SqliteStore::open({.path = file.path()});
            if (!store) ::_exit(1);
            std::vector<std::jthread> threads;
            for (int worker = 0; worker < 4; ++worker) {
                threads.emplace_back([&, worker] {
                    for (int i = 0;; ++i) {
                        const std::string id =
                            std::to_string(::getpid()) + "-" + std::to_string(worker) + "-" + std::to_string(i);
                        if (!add(**store, id)) ::_exit(2);
                        const std::string line = id + "\n";  // short enough to be written in one piece
                        if (::write(ends[1], line.data(), line.size()) < 0) ::_exit(3);
                    }
                });
            }
            ::pause();
            ::_exit(4);
        }
        ::close(ends[1]);
        std::string text;
        char buffer[256];
        ssize_t got = 0;
        while (std::ranges::count(text, '\n') < acknowledgements && (got = ::read(ends[0], buffer, sizeof buffer)) > 0)
            text.append(buffer, static_cast<std::size_t>(got));
        REQUIRE(::kill(child, SIGKILL) == 0);
        while ((got = ::read(ends[0], buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(got));
        ::close(ends[0]);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFSIGNALED(status));
        for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1)
            acknowledged.insert(text.substr(begin, end - begin));
    }
    REQUIRE(acknowledged.size() >= 56);

    const auto store = file.open();
    for (const auto& id : acknowledged) {
        CAPTURE(id);
        REQUIRE(store->get(id, {}));
        REQUIRE(store->get_notification("msg-" + id, {}));
    }
    // An incident that was not acknowledged may be there, but never without its notification.
    CHECK(store->counts({}).value().at("hook").at(NotificationState::pending) == count(*store));
    CHECK(Sqlite{file.path()}.value("PRAGMA integrity_check") == "ok");
}

TEST_CASE("several stores can share a file") {
    const SqliteFile file;
    const auto mine = file.open();
    REQUIRE(add(*mine, "inc_mine"));

    SECTION("in one process") {
        const auto other = file.open();
        CHECK(other->get("inc_mine", {}));
        REQUIRE(add(*other, "inc_other"));
        CHECK(mine->get("inc_other", {}));
        CHECK(add(*mine, "inc_other").error().kind == Kind::conflict);
        const auto leased = other->lease("hook", new_year, 30s, 1, {}).value();
        CHECK(mine->lease("hook", new_year, 30s, 10, {}).value().size() == 1);
        CHECK(mine->settle(leased.front().draft.id, leased.front().lease_token, delivered(new_year), {}));
    }
    SECTION("in several processes that write at the same time") {
        constexpr int each = 30;
        std::vector<pid_t> children;
        for (int worker = 0; worker < 3; ++worker) {
            const pid_t child = ::fork();
            REQUIRE(child >= 0);
            if (child == 0) {
                auto store = SqliteStore::open({.path = file.path(), .busy_timeout = 60s});
                if (!store) ::_exit(1);
                for (int i = 0; i < each; ++i)
                    if (!add(**store, std::to_string(worker) + "-" + std::to_string(i))) ::_exit(2);
                ::_exit(0);
            }
            children.push_back(child);
        }
        for (const pid_t child : children) {
            int status = 0;
            REQUIRE(::waitpid(child, &status, 0) == child);
            CHECK(WIFEXITED(status));
            CHECK(WEXITSTATUS(status) == 0);
        }
        CHECK(count(*mine) == 1 + children.size() * each);
    }
}

TEST_CASE("many may open a new file at the same time") {
    const SqliteFile file;
    std::atomic<int> opened{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i)
        threads.emplace_back([&] { opened += SqliteStore::open({.path = file.path()}).has_value(); });
    threads.clear();
    CHECK(opened == 6);
}

TEST_CASE("a write waits for another process only as long as it may") {
    const SqliteFile file;
    const auto store = file.open(0, 20ms);
    Sqlite other{file.path()};
    other.execute("BEGIN IMMEDIATE");

    SECTION("its deadline") {
        const RequestContext context{.deadline = SteadyClock::now() + 20ms, .stop = {}};
        CHECK(add(*store, "inc_1", context).error().kind == Kind::timeout);
        CHECK(store->lease("hook", new_year, 30s, 1, context).error().kind == Kind::timeout);
        CHECK(store->check_writable(context).error().kind == Kind::timeout);
    }
    SECTION("the busy timeout where it has no deadline") {
        CHECK(add(*store, "inc_1").error().kind == Kind::unavailable);
    }
    SECTION("until it is cancelled") {
        std::stop_source stop;
        const RequestContext context{.deadline = SteadyClock::now() + 1h, .stop = stop.get_token()};
        std::jthread canceller{[&] { stop.request_stop(); }};
        CHECK(add(*store, "inc_1", context).error().kind == Kind::timeout);
    }
    SECTION("and those behind it have their own patience") {
        std::optional<Kind> impatient;
        std::atomic<bool> patient_stored{false};
        std::jthread first{[&] {
            impatient = add(*store, "inc_1", {.deadline = SteadyClock::now() + 20ms, .stop = {}}).error().kind;
        }};
        std::jthread second{[&] {
            patient_stored = add(*store, "inc_2", {.deadline = SteadyClock::now() + 60s, .stop = {}}).has_value();
        }};
        first.join();
        CHECK(impatient == Kind::timeout);
        other.execute("ROLLBACK");
        second.join();
        CHECK(patient_stored);
        other.execute("BEGIN IMMEDIATE");
    }
    CHECK(store->list({}, {}).has_value());  // reads wait for no writer
    other.execute("ROLLBACK");
    CHECK(store->get("inc_1", {}).error().kind == Kind::not_found);
    CHECK(add(*store, "inc_1"));
}

TEST_CASE("a request whose time is up before it begins does nothing") {
    const SqliteFile file;
    const auto store = file.open();
    const RequestContext late{.deadline = SteadyClock::now() - 1ms, .stop = {}};
    CHECK(add(*store, "inc_1", late).error().kind == Kind::timeout);
    CHECK(store->get("inc_1", late).error().kind == Kind::timeout);
    std::stop_source stop;
    stop.request_stop();
    const RequestContext cancelled{.deadline = {}, .stop = stop.get_token()};
    CHECK(add(*store, "inc_1", cancelled).error().kind == Kind::timeout);
    CHECK(store->list({}, cancelled).error().kind == Kind::timeout);
    CHECK(store->get("inc_1", {}).error().kind == Kind::not_found);
}

TEST_CASE("a long read ends at its deadline") {
    const SqliteFile file;
    const auto store = file.open();
    file.fill(60'000);
    IncidentQuery query;
    query.text = "no such title";
    CHECK(store->list(query, {}).value().items.empty());
    const auto interrupted = store->list(query, {.deadline = SteadyClock::now() + 1ms, .stop = {}});
    REQUIRE_FALSE(interrupted);
    CHECK(interrupted.error().kind == Kind::timeout);
    CHECK(store->list(query, {}).has_value());  // its connection is as good as before
}

TEST_CASE("damage is called corrupt, and a damaged file is left alone") {
    const SqliteFile file;
    SECTION("not a database at all") {
        std::ofstream{file.path()} << std::string(5000, 'x');
        CHECK(file.refusal().kind == Kind::corrupt);
        std::ifstream in{file.path()};
        CHECK(std::string{std::istreambuf_iterator<char>{in}, {}} == std::string(5000, 'x'));
    }
    SECTION("pages overwritten") {
        {
            const auto store = file.open();
            for (int i = 0; i < 50; ++i) REQUIRE(add(*store, "inc_" + std::to_string(i)));
        }
        {
            std::fstream out{file.path(), std::ios::in | std::ios::out | std::ios::binary};
            const auto size = std::filesystem::file_size(file.path());
            out.seekp(8192);
            out << std::string(size - 8192, '\xee');
        }
        const auto store = SqliteStore::open({.path = file.path()});
        const auto kind = store ? (*store)->list({}, {}).error().kind : store.error().kind;
        CHECK(kind == Kind::corrupt);
        if (store) CHECK(add(**store, "inc_new").error().kind == Kind::corrupt);
    }
    SECTION("a row that no store has written") {
        const auto store = file.open();
        REQUIRE(add(*store, "inc_1"));
        Sqlite other{file.path()};
        other.execute("UPDATE incidents SET state = 77; UPDATE outbox SET attempt_log = '[{]'");
        const auto read = store->get("inc_1", {});
        REQUIRE_FALSE(read);
        CHECK(read.error().kind == Kind::corrupt);
        CHECK(read.error().message.find("inc_1") != std::string::npos);
        CHECK(store->get_notification("msg-inc_1", {}).error().kind == Kind::corrupt);
        other.execute("UPDATE outbox SET attempt_log = '[{}]'");
        CHECK(store->get_notification("msg-inc_1", {}).error().kind == Kind::corrupt);
    }
}

TEST_CASE("a notification that cannot be read becomes a dead letter with the reason, and stops no other") {
    const auto* damage = GENERATE("UPDATE outbox SET attempt_log = '[{]' WHERE sequence = 1",
                                  "UPDATE outbox SET attempt_log = '[{}]' WHERE sequence = 1",
                                  "UPDATE outbox SET last_error = '{' WHERE sequence = 1",
                                  "UPDATE outbox SET severity = -1 WHERE sequence = 1",
                                  "DELETE FROM outbox_payloads WHERE sequence = 1");
    CAPTURE(damage);
    const SqliteFile file;
    const auto store = file.open();
    REQUIRE(add(*store, "inc_1"));
    REQUIRE(add(*store, "inc_2"));
    Sqlite{file.path()}.execute(damage);

    // What can be read is shown meanwhile.
    const auto page = store->list_notifications({}, {});
    REQUIRE(page);
    CHECK(page->items.size() == 1);
    const auto leased = store->lease("hook", new_year + 1min, 30s, 5, {});
    REQUIRE(leased);
    REQUIRE(leased->size() == 1);
    CHECK(leased->front().draft.id == "msg-inc_2");
    REQUIRE(store->damage());
    CHECK(store->damage()->contains("msg-inc_1"));

    const auto dead = store->get_notification("msg-inc_1", {});
    REQUIRE(dead);
    CHECK(dead->state == NotificationState::dead);
    REQUIRE(dead->last_error);
    CHECK(dead->last_error->error_class == "unreadable");
    CHECK(dead->last_error->message.contains("msg-inc_1"));
    CHECK(store->counts({})->at("hook").at(NotificationState::dead) == 1);
    CHECK(store->list_notifications({.state = NotificationState::dead}, {})->items.size() == 1);
    REQUIRE(store->replay("msg-inc_1", new_year + 61s, {}));
    CHECK(store->lease("hook", new_year + 61s, 30s, 5, {})->size() == 1);
}

TEST_CASE("an incident that cannot be read is left out of lists, and the store says that it is damaged") {
    const SqliteFile file;
    const auto store = file.open();
    for (const auto* id : {"inc_1", "inc_2", "inc_3"}) REQUIRE(add(*store, id));
    Sqlite{file.path()}.execute("UPDATE incidents SET labels = '{' WHERE id = 'inc_2'");
    CHECK(count(*store) == 2);
    REQUIRE(store->damage());
    CHECK(store->damage()->contains("inc_2"));
}

TEST_CASE("a place that cannot be written is unavailable and named") {
    const SqliteFile file;
    SECTION("a folder that may not be written") {
        std::filesystem::permissions(file.folder(), std::filesystem::perms{0555});
        const int kind = in_child([&] {
            constexpr uid_t nobody = 65534;  // rights bind everybody but root
            if (::geteuid() == 0 && ::setuid(nobody) != 0) return 100;
            const auto opened = SqliteStore::open({.path = file.path()});
            return opened ? 101 : static_cast<int>(opened.error().kind);
        });
        CHECK(kind == static_cast<int>(Kind::unavailable));
        std::filesystem::permissions(file.folder(), std::filesystem::perms{0755});
    }
    SECTION("a file that may only be read") {
        REQUIRE(add(*file.open(), "inc_1"));
        std::filesystem::permissions(file.path(), std::filesystem::perms{0444});
        std::filesystem::permissions(file.folder(), std::filesystem::perms{0555});
        const int kind = in_child([&] {
            constexpr uid_t nobody = 65534;
            if (::geteuid() == 0 && ::setuid(nobody) != 0) return 100;
            const auto opened = SqliteStore::open({.path = file.path()});
            if (!opened) return static_cast<int>(opened.error().kind);
            const auto stored = add(**opened, "inc_2");
            return stored ? 101 : static_cast<int>(stored.error().kind);
        });
        CHECK(kind == static_cast<int>(Kind::unavailable));
        std::filesystem::permissions(file.folder(), std::filesystem::perms{0755});
    }
    SECTION("below something that is no folder") {
        std::ofstream{file.path()} << "a file";
        const auto below = SqliteStore::open({.path = file.path() / "store.db"});
        REQUIRE_FALSE(below);
        CHECK(below.error().kind == Kind::unavailable);
        CHECK(below.error().message.find(file.path().string()) != std::string::npos);
    }
    SECTION("a folder") {
        const auto folder = SqliteStore::open({.path = file.folder()});
        REQUIRE_FALSE(folder);
        CHECK(folder.error().kind == Kind::unavailable);
    }
}

TEST_CASE("a full disk refuses what is new and keeps what is there") {
    constexpr std::uint64_t room = 300'000;
    const SqliteFile file;
    std::size_t stored = 0;
    {
        const auto store = file.open(room);
        REQUIRE(store->check_writable({}));
        std::optional<StoreError> refused;
        while (!refused && stored < 1000) {
            const auto result = add(*store, "inc_" + std::to_string(stored), {}, 5000);
            if (result) {
                ++stored;
            } else {
                refused = result.error();
            }
        }
        REQUIRE(refused);
        CHECK(refused->kind == Kind::unavailable);
        CHECK(stored > 5);
        CHECK(store->check_writable({}).error().kind == Kind::unavailable);
        CHECK(count(*store) == stored);
    }
    const auto store = file.open(2 * room);
    CHECK(count(*store) == stored);
    CHECK(store->check_writable({}));
    CHECK(add(*store, "inc_more"));
}

TEST_CASE("a write that does not fit costs its neighbours nothing") {
    constexpr std::uint64_t room = 2'000'000;
    const SqliteFile file;
    const auto store = file.open(room);
    std::atomic<int> stored{0};
    std::atomic<int> refused{0};
    std::atomic<int> other{0};
    std::vector<std::jthread> threads;
    for (int worker = 0; worker < 8; ++worker) {
        threads.emplace_back([&, worker] {
            for (int i = 0; i < 12; ++i) {
                const std::string id = std::to_string(worker) + "-" + std::to_string(i);
                const bool too_large = worker < 2;
                const auto result = add(*store, id, {}, too_large ? room : 100);
                if (too_large) {
                    ++(!result && result.error().kind == Kind::unavailable ? refused : other);
                } else {
                    ++(result ? stored : other);
                }
            }
        });
    }
    threads.clear();
    CHECK(stored == 6 * 12);
    CHECK(refused == 2 * 12);
    CHECK(other == 0);
    CHECK(count(*store) == 6 * 12);
    CHECK(store->counts({}).value().at("hook").at(NotificationState::pending) == 6 * 12);
}

TEST_CASE("text that is not UTF-8 is invalid, and nothing of it is stored") {
    const SqliteFile file;
    const auto store = file.open();
    IncidentWrite write{.incident = sample_incident("inc_1", "f"), .notifications = {}};
    write.incident.labels["team"] = "\xff\xfe";
    const auto refused = store->commit({&write, 1}, {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == Kind::invalid);
    CHECK(count(*store) == 0);
}

TEST_CASE("a store is opened by its URL") {
    const SqliteFile file;
    const auto in_file = open_store("sqlite:" + file.path().string());
    REQUIRE(in_file);
    CHECK(add(**in_file, "inc_1"));
    CHECK(std::filesystem::exists(file.path()));
    const auto in_memory = open_store("memory:");
    REQUIRE(in_memory);
    CHECK(add(**in_memory, "inc_1"));

    for (const auto* bad :
         {"", "sqlite:", "sqlite::memory:", "memory", "memory:x", "postgresql://ann:secret@db/x", "mysql:x"}) {
        CAPTURE(bad);
        const auto refused = open_store(bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().kind == Kind::invalid);
        CHECK(refused.error().message.find("secret") == std::string::npos);
    }
    CHECK(open_store("postgresql://ann:secret@db/x").error().message.find("sqlite:PATH") != std::string::npos);
}

TEST_CASE("options out of range are invalid") {
    const SqliteFile file;
    CHECK(SqliteStore::open({.path = file.path(), .busy_timeout = 0ms}).error().kind == Kind::invalid);
    CHECK(SqliteStore::open({.path = file.path(), .readers = 0}).error().kind == Kind::invalid);
    CHECK_FALSE(std::filesystem::exists(file.path()));
}

}  // namespace fusebox::test
