// Disks that fail: nothing is acknowledged that is not there afterwards.
#include <sqlite3.h>

#include <set>

#include "delivery_results.hpp"
#include "failing_files.hpp"
#include "sqlite_file.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace storage;
using Kind = StoreError::Kind;
using Call = FailingFiles::Call;

namespace {

struct Fault {
    Call call;
    int code;
};

void check_holds(Store& store, const std::set<std::string>& acknowledged) {
    for (const auto& id : acknowledged) {
        CAPTURE(id);
        CHECK(store.get(id, {}));
        CHECK(store.get_notification("msg-" + id, {}));
    }
}

}  // namespace

TEST_CASE("whatever write or sync fails, what was acknowledged is there, and the rest was refused") {
    const Fault fault = GENERATE(Fault{Call::write, SQLITE_IOERR_WRITE}, Fault{Call::write, SQLITE_FULL},
                                 Fault{Call::sync, SQLITE_IOERR_FSYNC});
    FailingFiles files;
    int faults = 0;
    bool failed = true;
    for (std::size_t good = 0; failed; good += good < 12 ? 1 : 7) {
        CAPTURE(good);
        REQUIRE(good < 400);
        const SqliteFile file;
        std::set<std::string> acknowledged;
        {
            const auto store = file.open();
            REQUIRE(add(*store, "before"));
            acknowledged.insert("before");
            files.fail(fault.call, good, fault.code);
            for (int i = 0; i < 4; ++i) {
                const std::string id = "inc_" + std::to_string(i);
                const bool healthy = !files.has_failed();
                const auto stored = add(*store, id, {}, 3000);
                if (stored) {
                    acknowledged.insert(id);
                } else {
                    CHECK(stored.error().kind == Kind::unavailable);
                    CHECK(files.has_failed());
                }
                // What a failed write has done is undone, so nothing of it is seen.
                if (healthy && files.has_failed() && !stored) CHECK(store->get(id, {}).error().kind != Kind::corrupt);
            }
            failed = files.has_failed();
            faults += failed ? 1 : 0;
            if (failed && fault.call == Call::sync) CHECK_FALSE(store->check_writable({}));
            files.heal();
            check_holds(*store, acknowledged);
            REQUIRE(add(*store, "after"));
            acknowledged.insert("after");
        }
        const auto store = file.open();
        check_holds(*store, acknowledged);
        CHECK(Sqlite{file.path()}.value("PRAGMA integrity_check") == "ok");
    }
    CHECK(faults > 3);  // it failed at several places
}

TEST_CASE("an answer waits for a sync to disk") {
    FailingFiles files;
    const SqliteFile file;
    const auto store = file.open();
    REQUIRE(add(*store, "inc_0"));
    for (int i = 1; i < 4; ++i) {
        const auto before = files.calls(Call::sync);
        REQUIRE(add(*store, "inc_" + std::to_string(i)));
        CHECK(files.calls(Call::sync) > before);
    }
    const auto leased = store->lease("hook", new_year, 30s, 1, {}).value();
    const auto before = files.calls(Call::sync);
    REQUIRE(store->settle(leased.front().draft.id, leased.front().lease_token, delivered(new_year), {}));
    CHECK(files.calls(Call::sync) > before);
}

TEST_CASE("whether the store can be written is asked of the disk, each time") {
    FailingFiles files;
    const SqliteFile file;
    const auto store = file.open();
    REQUIRE(add(*store, "inc_1"));
    for (int i = 0; i < 3; ++i) {
        const auto before = files.calls(Call::sync);
        REQUIRE(store->check_writable({}));
        CHECK(files.calls(Call::sync) > before);
    }
    CHECK(Sqlite{file.path()}.value("SELECT count(*) FROM write_test") == "0");
    files.fail(Call::sync, 0, SQLITE_IOERR_FSYNC);
    CHECK_FALSE(store->check_writable({}));
    files.heal();
    CHECK(store->check_writable({}));
}

}  // namespace fusebox::test
