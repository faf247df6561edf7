#include <condition_variable>
#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/hedge.hpp>
#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/thread_pool.hpp>
#include <fusebox/policies/timeout.hpp>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

// The executor keeps the attempts; `at_wait(n)` says what happens while the caller waits for the n-th time.
struct Bench {
    explicit Bench(std::size_t room = 16) : executor{room} {}
    ManualClock clock;
    ManualSleeper sleeper{clock};
    QueueExecutor executor;
    Hedge hedge(HedgeConfig config = {.delay = 50ms}, std::optional<RetryBudget> budget = {}) {
        return Hedge{executor, config, {.budget = std::move(budget), .clock = &clock, .sleeper = &sleeper}};
    }
    void at_wait(std::function<void(std::size_t)> what) {
        sleeper.on_wait([this, what = std::move(what)](Duration) { what(sleeper.waits().size()); });
    }
};

}  // namespace

TEST_CASE("§14: a hedge leaves a call alone that answers within the delay") {
    Bench bench;
    const auto hedge = bench.hedge();
    bench.at_wait([&](std::size_t) { bench.executor.run_first(); });
    CHECK(call_with(hedge, Script{bench.clock, {7}}).value() == 7);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{50ms});
    CHECK(bench.executor.size() == 0);
    CHECK(hedge.metrics().hedges == 0);
}

TEST_CASE("§14: a hedge calls a second time after the delay and gives the first value") {
    Bench bench;
    const auto hedge = bench.hedge();
    bench.at_wait([&](std::size_t wait) {
        if (wait == 2) bench.executor.run_last();
    });
    auto calls = std::make_shared<int>(0);
    CHECK(call_with(hedge, [calls] { return ++*calls; }).value() == 1);
    CHECK(hedge.metrics().hedges == 1);
    CHECK(hedge.metrics().hedge_wins == 1);
    // One hedge is all there is: the second wait is for the attempts alone.
    CHECK(bench.sleeper.waits() == std::vector<Duration>{50ms, Duration::max()});
    // The first attempt still stands in the queue. It was told to stop, so its operation never runs.
    REQUIRE(bench.executor.size() == 1);
    bench.executor.run_first();
    CHECK(*calls == 1);
}

TEST_CASE("§14: the first attempt can still win against its hedge") {
    Bench bench;
    const auto hedge = bench.hedge();
    bench.at_wait([&](std::size_t wait) {
        if (wait == 2) bench.executor.run_first();
    });
    CHECK(call_with(hedge, [] { return 7; }).value() == 7);
    CHECK(hedge.metrics().hedges == 1);
    CHECK(hedge.metrics().hedge_wins == 0);
}

TEST_CASE("§14: a hedge whose value throws when it is moved passes that on, and nobody waits for it") {
    // Throws at one of its moves: on the way out of the operation, into the answer, or out to the caller.
    struct Brittle {
        int* moves_left;
        explicit Brittle(int* left) : moves_left(left) {}
        Brittle(Brittle&& other) : moves_left(other.moves_left) {
            if (moves_left != nullptr && (*moves_left)-- == 0) throw std::runtime_error{"cannot be moved"};
        }
    };
    int thrown = 0;
    for (int throws_at = 0; throws_at < 8; ++throws_at) {
        CAPTURE(throws_at);
        Bench bench;
        const auto hedge = bench.hedge({.delay = 50ms, .max_hedges = 1});
        bench.at_wait([&](std::size_t) { bench.executor.run_first(); });
        auto left = std::make_shared<int>(throws_at);
        try {
            (void)call_with(hedge, [left] { return Brittle{left.get()}; });
        } catch (const std::runtime_error&) {
            ++thrown;
        }
        CHECK(bench.sleeper.waits() == std::vector<Duration>{50ms});
        CHECK(hedge.metrics().hedges == 0);
    }
    CHECK(thrown > 0);
}

TEST_CASE("§14: a hedge gives an error only when no attempt is left, that of the earliest") {
    Bench bench;
    const auto hedge = bench.hedge({.delay = 50ms, .max_hedges = 2});
    auto calls = std::make_shared<int>(0);
    const auto fails = [calls] { return failed(500 + (*calls)++); };
    bench.at_wait([&](std::size_t wait) {
        if (wait == 3) {
            CHECK(bench.executor.size() == 3);
            bench.executor.run_last();
            bench.executor.run_first();
            bench.executor.run_first();
        }
    });
    const auto answer = call_with(hedge, fails);
    CHECK(*calls == 3);
    CHECK(answer.error().operation_error()->code == 501);

    // One fails, another one brings a value.
    Bench other;
    other.at_wait([&](std::size_t wait) {
        if (wait == 2) {
            other.executor.run_first();
            other.executor.run_first();
        }
    });
    CHECK(call_with(other.hedge(), Script{other.clock, {failed(), 7}}).value() == 7);
}

TEST_CASE("§14: a failure within the delay is no reason to hedge") {
    Bench bench;
    const auto hedge = bench.hedge();
    bench.at_wait([&](std::size_t) { bench.executor.run_first(); });
    CHECK_FALSE(call_with(hedge, [] { return failed(); }));
    CHECK(hedge.metrics().hedges == 0);
}

TEST_CASE("§14: hedges are paid from the budget") {
    Bench bench;
    const RetryBudget budget{{.ratio = 0.25, .minimum_per_second = 0}, bench.clock};
    const auto hedge = bench.hedge({.delay = 50ms}, budget);
    bench.at_wait([&](std::size_t wait) {
        if (wait % 2 == 0) bench.executor.run_first();
    });
    for (int i = 0; i < 100; ++i) {
        CHECK(call_with(hedge, [] { return 7; }).value() == 7);
        bench.executor.drop_all();
    }
    CHECK(hedge.metrics().hedges == 25);
    CHECK(hedge.metrics().over_budget == 75);
}

TEST_CASE("§14: a hedge without room for the first attempt rejects, without room for the second goes on with one") {
    Bench full{0};
    CHECK(refusal(call_with(full.hedge(), [] { return 7; })) == Rejection::Kind::bulkhead_full);

    Bench tight{1};
    const auto hedge = tight.hedge();
    tight.at_wait([&](std::size_t wait) {
        if (wait == 2) tight.executor.run_first();
    });
    CHECK(call_with(hedge, [] { return 7; }).value() == 7);
    CHECK(hedge.metrics().hedges == 0);
    CHECK(hedge.metrics().no_room == 1);
}

TEST_CASE("R33: a hedge gives up at the deadline, and hands it to every attempt") {
    Bench bench;
    const auto hedge = bench.hedge();
    auto left = std::make_shared<std::optional<Duration>>();
    bench.at_wait([&](std::size_t wait) {
        if (wait == 1) bench.executor.run_first();
    });
    CHECK(call_with(
        hedge, [left](const CallContext& c) { return *left = c.remaining(), 7; },
        CallContext::with_timeout(80ms, bench.clock)));
    CHECK(*left == 80ms);

    bench.at_wait([](std::size_t) {});
    const auto answer = call_with(hedge, [] { return 7; }, CallContext::with_timeout(80ms, bench.clock));
    REQUIRE_FALSE(answer);
    REQUIRE(std::holds_alternative<TimeoutError>(answer.error().variant()));
    CHECK(std::get<TimeoutError>(answer.error().variant()).after == 80ms);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{50ms, 50ms, 30ms});
}

TEST_CASE("R33: a hedge none of whose attempts found a thread until the deadline is neutral for the breaker outside") {
    Bench bench;
    CircuitBreaker breaker{"db", touchy(), {.clock = &bench.clock}};
    const Pipeline pipeline{BreakerPolicy{breaker}, bench.hedge()};
    auto calls = std::make_shared<int>(0);
    bench.at_wait([](std::size_t) {});
    const auto answer = pipeline.call([calls] { return ++*calls; }, CallContext::with_timeout(80ms, bench.clock));
    REQUIRE_FALSE(answer);
    const auto* timeout = std::get_if<TimeoutError>(&answer.error().variant());
    REQUIRE(timeout != nullptr);
    CHECK(timeout->after == 80ms);
    CHECK_FALSE(timeout->began);
    CHECK(breaker.metrics().totals.ignored == 1);
    CHECK(breaker.metrics().totals.timeouts == 0);
    CHECK(breaker.state() == State::closed);
    REQUIRE(bench.executor.size() == 2);
    bench.executor.run_first();
    bench.executor.run_first();
    CHECK(*calls == 0);
}

TEST_CASE("R33: a hedge one of whose attempts began is a timeout for the breaker outside") {
    Bench bench;
    CircuitBreaker breaker{"db", touchy(), {.clock = &bench.clock}};
    const Pipeline pipeline{BreakerPolicy{breaker}, bench.hedge()};
    // The first attempt fails, the second stands in the queue until the deadline.
    bench.at_wait([&](std::size_t wait) {
        if (wait == 2) bench.executor.run_first();
    });
    const auto answer = pipeline.call([] { return failed(); }, CallContext::with_timeout(80ms, bench.clock));
    REQUIRE_FALSE(answer);
    const auto* timeout = std::get_if<TimeoutError>(&answer.error().variant());
    REQUIRE(timeout != nullptr);
    CHECK(timeout->began);
    CHECK(breaker.metrics().totals.timeouts == 1);
    CHECK(breaker.state() == State::open);
}

TEST_CASE("§14: a hedge's wait that throws leaves no attempt that could still begin") {
    Bench bench;
    auto calls = std::make_shared<int>(0);
    bench.at_wait([](std::size_t) { throw std::runtime_error{"no wait"}; });
    CHECK_THROWS_WITH(call_with(bench.hedge(), [calls] { return ++*calls; }), "no wait");
    REQUIRE(bench.executor.size() == 1);
    bench.executor.run_first();
    CHECK(*calls == 0);
}

TEST_CASE("§14: the caller's stop request ends a hedge's wait and its attempts") {
    Bench bench;
    std::stop_source stop;
    auto calls = std::make_shared<int>(0);
    bench.at_wait([&](std::size_t) { stop.request_stop(); });
    const auto answer = call_with(
        bench.hedge(), [calls] { return ++*calls; }, CallContext{bench.clock, std::nullopt, stop.get_token()});
    REQUIRE_FALSE(answer);
    CHECK(std::holds_alternative<InternalError>(answer.error().variant()));
    bench.executor.run_first();
    CHECK(*calls == 0);
}

TEST_CASE("§14: an attempt that the executor drops ends without an answer") {
    Bench bench;
    bench.at_wait([&](std::size_t) { bench.executor.drop_all(); });
    const auto answer = call_with(bench.hedge(), [] { return 7; });
    REQUIRE_FALSE(answer);
    CHECK(std::holds_alternative<InternalError>(answer.error().variant()));
}

TEST_CASE("§14: an exception of an operation that returns expected reaches the caller of a hedge") {
    Bench bench;
    bench.at_wait([&](std::size_t) { bench.executor.run_first(); });
    CHECK_THROWS_AS(call_with(bench.hedge(), []() -> Result { throw std::runtime_error{"bug"}; }), std::runtime_error);
}

TEST_CASE("R33: a late value is flagged late through a hedge") {
    Bench bench;
    bool late = false;
    bench.at_wait([&](std::size_t) { bench.executor.run_first(); });
    const Pipeline pipeline{bench.hedge(), Timeout{10ms, bench.clock}};
    const auto answer =
        pipeline.call([&] { return bench.clock.advance(20ms), 7; }, CallContext{bench.clock, {}}.with_late_flag(&late));
    CHECK(answer.value() == 7);
    CHECK(late);
}

TEST_CASE("§14: a hedge's loser is told to stop while it runs, and is neutral for the breaker inside") {
    ManualClock clock;
    FirstWaitPasses sleeper{clock};
    CircuitBreaker breaker{"db", touchy(), {.clock = &clock}};
    struct Seen {
        std::mutex mutex;
        std::condition_variable_any changed;
        int started{};
        bool stopped{};
    };
    const auto seen = std::make_shared<Seen>();
    {
        ThreadPool pool{{.threads = 2, .queue_capacity = 0}};
        const Pipeline pipeline{Hedge{pool, {.delay = 50ms}, {.clock = &clock, .sleeper = &sleeper}},
                                BreakerPolicy{breaker}};
        const auto answer = pipeline.call([seen](const CallContext& context) -> Result {
            std::unique_lock lock{seen->mutex};
            // Whoever comes first hangs until it is told to stop.
            if (++seen->started > 1) return 7;
            seen->changed.wait(lock, context.stop_token(), [] { return false; });
            seen->stopped = context.stop_requested();
            return failed();
        });
        CHECK(answer.value() == 7);
    }  // the pool waits for the loser
    CHECK(seen->started == 2);
    CHECK(seen->stopped);
    CHECK(breaker.state() == State::closed);
    const auto totals = breaker.metrics().totals;
    CHECK(totals.successes == 1);
    CHECK(totals.failures == 0);
    CHECK(totals.ignored == 1);
}

TEST_CASE("§14: many hedged calls on few threads all end") {
    ThreadPool pool{{.threads = 2, .queue_capacity = 64}};
    const Hedge hedge{pool, {.delay = 1us}, {.budget = RetryBudget{{.ratio = 1, .minimum_per_second = 1000}}}};
    std::atomic<int> values{};
    {
        std::vector<std::jthread> callers;
        for (int t = 0; t < 3; ++t) {
            callers.emplace_back([&] {
                for (int i = 0; i < 300; ++i) {
                    if (call_with(hedge, [i] { return i; }).value() == i) values.fetch_add(1);
                }
            });
        }
    }
    CHECK(values == 900);
}

TEST_CASE("§14: a hedge's configuration error names every bad field") {
    QueueExecutor executor;
    CHECK(bad_fields([&] { Hedge{executor, {.delay = 0s, .max_hedges = 11}}; }) == "invalid hedge: delay max_hedges");
    CHECK(Hedge{executor, {.delay = 50ms, .max_hedges = 2}}.describe() == "hedge(after 50ms, 2 more)");
}

}  // namespace fusebox::test
