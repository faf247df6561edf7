#include <atomic>
#include <fusebox/policies/bulkhead.hpp>
#include <fusebox/policies/manual_sleeper.hpp>
#include <limits>
#include <stdexcept>
#include <thread>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

struct Bench {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    Bulkhead bulkhead(BulkheadConfig config) { return Bulkhead{config, {.clock = &clock, .sleeper = &sleeper}}; }
};

}  // namespace

TEST_CASE("§14: a bulkhead admits max_concurrent calls and rejects the next at once") {
    const Bulkhead bulkhead{{.max_concurrent = 2}};
    auto first = bulkhead.try_enter();
    auto second = bulkhead.try_enter();
    REQUIRE(first);
    REQUIRE(second);
    const auto third = bulkhead.try_enter();
    REQUIRE_FALSE(third);
    CHECK(third.error().kind == Rejection::Kind::bulkhead_full);
    CHECK(third.error().state == State::closed);
    CHECK_FALSE(bulkhead.enter({}));
    CHECK(bulkhead.metrics().in_flight == 2);
    CHECK(bulkhead.metrics().rejected == 2);
    first->release();
    first->release();  // a second time does nothing
    CHECK(bulkhead.metrics().in_flight == 1);
    CHECK(bulkhead.try_enter());
}

TEST_CASE("§14: a bulkhead frees the slot however the call ends") {
    const Bulkhead bulkhead{{.max_concurrent = 1}};
    std::uint32_t during = 0;
    CHECK(call_with(bulkhead, [&] { return during = bulkhead.metrics().in_flight; }));
    CHECK(during == 1);
    CHECK(bulkhead.metrics().in_flight == 0);
    CHECK_FALSE(call_with(bulkhead, [] { return failed(); }));
    CHECK(bulkhead.metrics().in_flight == 0);
    CHECK_THROWS(call_with(bulkhead, []() -> Result { throw std::runtime_error{"bug"}; }));
    CHECK(bulkhead.metrics().in_flight == 0);
}

TEST_CASE("§14: copies of a bulkhead share its slots, and a slot moves") {
    const Bulkhead bulkhead{{.max_concurrent = 1}};
    const auto copy = bulkhead;
    auto slot = bulkhead.try_enter();
    CHECK_FALSE(copy.try_enter());
    auto moved = std::move(*slot);
    slot->release();
    CHECK_FALSE(copy.try_enter());
    moved.release();
    auto other = copy.try_enter();
    REQUIRE(other);
    moved = std::move(*other);
    CHECK(bulkhead.metrics().in_flight == 1);
}

TEST_CASE("§14: who waits for a bulkhead gets the slot that is freed") {
    Bench bench;
    const auto bulkhead = bench.bulkhead({.max_concurrent = 1, .max_waiting = 1, .max_wait = 5s});
    auto slot = bulkhead.try_enter();
    std::uint32_t waiting = 0;
    bench.sleeper.on_wait([&](Duration) {
        waiting = bulkhead.metrics().waiting;
        slot->release();
        // The slot was handed over: nobody can snatch it.
        CHECK_FALSE(bulkhead.try_enter());
    });
    const auto answer = call_with(bulkhead, [&] {
        CHECK(bulkhead.metrics().in_flight == 1);
        return 7;
    });
    CHECK(answer.value() == 7);
    CHECK(waiting == 1);
    CHECK(bulkhead.metrics().waiting == 0);
    CHECK(bulkhead.metrics().in_flight == 0);
}

TEST_CASE("§14: a bulkhead's wait ends at max_wait or at the deadline") {
    Bench bench;
    const auto bulkhead = bench.bulkhead({.max_concurrent = 1, .max_waiting = 1, .max_wait = 5s});
    const auto slot = bulkhead.try_enter();
    CHECK(refusal(call_with(bulkhead, [] { return 7; })) == Rejection::Kind::bulkhead_full);
    CHECK_FALSE(bulkhead.enter(CallContext::with_timeout(2s, bench.clock)));
    CHECK_FALSE(bulkhead.enter(CallContext::with_timeout(0s, bench.clock)));
    CHECK(bench.sleeper.waits() == std::vector<Duration>{5s, 2s});
    CHECK(bulkhead.metrics().waiting == 0);
    CHECK(bulkhead.metrics().rejected == 3);
}

TEST_CASE("§14: a stop request ends a bulkhead's wait") {
    Bench bench;
    const auto bulkhead = bench.bulkhead({.max_concurrent = 1, .max_waiting = 1, .max_wait = 5s});
    const auto slot = bulkhead.try_enter();
    std::stop_source stop;
    bench.sleeper.on_wait([&](Duration) { stop.request_stop(); });
    const CallContext context{bench.clock, std::nullopt, stop.get_token()};
    CHECK_FALSE(bulkhead.enter(context));
    CHECK_FALSE(bulkhead.enter(context));
    CHECK(bench.sleeper.waits().size() == 1);
    CHECK(bulkhead.metrics().waiting == 0);
}

TEST_CASE("§14: a bulkhead's queue is bounded and served in order of arrival") {
    Bench bench;
    const auto bulkhead = bench.bulkhead({.max_concurrent = 1, .max_waiting = 2, .max_wait = 5s});
    auto slot = bulkhead.try_enter();
    std::string order;
    const auto named = [&](char name) { return [&order, name] { order += name; }; };
    int depth = 0;
    bench.sleeper.on_wait([&](Duration) {
        // While a waits, b comes and waits behind it; c finds no room; the slot that is freed then is a's.
        if (++depth == 1) {
            CHECK_FALSE(call_with(bulkhead, named('b')));
        } else {
            CHECK(bulkhead.metrics().waiting == 2);
            CHECK_FALSE(call_with(bulkhead, named('c')));
            slot->release();
        }
    });
    CHECK(call_with(bulkhead, named('a')));
    CHECK(order == "a");
    CHECK(depth == 2);
    CHECK(bulkhead.metrics().waiting == 0);
}

TEST_CASE("§14: an exception out of a wait leaves nothing behind in a bulkhead") {
    Bench bench;
    const auto bulkhead = bench.bulkhead({.max_concurrent = 1, .max_waiting = 1, .max_wait = 5s});
    auto slot = bulkhead.try_enter();
    bench.sleeper.on_wait([](Duration) { throw std::runtime_error{"hook"}; });
    CHECK_THROWS_AS(bulkhead.enter({}), std::runtime_error);
    CHECK(bulkhead.metrics().waiting == 0);
    bench.sleeper.on_wait([&](Duration) {
        slot->release();
        throw std::runtime_error{"hook"};
    });
    CHECK_THROWS_AS(bulkhead.enter({}), std::runtime_error);
    CHECK(bulkhead.metrics().waiting == 0);
    CHECK(bulkhead.metrics().in_flight == 0);
}

TEST_CASE("§14: however threads race, a bulkhead admits no call too many and loses no slot") {
    const Bulkhead bulkhead{{.max_concurrent = 2, .max_waiting = 8, .max_wait = 24h}};
    std::atomic<int> inside{};
    std::atomic<int> most{};
    std::atomic<int> done{};
    constexpr int threads = 4;
    constexpr int rounds = 2000;
    {
        std::vector<std::jthread> pool;
        for (int t = 0; t < threads; ++t) {
            pool.emplace_back([&] {
                for (int i = 0; i < rounds; ++i) {
                    const auto answer = call_with(bulkhead, [&] {
                        const auto now = inside.fetch_add(1) + 1;
                        auto seen = most.load();
                        while (now > seen && !most.compare_exchange_weak(seen, now)) {
                        }
                        if (i % 16 == 0) std::this_thread::yield();
                        inside.fetch_sub(1);
                    });
                    if (answer) done.fetch_add(1);
                }
            });
        }
    }
    CHECK(most <= 2);
    CHECK(done == threads * rounds);  // there was room for all to wait
    CHECK(bulkhead.metrics().in_flight == 0);
    CHECK(bulkhead.metrics().waiting == 0);
    CHECK(bulkhead.metrics().rejected == 0);
}

TEST_CASE("§14: waits that are stopped while slots are freed lose no slot") {
    const Bulkhead bulkhead{{.max_concurrent = 1, .max_waiting = 4, .max_wait = 24h}};
    constexpr int rounds = 1000;
    {
        std::vector<std::jthread> pool;
        for (int t = 0; t < 3; ++t) {
            pool.emplace_back([&] {
                for (int i = 0; i < rounds; ++i) {
                    std::stop_source stop;
                    std::jthread stopper{[&] { stop.request_stop(); }};
                    auto slot = bulkhead.enter(CallContext{steady_clock(), std::nullopt, stop.get_token()});
                }
            });
        }
    }
    CHECK(bulkhead.metrics().in_flight == 0);
    CHECK(bulkhead.metrics().waiting == 0);
}

TEST_CASE("§14: a bulkhead's configuration error names every bad field") {
    CHECK(bad_fields([] { Bulkhead{{.max_concurrent = 0, .max_waiting = 2'000'000, .max_wait = 0s}}; }) ==
          "invalid bulkhead: max_concurrent max_waiting max_wait");
    CHECK(Bulkhead{{.max_concurrent = 3}}.describe() == "bulkhead(3)");
    CHECK(Bulkhead{{.max_concurrent = 3, .max_waiting = 2}}.describe() == "bulkhead(3, 2 waiting)");
}

}  // namespace fusebox::test
