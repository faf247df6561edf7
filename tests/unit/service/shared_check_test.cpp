#include "shared_check.hpp"

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>

#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using service::SharedCheck;
using Answer = SharedCheck::Answer;

TEST_CASE("an answer serves everybody while it is fresh, a bad one too") {
    ManualClock clock;
    int checks = 0;
    Answer answer;
    SharedCheck check{[&] {
                          ++checks;
                          return answer;
                      },
                      1s, clock};
    CHECK(check.ask());
    answer = std::unexpected("disk full");
    clock.advance(1s - 1ns);
    CHECK(check.ask());
    CHECK(checks == 1);
    clock.advance(1ns);
    CHECK(check.ask() == answer);
    CHECK(check.ask() == answer);
    CHECK(checks == 2);
}

TEST_CASE("who asks while the check runs waits for its answer and starts no second one") {
    ManualClock clock;
    std::atomic<int> checks{0};
    std::promise<void> entered;
    std::promise<void> leave;
    SharedCheck check{[&]() -> Answer {
                          ++checks;
                          entered.set_value();
                          leave.get_future().wait();
                          return std::unexpected("locked");
                      },
                      1s, clock};
    std::vector<std::future<Answer>> asked;
    asked.push_back(std::async(std::launch::async, [&] { return check.ask(); }));
    entered.get_future().wait();
    for (int i = 0; i < 3; ++i) asked.push_back(std::async(std::launch::async, [&] { return check.ask(); }));
    leave.set_value();
    for (auto& answer : asked) CHECK(answer.get().error() == "locked");
    CHECK(checks == 1);
}

TEST_CASE("a check that throws what is no std::exception leaves nobody waiting") {
    ManualClock clock;
    bool throws = true;
    SharedCheck check{[&]() -> Answer {
                          if (throws) throw 7;  // NOLINT(hicpp-exception-baseclass)
                          return {};
                      },
                      1s, clock};
    CHECK_FALSE(check.ask());
    throws = false;
    clock.advance(1s);
    auto second = std::async(std::launch::async, [&] { return check.ask(); });
    REQUIRE(second.wait_for(5s) == std::future_status::ready);
    CHECK(second.get());
}

TEST_CASE("a check that throws is an answer, and the next one runs") {
    ManualClock clock;
    int checks = 0;
    SharedCheck check{[&]() -> Answer {
                          if (++checks == 1) throw std::runtime_error("out of memory");
                          return {};
                      },
                      1s, clock};
    CHECK(check.ask().error() == "out of memory");
    clock.advance(1s);
    CHECK(check.ask());
}

}  // namespace fusebox::test
