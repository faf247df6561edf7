#include "upkeep.hpp"

#include <condition_variable>
#include <stdexcept>

#include <fusebox/core/manual_clock.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using namespace service;
using Result = std::expected<UpkeepResult, std::string>;

namespace {

/// A job that answers as it is told, and what was said of its runs.
struct Rig {
    ManualClock clock;
    int runs{};
    Result answer{};
    std::vector<std::string> said;

    UpkeepOptions options(UpkeepJob job) {
        job.run = [this] {
            ++runs;
            return answer;
        };
        return {.jobs = {std::move(job)},
                .on_run =
                    [this](const UpkeepJob& ran, const Result& result) {
                        said.push_back(ran.name + ": " + (result ? std::to_string(result->done) : result.error()));
                    },
                .clock = &clock,
                .breath = 100ms};
    }
};

}  // namespace

TEST_CASE("a job runs first when it may, then after each period") {
    Rig rig;
    Upkeep upkeep{rig.options({.name = "expire", .every = 5s, .first = 5min})};
    CHECK(upkeep.run_due() == 5min);
    rig.clock.advance(5min - 1ns);
    CHECK(upkeep.run_due() == 1ns);
    CHECK(rig.runs == 0);
    rig.clock.advance(1ns);
    CHECK(upkeep.run_due() == 5s);
    CHECK(rig.runs == 1);
    CHECK(upkeep.run_due() == 5s);
    CHECK(rig.runs == 1);
    rig.clock.advance(5s);
    upkeep.run_due();
    CHECK(rig.runs == 2);
}

TEST_CASE("a step of the wall clock neither hastens nor delays a job") {
    Rig rig;
    Upkeep upkeep{rig.options({.name = "expire", .every = 5s, .first = 5s})};
    rig.clock.step_wall(240h);
    CHECK(upkeep.run_due() == 5s);
    CHECK(rig.runs == 0);
    rig.clock.step_wall(-480h);
    rig.clock.advance(5s);
    upkeep.run_due();
    CHECK(rig.runs == 1);
}

TEST_CASE("a job with more to do goes on after a breath, batch by batch") {
    Rig rig;
    rig.answer = UpkeepResult{.done = 500, .more = true};
    Upkeep upkeep{rig.options({.name = "prune", .every = 10min})};
    CHECK(upkeep.run_due() == 100ms);
    CHECK(rig.runs == 1);
    rig.clock.advance(100ms);
    rig.answer = UpkeepResult{.done = 20};
    CHECK(upkeep.run_due() == 10min);
    CHECK(rig.said == std::vector<std::string>{"prune: 500", "prune: 20"});
}

TEST_CASE("a failure is told and tried again, and does not keep other jobs from running") {
    Rig rig;
    auto options = rig.options({.name = "prune", .every = 10min});
    int others = 0;
    options.jobs.push_back({.name = "other", .every = 10min, .run = [&] {
                                ++others;
                                return Result{};
                            }});
    options.jobs.front().run = [&]() -> Result {
        if (++rig.runs == 1) return std::unexpected("the store is busy");
        if (rig.runs == 2) throw std::runtime_error("out of memory");
        if (rig.runs == 3) throw 7;
        return UpkeepResult{.done = 1};
    };
    Upkeep upkeep{options};
    for (int i = 0; i < 4; ++i) {
        upkeep.run_due();
        rig.clock.advance(10min);
    }
    CHECK(rig.said == std::vector<std::string>{"prune: the store is busy", "other: 0", "prune: out of memory",
                                               "other: 0", "prune: it threw what is no std::exception", "other: 0",
                                               "prune: 1", "other: 0"});
    CHECK(others == 4);
}

TEST_CASE("a listener that throws ends neither upkeep nor the process") {
    Rig rig;
    auto options = rig.options({.name = "expire", .every = 10s});
    options.on_run = [](const UpkeepJob&, const Result&) { throw std::runtime_error("out of memory"); };
    Upkeep upkeep{options};
    for (int i = 0; i < 3; ++i) {
        CHECK(upkeep.run_due() == 10s);
        rig.clock.advance(10s);
    }
    CHECK(rig.runs == 3);
}

TEST_CASE("the thread runs what is due, ends at once, and runs a last time what is to run at the stop") {
    std::mutex mutex;
    std::condition_variable changed;
    int runs = 0;
    int last_runs = 0;
    UpkeepOptions options;
    options.jobs.push_back({.name = "now", .every = 1ms, .run = [&] {
                                const std::lock_guard lock(mutex);
                                ++runs;
                                changed.notify_all();
                                return Result{};
                            }});
    options.jobs.push_back({.name = "at the stop", .every = 24h, .first = 24h, .at_stop = true, .run = [&] {
                                ++last_runs;
                                return Result{};
                            }});
    Upkeep upkeep{options};
    upkeep.start();
    {
        std::unique_lock lock(mutex);
        REQUIRE(changed.wait_for(lock, 20s, [&] { return runs >= 3; }));
    }
    upkeep.stop();
    const auto at_stop = runs;
    CHECK(last_runs == 1);
    upkeep.stop();
    CHECK(runs == at_stop);
    CHECK(last_runs == 1);
}

}  // namespace fusebox::test
