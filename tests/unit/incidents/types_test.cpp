#include <fusebox/incidents/types.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <set>
#include <thread>
#include <vector>

#include "support/catch.hpp"
#include "unit/incidents/alert_samples.hpp"

namespace fusebox::test {

using namespace incidents;

using namespace std::chrono;

TEST_CASE("severities are written P0 to P4 and read back") {
    using enum Severity;
    for (const auto severity : {p0, p1, p2, p3, p4}) CHECK(severity_from_string(to_string(severity)) == severity);
    CHECK(to_string(p0) == "P0");
    CHECK(to_string(p4) == "P4");
}

TEST_CASE("a severity is also read from the words that alerts use, in any case") {
    const std::vector<std::pair<const char*, Severity>> words{
        {"p0", Severity::p0},     {"critical", Severity::p0},  {"Critical", Severity::p0}, {"ERROR", Severity::p1},
        {"page", Severity::p0},   {"emergency", Severity::p0}, {"fatal", Severity::p0},    {"disaster", Severity::p0},
        {"sev1", Severity::p0},   {"major", Severity::p1},     {"sev2", Severity::p1},     {"sev3", Severity::p2},
        {"sev4", Severity::p3},   {"debug", Severity::p4},     {"high", Severity::p1},     {"warning", Severity::p2},
        {"medium", Severity::p2}, {"info", Severity::p3},      {"low", Severity::p3},      {"none", Severity::p4},
        {"p4", Severity::p4},
    };
    for (const auto& [word, severity] : words) {
        CAPTURE(word);
        CHECK(severity_from_string(word) == severity);
    }
    for (const char* word : {"", "p", "p5", "P", "P00", " critical", "critical ", "crit", "pages", "0"}) {
        CAPTURE(word);
        CHECK_FALSE(severity_from_string(word));
    }
}

TEST_CASE("an identifier is its prefix and 26 Crockford digits that begin with the time") {
    // 48 bits of milliseconds as ten digits of base 32.
    const auto id = new_id("inc", new_year);
    CHECK(id.size() == 30);
    CHECK(id.substr(0, 14) == "inc_01KDVDNA00");
    CHECK(id.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ", 4) == std::string::npos);
    CHECK(new_id("msg", new_year + milliseconds{1}).substr(0, 14) == "msg_01KDVDNA01");
    CHECK(new_id("x", WallTime::min()).substr(0, 12) == "x_0000000000");
}

TEST_CASE("identifiers sort by their time") {
    CHECK(new_id("inc", new_year) < new_id("inc", new_year + milliseconds{1}));
    CHECK(new_id("inc", new_year) < new_id("inc", new_year + hours{24 * 365 * 100}));
}

TEST_CASE("identifiers of one millisecond differ, whichever thread makes them") {
    constexpr std::size_t threads = 8;
    constexpr std::size_t each = 2'000;
    std::array<std::vector<std::string>, threads> made;
    {
        std::vector<std::jthread> workers;
        for (auto& ids : made) {
            workers.emplace_back([&ids] {
                for (std::size_t i = 0; i < each; ++i) ids.push_back(new_id("inc", new_year));
            });
        }
    }
    std::set<std::string> distinct;
    for (const auto& ids : made) distinct.insert(ids.begin(), ids.end());
    CHECK(distinct.size() == threads * each);
}

TEST_CASE("identifiers of one millisecond differ between a process and its fork") {
    std::array<int, 2> pipe{};
    REQUIRE(::pipe(pipe.data()) == 0);
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        const auto id = new_id("inc", new_year);
        ::_exit(::write(pipe[1], id.data(), id.size()) == static_cast<ssize_t>(id.size()) ? 0 : 1);
    }
    std::string theirs(30, '\0');
    CHECK(::read(pipe[0], theirs.data(), theirs.size()) == 30);
    int status = 0;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    ::close(pipe[0]);
    ::close(pipe[1]);
    CHECK(theirs != new_id("inc", new_year));
}

}  // namespace fusebox::test
