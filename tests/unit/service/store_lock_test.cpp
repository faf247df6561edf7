#include "store_lock.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "support/catch.hpp"
#include "support/temporary_folder.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using service::StoreLock;

TEST_CASE("one store has one holder at a time, under whatever name") {
    const TemporaryFolder folder;
    const auto url = "sqlite:" + (folder.path() / "data" / "i.db").string();
    auto first = StoreLock::take(url, 0ms);
    REQUIRE(first);
    std::filesystem::create_directory_symlink(folder.path() / "data", folder.path() / "link");
    for (const auto& same : {url, "sqlite:" + (folder.path() / "link" / "i.db").string()}) {
        const auto second = StoreLock::take(same, 0ms);
        REQUIRE_FALSE(second);
        CHECK(second.error().find("process " + std::to_string(::getpid())) != std::string::npos);
        CHECK(second.error().find(same) != std::string::npos);
    }
    CHECK(StoreLock::take("sqlite:" + (folder.path() / "data" / "other.db").string(), 0ms));
    *first = {};
    CHECK(StoreLock::take(url, 0ms));
}

TEST_CASE("the lock of a process that was killed is free, and the folder is for nobody else") {
    const TemporaryFolder folder;
    const auto url = "sqlite:" + (folder.path() / "data" / "i.db").string();
    const auto child = ::fork();
    if (child == 0) {
        const auto lock = StoreLock::take(url, 0ms);
        ::_exit(lock ? 7 : 1);  // without destructors, as SIGKILL does
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WEXITSTATUS(status) == 7);
    CHECK(StoreLock::take(url, 0ms));
    using std::filesystem::perms;
    CHECK((std::filesystem::status(folder.path() / "data").permissions() & (perms::group_all | perms::others_all)) ==
          perms::none);
}

TEST_CASE("what is no file needs no lock, and what cannot be locked is left to the store") {
    CHECK(StoreLock::take("memory:", 0ms));
    CHECK(StoreLock::take("memory:", 0ms));
    CHECK(StoreLock::take("sqlite:", 0ms));
    CHECK(StoreLock::take("sqlite:/proc/none/i.db", 0ms));
}

}  // namespace fusebox::test
