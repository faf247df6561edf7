// Several writes in one transaction.
#include "sqlite/group_commit.hpp"

#include <future>
#include <stdexcept>
#include <stop_token>
#include <thread>

#include "failing_files.hpp"
#include "sqlite_file.hpp"
#include "support/allocations/allocations.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using namespace incidents;
using namespace storage::sqlite;
using Kind = StoreError::Kind;

namespace {

/// A table of names, and writers that can be made to meet in one transaction.
class Meeting {
public:
    Meeting() { outside.execute("PRAGMA journal_mode = WAL; CREATE TABLE names (name TEXT)"); }

private:
    TemporaryFolder folder_;
    std::filesystem::path path_ = folder_.path() / "meeting.db";

public:
    Sqlite outside{path_};
    Connection connection{path_, Connection::Mode::write, 60s};
    GroupCommit commits{connection};

    /// Starts each of `works` in a thread of its own, in this order, while nobody can begin a transaction; then lets
    /// them. Gives what each threw.
    std::vector<std::exception_ptr> run(const std::vector<GroupCommit::Work>& works,
                                        const std::vector<RequestContext>& contexts = {}) {
        std::vector<std::exception_ptr> failures(works.size());
        outside.execute("BEGIN IMMEDIATE");
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < works.size(); ++i) {
            threads.emplace_back([&, i] {
                try {
                    commits.run(works[i], contexts.empty() ? RequestContext{} : contexts[i]);
                } catch (...) {
                    failures[i] = std::current_exception();
                }
            });
            while (commits.waiting() <= i) std::this_thread::yield();
        }
        outside.execute("ROLLBACK");
        return failures;
    }
    std::string names() {
        return outside.value("SELECT group_concat(name, ' ') FROM (SELECT name FROM names ORDER BY name)");
    }
};

void insert(Connection& connection, std::string_view name) {
    connection.prepare("INSERT INTO names VALUES (?)").bind(name).run();
}

Kind kind_of(const std::exception_ptr& failure) {
    REQUIRE(failure);
    try {
        std::rethrow_exception(failure);
    } catch (const Failure& known) {
        return known.error().kind;
    }
}

}  // namespace

TEST_CASE("writes that wait together become durable together") {
    Meeting meeting;
    std::vector<GroupCommit::Work> works;
    std::atomic<int> saw_others_committed{0};
    for (const auto* name : {"a", "b", "c", "d"}) {
        works.emplace_back([&, name](Connection& connection) {
            if (meeting.names() != "") ++saw_others_committed;
            insert(connection, name);
        });
    }
    for (const auto& failure : meeting.run(works)) CHECK_FALSE(failure);
    CHECK(saw_others_committed == 0);
    CHECK(meeting.names() == "a b c d");
}

TEST_CASE("a write that fails takes back what it did and nothing else") {
    Meeting meeting;
    const auto failures = meeting.run({
        [](Connection& connection) { insert(connection, "a"); },
        [](Connection& connection) {
            insert(connection, "b");
            throw Failure{Kind::conflict, "not this one"};
        },
        [](Connection& connection) {
            insert(connection, "c");
            throw std::logic_error{"nor this one"};
        },
        [](Connection& connection) { insert(connection, "d"); },
    });
    CHECK_FALSE(failures[0]);
    CHECK(kind_of(failures[1]) == Kind::conflict);
    REQUIRE(failures[2]);
    CHECK_THROWS_AS(std::rethrow_exception(failures[2]), std::logic_error);
    CHECK_FALSE(failures[3]);
    CHECK(meeting.names() == "a d");
}

TEST_CASE("when SQLite rolls everybody back, all but the culprit are stored all the same") {
    Meeting meeting;
    int runs = 0;
    const auto failures = meeting.run({
        [&](Connection& connection) {
            ++runs;
            insert(connection, "a");
        },
        [](Connection& connection) {
            insert(connection, "b");
            connection.execute("ROLLBACK");
            throw Failure{Kind::unavailable, "disk full"};
        },
        [](Connection& connection) { insert(connection, "c"); },
    });
    CHECK_FALSE(failures[0]);
    CHECK(kind_of(failures[1]) == Kind::unavailable);
    CHECK_FALSE(failures[2]);
    CHECK(runs == 2);
    CHECK(meeting.names() == "a c");
}

TEST_CASE("a request that is cancelled while it waits is not run") {
    Meeting meeting;
    std::stop_source stop;
    const std::vector<RequestContext> contexts{{}, {.deadline = {}, .stop = stop.get_token()}};
    const auto failures = meeting.run({[&](Connection& connection) {
                                           stop.request_stop();
                                           insert(connection, "a");
                                       },
                                       [](Connection& connection) { insert(connection, "b"); }},
                                      contexts);
    CHECK_FALSE(failures[0]);
    CHECK(kind_of(failures[1]) == Kind::timeout);
    CHECK(meeting.names() == "a");
}

TEST_CASE("a request that is cancelled while it waits has its answer at once, however long the others wait") {
    Meeting meeting;
    std::stop_source stop;
    meeting.outside.execute("BEGIN IMMEDIATE");
    std::jthread leader{[&] { meeting.commits.run([](Connection& connection) { insert(connection, "a"); }, {}); }};
    while (meeting.commits.waiting() < 1) std::this_thread::yield();
    auto cancelled = std::async(std::launch::async, [&] {
        meeting.commits.run([](Connection& connection) { insert(connection, "b"); },
                            {.deadline = {}, .stop = stop.get_token()});
    });
    while (meeting.commits.waiting() < 2) std::this_thread::yield();
    stop.request_stop();
    const bool at_once = cancelled.wait_for(10s) == std::future_status::ready;
    meeting.outside.execute("ROLLBACK");
    CHECK(at_once);
    CHECK_THROWS_AS(cancelled.get(), Failure);
    leader.join();
    CHECK(meeting.names() == "a");
}

TEST_CASE("a request that is cancelled after its turn has the answer of what was stored") {
    Meeting meeting;
    std::stop_source stop;
    const std::vector<RequestContext> contexts{{}, {.deadline = {}, .stop = stop.get_token()}, {}};
    const auto failures = meeting.run({[](Connection& connection) { insert(connection, "a"); },
                                       [](Connection& connection) { insert(connection, "b"); },
                                       [&](Connection& connection) {
                                           stop.request_stop();
                                           insert(connection, "c");
                                       }},
                                      contexts);
    for (const auto& failure : failures) CHECK_FALSE(failure);
    CHECK(meeting.names() == "a b c");
}

TEST_CASE("a request that fails before it has changed anything makes nobody run again") {
    Meeting meeting;
    int runs = 0;
    const auto failures = meeting.run({
        [&](Connection& connection) {
            ++runs;
            insert(connection, "a");
        },
        [](Connection&) { throw Failure{Kind::conflict, "not this one"}; },
        [&](Connection& connection) {
            ++runs;
            insert(connection, "b");
        },
    });
    CHECK_FALSE(failures[0]);
    CHECK(kind_of(failures[1]) == Kind::conflict);
    CHECK_FALSE(failures[2]);
    CHECK(runs == 2);
    CHECK(meeting.names() == "a b");
}

TEST_CASE("wherever memory ends, the next request is written all the same") {
    if (!allocations_are_counted()) return;
    Meeting meeting;
    bool was_written = false;
    std::size_t ends = 0;
    for (; !was_written; ++ends) {
        REQUIRE(ends < 1000);
        // A new statement each time, so that its preparation needs memory, too.
        const std::string sql = "INSERT INTO names VALUES ('lucky " + std::to_string(ends) + "')";
        const GroupCommit::Work work{[&](Connection& connection) { connection.prepare(sql).run(); }};
        try {
            const NoMemory from_here_on{ends};
            meeting.commits.run(work, {});
            was_written = true;
        } catch (const std::bad_alloc&) {
            CHECK(meeting.names().find("lucky") == std::string::npos);
        } catch (const Failure& failure) {
            FAIL(failure.what());
        }
        const RequestContext bounded{.deadline = std::chrono::steady_clock::now() + 10s, .stop = {}};
        const std::string name = "after " + std::to_string(ends);
        meeting.commits.run([&](Connection& connection) { insert(connection, name); }, bounded);
        CHECK(meeting.outside.value("SELECT count(*) FROM names WHERE name = '" + name + "'") == "1");
    }
    CHECK(ends > 2);  // memory did end at several places
}

TEST_CASE("G7: nobody of a batch whose COMMIT fails is told that the work is stored") {
    FailingFiles files;
    {
        Meeting meeting;
        std::vector<GroupCommit::Work> works;
        for (const auto* name : {"a", "b", "c"})
            works.emplace_back([&files, name](Connection& connection) {
                insert(connection, name);
                files.fail(FailingFiles::Call::sync, 0, 1034);  // SQLITE_IOERR_FSYNC
            });
        for (const auto& failure : meeting.run(works)) CHECK(kind_of(failure) == Kind::unavailable);
        CHECK(files.has_failed());
        files.heal();
        CHECK(meeting.names() == "");
        meeting.commits.run([](Connection& connection) { insert(connection, "d"); }, {});
        CHECK(meeting.names() == "d");
    }
}

TEST_CASE("each request waits for another process no longer than the busy timeout, however many wait") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "locked.db";
    Sqlite outside{path};
    outside.execute("PRAGMA journal_mode = WAL; CREATE TABLE names (name TEXT); BEGIN IMMEDIATE");
    Connection connection{path, Connection::Mode::write, 100ms};
    GroupCommit commits{connection};
    std::atomic<int> refused{0};
    const auto began = std::chrono::steady_clock::now();
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 16; ++i)
            threads.emplace_back([&] {
                try {
                    commits.run([](Connection& writer) { insert(writer, "x"); }, {});
                } catch (const Failure&) {
                    ++refused;
                }
            });
    }
    CHECK(refused == 16);
    // One after the other they would take 1.6 s.
    CHECK(std::chrono::steady_clock::now() - began < 1s);
    outside.execute("ROLLBACK");
}

}  // namespace fusebox::test
