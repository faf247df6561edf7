#include <fusebox/core/clock.hpp>
#include <fusebox/core/detail/tick_line.hpp>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <thread>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace detail;
namespace {

constexpr std::int64_t millisecond = 1'000'000;
constexpr std::int64_t second = 1'000'000'000;

// A counter of 3 ticks per nanosecond and a clock whose rate can be changed, as NTP does.
struct Machine {
    std::uint64_t ticks = 1'000'000;
    double clock = 5e9;
    double rate = 1;
    TickLine line;
    std::int64_t last_read = 0;

    void pass(std::int64_t nanoseconds) {
        ticks += static_cast<std::uint64_t>(nanoseconds) * 3;
        clock += static_cast<double>(nanoseconds) * rate;
    }
    [[nodiscard]] std::int64_t now() const { return static_cast<std::int64_t>(clock); }
    void fit() { line.fit(ticks, now()); }
    // As read_steady_clock does.
    std::int64_t read() {
        auto time = line.read(ticks);
        if (!time) {
            fit();
            time = line.read(ticks);
        }
        last_read = time ? *time : std::max(now(), line.floor());
        return last_read;
    }
};

TEST_CASE("R30: a tick line gives no time before it has seen its clock twice, ten milliseconds apart") {
    Machine machine;
    CHECK_FALSE(machine.line.read(machine.ticks));
    machine.fit();
    CHECK_FALSE(machine.line.read(machine.ticks));
    machine.pass(9 * millisecond);
    machine.fit();
    CHECK_FALSE(machine.line.read(machine.ticks));
    machine.pass(1 * millisecond);
    machine.fit();
    REQUIRE(machine.line.read(machine.ticks));
    CHECK(*machine.line.read(machine.ticks) == machine.now());
}

TEST_CASE(
    "R30: a tick line follows a steady clock to the nanosecond, and is due after ten times what it was fitted to") {
    Machine machine;
    machine.fit();
    machine.pass(20 * millisecond);
    machine.fit();
    for (int step = 0; step < 199; ++step) {
        machine.pass(millisecond);
        const auto time = machine.line.read(machine.ticks);
        REQUIRE(time);
        REQUIRE(std::llabs(*time - machine.now()) <= 1);
    }
    machine.pass(2 * millisecond);
    CHECK_FALSE(machine.line.read(machine.ticks));
    CHECK(machine.line.read(machine.ticks, TickLine::Read::overdue));
    machine.pass(200 * millisecond);
    CHECK_FALSE(machine.line.read(machine.ticks, TickLine::Read::overdue));
    // Another core's counter may lag a little; a time well before the line is not the line's to give.
    machine.fit();
    CHECK(machine.line.read(machine.ticks));
    CHECK(machine.line.read(machine.ticks - 1) == machine.line.read(machine.ticks));
    CHECK_FALSE(machine.line.read(machine.ticks - 100'000));
}

TEST_CASE("R30: a tick line is off a steered clock by two seconds of steering at most, and never goes back") {
    Machine machine;
    std::uint64_t random = 42;
    const auto next = [&](std::uint64_t bound) {
        random = random * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
        return static_cast<std::int64_t>((random >> 33U) % bound);
    };
    std::int64_t last = 0;
    double worst = 0;
    for (int step = 0; step < 200'000; ++step) {
        // At most 500 parts in a million: what adjtimex may slew by.
        if (step % 1000 == 0) machine.rate = 1 + static_cast<double>(next(1001) - 500) * 1e-6;
        machine.pass(next(200'000));
        const auto time = machine.read();
        REQUIRE(time >= last);
        last = time;
        worst = std::max(worst, std::abs(static_cast<double>(time) - machine.clock));
    }
    // A second at a rate that is 1000 parts in a million off, forwards or backwards, and a second to make up for it.
    CHECK(worst < 2'100'000);
    machine.rate = 1;
    for (int step = 0; step < 50'000; ++step) {
        machine.pass(100'000);
        machine.read();
    }
    CHECK(std::abs(static_cast<double>(machine.last_read) - machine.clock) < 1000);
}

TEST_CASE("R30: after a long silence a tick line is right at once") {
    Machine machine;
    machine.fit();
    machine.pass(second);
    machine.fit();
    machine.rate = 1.0001;
    machine.pass(3600 * second);
    CHECK(std::llabs(machine.read() - machine.now()) <= 1);
}

TEST_CASE("R30: a counter that was set back, or runs at another rate, is measured anew and time does not go back") {
    Machine machine;
    machine.fit();
    machine.pass(second);
    machine.fit();
    machine.pass(500 * millisecond);
    const auto before = machine.read();
    const bool set_back = GENERATE(true, false);
    if (set_back) {
        machine.ticks = 5;
    } else {
        machine.ticks += 100U * second;
    }
    machine.pass(millisecond);
    CHECK(machine.read() >= before);
    CHECK_FALSE(machine.line.read(machine.ticks));
    machine.pass(20 * millisecond);
    CHECK(machine.read() >= before);
    CHECK(machine.line.read(machine.ticks));
    machine.pass(5 * second);
    CHECK(std::llabs(machine.read() - machine.now()) <= 1000);
}

TEST_CASE("R30: who reads a tick line while it is fitted over and over never gets parts of two lines") {
    TickLine line;
    std::atomic<std::int64_t> now{second};
    std::atomic<bool> done{false};
    std::thread fitter{[&] {
        for (int fits = 0; fits < 2'000'000; ++fits) {
            const auto time = now.load() + 30 * millisecond;
            now.store(time);
            line.fit(static_cast<std::uint64_t>(time) * 3, time);
        }
        done = true;
    }};
    // Parts of two lines are off by the 30 milliseconds between them.
    std::int64_t worst = 0;
    std::uint64_t reads = 0;
    while (!done) {
        const auto time = now.load();
        const auto read = line.read(static_cast<std::uint64_t>(time) * 3);
        if (!read) continue;  // a newer line begins after `time`
        worst = std::max<std::int64_t>(worst, std::llabs(*read - time));
        ++reads;
    }
    fitter.join();
    CHECK(reads > 0);
    CHECK(worst < millisecond);
}

TEST_CASE("R30: the shared steady clock is std::chrono's, right to the microsecond or so") {
    std::int64_t worst = 0;
    for (int look = 0; look < 20'000; ++look) {
        const auto before = std::chrono::steady_clock::now();
        const auto time = SteadyClock::read();
        const auto after = std::chrono::steady_clock::now();
        if (after - before > std::chrono::microseconds{10}) continue;  // something else ran in between
        worst = std::max({worst, (before - time).count(), (time - after).count()});
    }
    CHECK(worst < millisecond);
}

}  // namespace
}  // namespace fusebox::test
