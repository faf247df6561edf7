// The explorer itself: small programs whose executions can be counted by hand, and brute force as its judge.
#include <mutex>
#include <random>

#include "proof/explore/search.hpp"
#include "proof/explore/sync.hpp"
#include "support/catch.hpp"

namespace fusebox::test::explore {
namespace {

using Number = detail::Atomic<int>;
using Total = detail::Sum<int>;
using detail::Mutex;

TEST_CASE("Steps that do not depend on each other are explored in one order only") {
    const auto result = explore([](Program& program) {
        const auto numbers = std::make_shared<std::array<Number, 2>>();
        program.thread([=] { (*numbers)[0].store(1); });
        program.thread([=] { (*numbers)[1].store(1); });
    });
    CHECK(result.executions == 1);
    CHECK(result.redundant == 0);
    CHECK(result.steps == 2);
}

TEST_CASE("Two reads, and two additions that nobody sees the result of, may change places") {
    const auto result = explore([](Program& program) {
        const auto number = std::make_shared<Number>(7);
        const auto total = std::make_shared<Total>();
        for (int thread = 0; thread < 3; ++thread) {
            program.thread([=] {
                (void)number->load();
                total->fetch_add(1);
            });
        }
        program.finally([=] { require(total->load() == 3, "no addition is lost"); });
    });
    CHECK(result.failure.empty());
    CHECK(result.executions == 1);
}

TEST_CASE("n writes to one place are explored in n! orders") {
    for (const unsigned threads : {2U, 3U, 4U}) {
        const auto result = explore([=](Program& program) {
            const auto number = std::make_shared<Number>();
            for (unsigned thread = 0; thread < threads; ++thread) program.thread([=] { number->store(1); });
        });
        CHECK(result.executions == (threads == 2 ? 2U : threads == 3 ? 6U : 24U));
        CHECK(result.redundant == 0);
    }
}

// Two threads that each load, then store: 6 orders, of which those that begin with both loads are twice the same two.
TEST_CASE("A lost update is found") {
    std::set<int> ends;
    const auto setup = [&](Program& program) {
        const auto number = std::make_shared<Number>();
        for (int thread = 0; thread < 2; ++thread) program.thread([=] { number->store(number->load() + 1); });
        program.finally([=, &ends] { ends.insert(number->load()); });
    };
    const auto result = explore(setup);
    CHECK(ends == std::set<int>{1, 2});
    CHECK(result.executions == 4);
    CHECK(explore(setup, {.brute_force = true}).executions == 6);

    const auto failing = explore([](Program& program) {
        const auto number = std::make_shared<Number>();
        for (int thread = 0; thread < 2; ++thread) program.thread([=] { number->store(number->load() + 1); });
        program.finally([=] { require(number->load() == 2, "no update is lost"); });
    });
    CHECK(failing.failure.find("no update is lost") == 0);
    CHECK(failing.failure.find("search_test.cpp") != std::string::npos);
}

TEST_CASE("Neither a compare-and-swap loop nor a mutex loses an update") {
    const auto swapping = explore([](Program& program) {
        const auto number = std::make_shared<Number>();
        for (int thread = 0; thread < 3; ++thread) {
            program.thread([=] {
                auto seen = number->load();
                while (!number->compare_exchange_weak(seen, seen + 1)) {
                }
            });
        }
        program.finally([=] { require(number->load() == 3, "three additions"); });
    });
    CHECK(swapping.failure.empty());
    CHECK(swapping.executions > 6);

    const auto locking = explore([](Program& program) {
        const auto number = std::make_shared<Number>();
        const auto mutex = std::make_shared<Mutex>();
        for (int thread = 0; thread < 3; ++thread) {
            program.thread([=] {
                const std::scoped_lock lock{*mutex};
                number->store(number->load() + 1);
            });
        }
        program.finally([=] { require(number->load() == 3, "three additions"); });
    });
    CHECK(locking.failure.empty());
    CHECK(locking.executions == 6);
    CHECK(locking.redundant == 0);
}

TEST_CASE("A deadlock of two mutexes is found") {
    const auto program_with = [](bool same_order) {
        return [=](Program& program) {
            const auto mutexes = std::make_shared<std::array<Mutex, 2>>();
            for (const std::size_t first : {0U, 1U}) {
                program.thread([=] {
                    const auto one = same_order ? 0 : first;
                    const std::scoped_lock outer{(*mutexes)[one]};
                    const std::scoped_lock inner{(*mutexes)[1 - one]};
                });
            }
        };
    };
    CHECK(explore(program_with(false)).failure.find("deadlock") == 0);
    CHECK(explore(program_with(true)).failure.empty());
}

TEST_CASE("A thread that waits for another one in a loop is found not to end") {
    const auto result = explore([](Program& program) {
        const auto number = std::make_shared<Number>();
        program.thread([=] {
            while (number->load() == 0) {
            }
        });
        program.thread([=] { number->store(1); });
    });
    CHECK(result.failure.find("does not end") != std::string::npos);
}

TEST_CASE("What is too big fails and is not cut short") {
    const auto result = explore(
        [](Program& program) {
            const auto number = std::make_shared<Number>();
            for (int thread = 0; thread < 3; ++thread) program.thread([=] { number->store(1); });
        },
        {.most_executions = 5});
    CHECK(result.failure.find("not explored to the end") == 0);
}

TEST_CASE("A program that does not do the same each time is refused") {
    int runs = 0;
    const auto result = explore([&](Program& program) {
        const auto numbers = std::make_shared<std::array<Number, 2>>();
        const auto which = static_cast<std::size_t>(runs++ % 2);
        for (int thread = 0; thread < 2; ++thread) program.thread([=] { (*numbers)[which].store(1); });
    });
    CHECK(result.failure.find("the program does not do the same") == 0);
}

TEST_CASE("Operations can be kept whole") {
    const auto result = explore(
        [](Program& program) {
            const auto number = std::make_shared<Number>();
            for (int thread = 0; thread < 2; ++thread) {
                program.thread([=] {
                    for (int i = 0; i < 2; ++i) {
                        begin_operation();
                        number->store(number->load() + 1);
                    }
                });
            }
            program.finally([=] { require(number->load() == 4, "nothing overlaps"); });
        },
        {.granularity = Options::Granularity::operations});
    CHECK(result.failure.empty());
    CHECK(result.executions == 6);  // 4! / (2! · 2!)
}

// ---- brute force as the judge ----

struct Act {
    enum What : std::uint8_t { read, write, swap, add, sum, lock_first, lock_second } what;
    std::size_t place;
};
using Acts = std::vector<std::vector<Act>>;

struct Shared {
    std::array<Number, 2> numbers;
    Total total;
    std::array<Mutex, 2> mutexes;
    int seen{};  // by the threads, mixed so that another order shows
};

void act(Shared& shared, const std::vector<Act>& acts, std::size_t from) {
    for (auto index = from; index < acts.size(); ++index) {
        const auto& [what, place] = acts[index];
        auto& number = shared.numbers[place];
        switch (what) {
            case Act::read:
                shared.seen = shared.seen * 31 + number.load();
                break;
            case Act::write:
                number.store(static_cast<int>(index + 10));
                break;
            case Act::swap: {
                auto expected = 0;
                number.compare_exchange_strong(expected, static_cast<int>(index + 20));
                break;
            }
            case Act::add:
                shared.total.fetch_add(1);
                break;
            case Act::sum:
                if (shared.total.load() > 1) number.store(5);  // what a thread does may hang on what it saw
                break;
            case Act::lock_first:
            case Act::lock_second: {
                // Held to the end, so that two can wait for each other.
                const std::scoped_lock lock{shared.mutexes[what == Act::lock_first ? 0 : 1]};
                return act(shared, acts, index + 1);
            }
        }
    }
}

TEST_CASE("Exactly the executions that differ are explored, each once: brute force agrees on random programs") {
    std::mt19937 random{20260101};
    std::uint64_t deadlocks = 0;
    std::uint64_t executions = 0;
    std::uint64_t interleavings = 0;
    for (int round = 0; round < 600; ++round) {
        const auto threads = 2 + random() % 2;
        Acts acts(threads);
        for (auto& own : acts) {
            const auto length = 1 + random() % (threads == 2 ? 4 : 3);
            auto locks = 0;
            while (own.size() < length) {
                const auto what = static_cast<Act::What>(random() % 7);
                // A mutex is not taken twice by one thread.
                if (what >= Act::lock_first && (locks & 1 << what) != 0) continue;
                locks |= what >= Act::lock_first ? 1 << what : 0;
                own.push_back({what, random() % 2});
            }
        }
        const auto setup = [&](Program& program) {
            const auto shared = std::make_shared<Shared>();
            for (const auto& own : acts) program.thread([=, &own] { act(*shared, own, 0); });
        };
        std::set<std::vector<std::uint32_t>> all;
        std::set<std::vector<std::uint32_t>> explored;
        const auto brute = explore(setup, {.brute_force = true, .allow_deadlock = true, .traces = &all});
        const auto result = explore(setup, {.allow_deadlock = true, .traces = &explored});
        CAPTURE(round);
        REQUIRE(brute.failure.empty());
        REQUIRE(result.failure.empty());
        REQUIRE(explored == all);
        REQUIRE(result.executions == all.size());
        REQUIRE((result.deadlocks != 0) == (brute.deadlocks != 0));
        deadlocks += result.deadlocks;
        executions += result.executions;
        interleavings += brute.executions;
    }
    CHECK(deadlocks > 0);
    CHECK(interleavings > 20 * executions);
}

}  // namespace
}  // namespace fusebox::test::explore
