#include <atomic>
#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/rate_limiter.hpp>
#include <thread>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

struct Bench {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    RateLimiter limiter(RateLimiterConfig config) {
        return RateLimiter{config, {.clock = &clock, .sleeper = &sleeper}};
    }
};

int take_all(const RateLimiter& limiter) {
    int taken = 0;
    while (limiter.try_acquire()) ++taken;
    return taken;
}

}  // namespace

TEST_CASE("§14: a rate limiter starts full and refills one permit at a time") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 4, .period = 1s});
    CHECK(take_all(limiter) == 4);
    bench.clock.advance(249ms);
    CHECK(take_all(limiter) == 0);
    bench.clock.advance(1ms);
    CHECK(take_all(limiter) == 1);
    bench.clock.advance(500ms);
    CHECK(take_all(limiter) == 2);
    bench.clock.advance(1h);
    CHECK(take_all(limiter) == 4);
}

TEST_CASE("§14: a rate limiter saves up no more than its burst") {
    Bench bench;
    const auto even = bench.limiter({.permits = 10, .period = 1s, .burst = 1});
    CHECK(take_all(even) == 1);
    bench.clock.advance(1h);
    CHECK(take_all(even) == 1);
    const auto bursty = bench.limiter({.permits = 1, .period = 1s, .burst = 20});
    CHECK(take_all(bursty) == 20);
    bench.clock.advance(5s);
    CHECK(take_all(bursty) == 5);
}

TEST_CASE("§14: a rate that does not divide is rounded down, never up") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 3, .period = 1s, .burst = 1});
    CHECK(take_all(limiter) == 1);
    bench.clock.advance(333'333'333ns);
    CHECK(take_all(limiter) == 0);
    bench.clock.advance(1ns);
    CHECK(take_all(limiter) == 1);
}

TEST_CASE("§14: a rate limiter's rejection says when the next permit comes") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 4, .period = 1s, .burst = 1});
    REQUIRE(limiter.try_acquire());
    bench.clock.advance(50ms);
    const auto refused = limiter.try_acquire();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == Rejection::Kind::rate_limited);
    CHECK(refused.error().retry_after == 200ms);
    CHECK(describe(refused.error()) == "rate limit reached, retry after 200ms");
    bench.clock.advance(refused.error().retry_after);
    CHECK(limiter.try_acquire());
    CHECK(limiter.rejected() == 1);
}

TEST_CASE("§14: a rate limiter's rejection costs no permit") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 1, .period = 1s});
    REQUIRE(limiter.try_acquire());
    for (int i = 0; i < 100; ++i) CHECK_FALSE(limiter.try_acquire());
    bench.clock.advance(1s);
    CHECK(limiter.try_acquire());
}

TEST_CASE("§14: who may wait for a rate limiter sleeps until the permit's time") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 10, .period = 1s, .burst = 1, .max_wait = 250ms});
    std::size_t calls = 0;
    const auto call = [&] { return call_with(limiter, [&] { return ++calls; }).has_value(); };
    CHECK(call());
    CHECK(call());
    CHECK(call());
    CHECK(bench.sleeper.waits() == std::vector<Duration>{100ms, 100ms});
    CHECK(calls == 3);
}

TEST_CASE("§14: waiting for a rate limiter goes in order of arrival and is bounded by max_wait") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 10, .period = 1s, .burst = 1, .max_wait = 250ms});
    REQUIRE(limiter.try_acquire());
    // While one waits, others come: each one's turn is a tenth of a second later.
    std::vector<std::expected<void, Rejection>> nested;
    bench.sleeper.on_wait([&](Duration) {
        if (bench.sleeper.waits().size() < 4) nested.push_back(limiter.acquire({}));
    });
    CHECK(limiter.acquire({}));
    CHECK(bench.sleeper.waits() == std::vector<Duration>{100ms, 200ms});
    REQUIRE(nested.size() == 2);
    CHECK_FALSE(nested[0]);
    CHECK(nested[0].error().retry_after == 300ms);
    CHECK(nested[1]);
}

TEST_CASE("§14: nobody waits for a rate limiter past the deadline") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 1, .period = 1s, .max_wait = 10s});
    REQUIRE(limiter.try_acquire());
    const auto refused = limiter.acquire(CallContext::with_timeout(999ms, bench.clock));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().retry_after == 1s);
    CHECK(bench.sleeper.waits().empty());
    CHECK(limiter.acquire(CallContext::with_timeout(1s, bench.clock)));
    CHECK_FALSE(limiter.try_acquire());  // the permit is used up
}

TEST_CASE("§14: a wait that is stopped gives its permit back") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 1, .period = 1s, .max_wait = 10s});
    REQUIRE(limiter.try_acquire());
    std::stop_source stop;
    bench.sleeper.on_wait([&](Duration) { stop.request_stop(); });
    CHECK_FALSE(limiter.acquire(CallContext{bench.clock, std::nullopt, stop.get_token()}));
    CHECK(limiter.rejected() == 1);
    bench.clock.advance(1s);
    CHECK(limiter.try_acquire());
}

TEST_CASE("§14: however threads race, a rate limiter gives out exactly its permits") {
    Bench bench;
    const auto limiter = bench.limiter({.permits = 1000, .period = 1s});
    std::atomic<int> taken{};
    const auto race = [&] {
        std::vector<std::jthread> pool;
        for (int t = 0; t < 4; ++t) {
            pool.emplace_back([&] {
                for (int i = 0; i < 1000; ++i) {
                    if (limiter.try_acquire()) taken.fetch_add(1);
                }
            });
        }
    };
    race();
    CHECK(taken == 1000);
    bench.clock.advance(500ms);
    race();
    CHECK(taken == 1500);
}

TEST_CASE("§14: a rate limiter's configuration error names every bad field") {
    CHECK(bad_fields([] { RateLimiter{{.permits = 0, .period = 0s, .burst = 0, .max_wait = -1s}}; }) ==
          "invalid rate limiter: permits period burst max_wait");
    CHECK(bad_fields([] { RateLimiter{{.permits = 1'000'000, .period = 1ms}}; }) == "invalid rate limiter: permits");
    CHECK(RateLimiter{}.describe() == "rate_limiter(100 per 1s)");
    CHECK(RateLimiter{{.permits = 2, .period = 1min, .burst = 1, .max_wait = 3s}}.describe() ==
          "rate_limiter(2 per 1m, burst 1, waits 3s)");
}

}  // namespace fusebox::test
