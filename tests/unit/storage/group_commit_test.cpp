// Several writes in one transaction.
#include "sqlite/group_commit.hpp"

#include <stdexcept>

#include "sqlite_file.hpp"
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

}  // namespace fusebox::test
