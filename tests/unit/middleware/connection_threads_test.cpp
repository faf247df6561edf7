#include "connection_threads.hpp"

#include <sys/socket.h>

#include <future>
#include <system_error>

#include "support/allocations/allocations.hpp"
#include "support/awaited_count.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace middleware;
using namespace std::chrono_literals;

namespace {

const Stopping never;

std::unique_ptr<Connection> connection() {
    int pair[2]{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    const Descriptor other{pair[1]};
    return std::make_unique<Connection>(Descriptor{pair[0]}, nullptr, never);
}

std::thread no_thread(const std::function<void()>&) {
    throw std::system_error(std::make_error_code(std::errc::resource_unavailable_try_again));
}

/// Holds every thread that serves until it is let go.
struct Gate {
    std::promise<void> open;
    std::shared_future<void> opened = open.get_future().share();
    AwaitedCount inside;
    AwaitedCount served;
    AwaitedCount freed;  ///< how often a thread has become free

    ConnectionThreads::Hooks hooks() {
        return {.serve =
                    [this](std::unique_ptr<Connection>&) {
                        inside.raise();
                        opened.wait();
                        served.raise();
                    },
                .on_free = [this] { freed.raise(); }};
    }
};

}  // namespace

TEST_CASE("every connection that is taken has a thread, and no more are taken than there are threads") {
    Gate gate;
    ConnectionThreads threads{3, gate.hooks()};
    for (int i = 0; i < 3; ++i) {
        auto one = connection();
        CHECK(threads.try_take(one));
        CHECK_FALSE(one);
    }
    auto fourth = connection();
    CHECK_FALSE(threads.try_take(fourth));
    CHECK(fourth);
    REQUIRE(gate.inside.reaches(3));
    gate.open.set_value();
    threads.shutdown();
    CHECK(gate.served.value() == 3);
    CHECK_FALSE(threads.try_take(fourth));
    CHECK(fourth);
}

TEST_CASE("a thread that has become free says so, and takes the next") {
    std::promise<void> free;
    std::atomic<int> served{0};
    ConnectionThreads threads{1,
                              {.serve = [&](std::unique_ptr<Connection>&) { ++served; },
                               .on_free =
                                   [&, first = true]() mutable {
                                       if (std::exchange(first, false)) free.set_value();
                                   }}};
    auto one = connection();
    REQUIRE(threads.try_take(one));
    REQUIRE(free.get_future().wait_for(5s) == std::future_status::ready);
    auto two = connection();
    CHECK(threads.try_take(two));
    threads.shutdown();
    CHECK(served == 2);
}

TEST_CASE("without a thread to be had a connection stays with its owner") {
    Gate gate;
    auto hooks = gate.hooks();
    bool may = true;
    hooks.start = [&may](std::function<void()> run) {
        return std::exchange(may, false) ? std::thread{std::move(run)} : no_thread(run);
    };
    ConnectionThreads threads{4, std::move(hooks)};
    auto one = connection();
    CHECK(threads.try_take(one));
    auto two = connection();
    CHECK_FALSE(threads.try_take(two));
    CHECK(two);
    gate.open.set_value();
    REQUIRE(gate.freed.reaches(1));
    CHECK(threads.try_take(two));  // the thread that there is serves it
    threads.shutdown();
    CHECK(gate.served.value() == 2);
    CHECK_THROWS_AS((ConnectionThreads{1, {.serve = {}, .start = no_thread}}.prepare(1)), std::system_error);
}

TEST_CASE("without memory a connection stays with its owner") {
    Gate gate;
    ConnectionThreads threads{1, gate.hooks()};
    auto one = connection();
    bool taken = true;
    {
        const NoMemory scarce;
        taken = threads.try_take(one);
    }
    if (allocations_are_counted()) {
        CHECK_FALSE(taken);
        CHECK(one);
        CHECK(threads.try_take(one));
    }
    gate.open.set_value();
    threads.shutdown();
    CHECK(gate.served.value() == 1);
}

TEST_CASE("what a thread throws ends one connection, and not the thread") {
    std::atomic<int> served{0};
    AwaitedCount freed;
    ConnectionThreads threads{1,
                              {.serve =
                                   [&](std::unique_ptr<Connection>&) {
                                       ++served;
                                       throw std::bad_alloc{};
                                   },
                               .on_free = [&] { freed.raise(); }}};
    for (int i = 1; i <= 2; ++i) {
        auto one = connection();
        CHECK(threads.try_take(one));
        CHECK_FALSE(one);
        REQUIRE(freed.reaches(i));
    }
    threads.shutdown();
    CHECK(served == 2);
}

}  // namespace fusebox::test
