#include <condition_variable>
#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/isolate.hpp>
#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/thread_pool.hpp>
#include <latch>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

// The executor keeps the tasks; `meanwhile` says what happens while the caller waits. Nothing does: the deadline comes.
struct Bench {
    explicit Bench(std::size_t room = 16, const CircuitBreakerConfig& config = touchy())
        : executor{room}, breaker{"lib", config, {.clock = &clock}} {}
    Isolate isolate(std::optional<Duration> limit = 2s) {
        return Isolate{executor, limit, {.clock = &clock, .sleeper = &sleeper}};
    }
    void meanwhile(std::function<void()> what) {
        sleeper.on_wait([what = std::move(what)](Duration) { what(); });
    }
    LifetimeTotals totals() const { return breaker.metrics().totals; }
    ManualClock clock;
    ManualSleeper sleeper{clock};
    QueueExecutor executor;
    CircuitBreaker breaker;
};

// Lets an operation on a pool hang until the test says so, as code does that looks at no deadline.
struct Gate {
    std::latch begun{1};
    std::latch open{1};
    void hang() {
        begun.count_down();
        open.wait();
    }
};

// The caller's wait: it really waits until the operation has begun, then the deadline comes at once.
class DeadlineOnceBegun final : public Sleeper {
public:
    DeadlineOnceBegun(ManualClock& clock, std::latch& begun) : clock_(&clock), begun_(&begun) {}

protected:
    bool wait_for(std::unique_lock<std::mutex>& lock, std::condition_variable_any&, Duration time,
                  const std::stop_token&, Condition ready) override {
        lock.unlock();
        begun_->wait();
        clock_->advance(time);
        lock.lock();
        return ready();
    }

private:
    ManualClock* clock_;
    std::latch* begun_;
};

const TimeoutError* timeout_of(const auto& answer) {
    return answer ? nullptr : std::get_if<TimeoutError>(&answer.error().variant());
}
const InternalError* internal_of(const auto& answer) {
    return answer ? nullptr : std::get_if<InternalError>(&answer.error().variant());
}

}  // namespace

TEST_CASE("R34: an isolated call gives what the operation gives") {
    Bench bench;
    const auto isolate = bench.isolate();
    bench.meanwhile([&] { bench.executor.run_first(); });
    CHECK(call_with(isolate, [] { return 7; }).value() == 7);
    CHECK(call_with(isolate, [] { return failed(404); }).error().operation_error()->code == 404);
    CHECK(call_with(isolate, [] {}));

    // What a throwing operation throws is its error; what one that returns expected throws passes through.
    const auto threw = call_with(isolate, []() -> int { throw std::runtime_error{"down"}; });
    REQUIRE(threw.error().operation_error() != nullptr);
    CHECK_THROWS_WITH(std::rethrow_exception(*threw.error().operation_error()), "down");
    CHECK_THROWS_WITH(call_with(isolate, []() -> Result { throw std::runtime_error{"bug"}; }), "bug");

    // Values that can only be moved cross the threads too.
    auto owner = call_with(isolate, [value = std::make_unique<int>(7)]() mutable { return std::move(value); });
    CHECK(**owner == 7);
    CHECK(isolate.metrics().dropped_values == 0);
    CHECK(isolate.metrics().dropped_errors == 0);
}

TEST_CASE("R34: the caller of code that hangs gets timeout at the deadline, by the policy's clock") {
    ManualClock clock;
    auto gate = std::make_shared<Gate>();
    DeadlineOnceBegun sleeper{clock, gate->begun};
    CircuitBreaker breaker{"lib", touchy(), {.clock = &clock}};
    std::optional<ThreadPool> pool{std::in_place, ThreadPoolConfig{.threads = 1, .queue_capacity = 0}};
    const Isolate isolate{*pool, 2s, {.clock = &clock, .sleeper = &sleeper}};

    const auto begun = clock.now();
    const auto answer = call_isolated(breaker, isolate, [gate] { return gate->hang(), 7; });
    REQUIRE(timeout_of(answer) != nullptr);
    CHECK(timeout_of(answer)->after == 2s);
    CHECK(clock.now() == begun + 2s);
    // The breaker knows at the deadline, although the operation hangs on.
    CHECK(breaker.metrics().totals.timeouts == 1);
    CHECK(breaker.state() == State::open);
    CHECK(isolate.metrics().timeouts == 1);
    CHECK(isolate.metrics().left_running == 1);

    // It holds the only thread.
    CHECK(refusal(call_with(isolate, [] { return 7; })) == Rejection::Kind::bulkhead_full);

    gate->open.count_down();
    pool.reset();
    CHECK(isolate.metrics().left_running == 0);
    CHECK(isolate.metrics().dropped_values == 1);
    const auto totals = breaker.metrics().totals;
    CHECK(totals.timeouts == 1);
    CHECK(totals.successes == 0);
    CHECK(totals.stale == 0);
}

TEST_CASE("R34: a full pool rejects at once, and the breaker's permit is settled neutral") {
    Bench bench{0};
    bench.breaker.trip();
    bench.clock.advance(1h);  // the next call is a probe
    const auto isolate = bench.isolate();
    bool ran = false;
    for (int i = 0; i < 3; ++i) {
        CHECK(refusal(call_isolated(bench.breaker, isolate, [&] { return ran = true; })) ==
              Rejection::Kind::bulkhead_full);
    }
    CHECK_FALSE(ran);
    CHECK(bench.sleeper.waits().empty());
    CHECK(isolate.metrics().rejected == 3);
    CHECK(bench.breaker.state() == State::half_open);
    CHECK(bench.breaker.metrics().probes_in_flight == 0);
    CHECK(bench.totals().ignored == 3);
}

TEST_CASE("R34: the pool's size bounds what a hung dependency can hold") {
    auto gate = std::make_shared<Gate>();
    ThreadPool pool{{.threads = 2, .queue_capacity = 1}};
    const Isolate isolate{pool};
    std::stop_source stop;
    std::atomic<int> refused{};
    std::atomic<int> ran{};
    {
        std::vector<std::jthread> callers;
        std::latch decided{5};
        for (int i = 0; i < 8; ++i) {
            callers.emplace_back([&] {
                const auto answer = call_with(
                    isolate,
                    [&, gate] {
                        ran.fetch_add(1);
                        gate->open.wait();
                    },
                    CallContext{steady_clock(), std::nullopt, stop.get_token()});
                if (refusal(answer) == Rejection::Kind::bulkhead_full) {
                    refused.fetch_add(1);
                    decided.count_down();
                }
            });
        }
        decided.wait();  // two run, one stands in the queue, five were refused while nothing had ended
        CHECK(ran <= 2);
        gate->open.count_down();
    }
    CHECK(refused == 5);
    CHECK(ran == 3);
}

TEST_CASE(
    "R34: a call that found no thread until the deadline is a timeout for its caller, never runs, and is neutral for "
    "the breaker") {
    Bench bench;
    const auto isolate = bench.isolate();
    int calls = 0;
    const auto answer = call_isolated(bench.breaker, isolate, [&] { return ++calls; });
    REQUIRE_FALSE(answer);
    const auto* timeout = std::get_if<TimeoutError>(&answer.error().variant());
    REQUIRE(timeout != nullptr);
    CHECK(timeout->after == 2s);
    CHECK_FALSE(timeout->began);
    CHECK(describe(answer.error()) == "timed out after 2s, before it could begin");
    CHECK(outcome_of(answer.error()) == Outcome::ignored);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{2s});
    REQUIRE(bench.executor.size() == 1);
    bench.executor.run_first();
    CHECK(calls == 0);
    CHECK(bench.totals().ignored == 1);
    CHECK(bench.breaker.state() == State::closed);
    CHECK(isolate.metrics().rejected == 0);
    CHECK(isolate.metrics().timeouts == 1);
    CHECK(isolate.metrics().never_began == 1);
}

TEST_CASE("R34: the earlier of limit and deadline counts, and the operation is told") {
    Bench bench{16, {.operation_timeout = 5s}};
    auto left = std::make_shared<std::optional<Duration>>();
    bench.meanwhile([&] { bench.executor.run_first(); });
    const auto asks = [left](const CallContext& context) { *left = context.remaining(); };
    CHECK(call_with(bench.isolate(), asks));
    CHECK(*left == 2s);
    CHECK(call_with(bench.isolate(), asks, CallContext::with_timeout(80ms, bench.clock)));
    CHECK(*left == 80ms);
    CHECK(call_isolated(bench.breaker, bench.isolate({}), asks));
    CHECK(*left == 5s);
    CHECK(call_isolated(bench.breaker, bench.isolate(), asks, {.deadline = bench.clock.now() + 1s}));
    CHECK(*left == 1s);
    CHECK(call_with(bench.isolate({}), asks));
    CHECK(*left == std::nullopt);
    CHECK(bench.sleeper.waits() == std::vector<Duration>{2s, 80ms, 5s, 1s, Duration::max()});
}

TEST_CASE("R34: at the deadline the operation's own stop token is triggered, so that code that looks can end") {
    ManualClock clock;
    std::latch begun{1};
    DeadlineOnceBegun sleeper{clock, begun};
    std::atomic<bool> told{};
    std::stop_source stop;
    std::optional<ThreadPool> pool{std::in_place, ThreadPoolConfig{.threads = 1}};
    const Isolate isolate{*pool, 2s, {.clock = &clock, .sleeper = &sleeper}};
    const auto answer = call_with(
        isolate,
        [&](const CallContext& context) -> int {
            std::mutex mutex;
            std::condition_variable_any never;
            std::unique_lock lock{mutex};
            begun.count_down();
            never.wait(lock, context.stop_token(), [] { return false; });
            told = true;
            throw std::runtime_error{"gave up"};
        },
        CallContext{clock, std::nullopt, stop.get_token()});
    CHECK(timeout_of(answer) != nullptr);
    pool.reset();
    CHECK(told);
    CHECK_FALSE(stop.stop_requested());
    // What it threw reached nobody, and is counted.
    CHECK(isolate.metrics().dropped_errors == 1);
    CHECK(isolate.metrics().left_running == 0);
}

TEST_CASE("R34: the caller's stop token ends the wait, neutral for the breaker") {
    Bench bench;
    std::stop_source stop;
    int calls = 0;
    bench.meanwhile([&] { stop.request_stop(); });
    const auto isolate = bench.isolate();
    const auto answer = call_isolated(bench.breaker, isolate, [&] { return ++calls; }, {.stop = stop.get_token()});
    REQUIRE(internal_of(answer) != nullptr);
    CHECK(internal_of(answer)->message == "the caller stopped the call");
    CHECK(bench.totals().ignored == 1);
    CHECK(bench.breaker.state() == State::closed);
    bench.executor.run_first();
    CHECK(calls == 0);
}

TEST_CASE("R34: a caller that stops while the operation runs leaves it behind") {
    auto gate = std::make_shared<Gate>();
    CircuitBreaker breaker{"lib", touchy()};
    std::stop_source stop;
    std::optional<ThreadPool> pool{std::in_place, ThreadPoolConfig{.threads = 1}};
    const Isolate isolate{*pool};
    std::jthread other{[&] {
        gate->begun.wait();
        stop.request_stop();
    }};
    const auto answer = call_isolated(breaker, isolate,
                                      [gate]() -> Result {
                                          gate->hang();
                                          throw std::runtime_error{"nobody hears this"};
                                      },
                                      {.stop = stop.get_token()});
    CHECK(internal_of(answer) != nullptr);
    CHECK(isolate.metrics().left_running == 1);
    gate->open.count_down();
    pool.reset();
    CHECK(isolate.metrics().dropped_errors == 1);
    CHECK(breaker.metrics().totals.ignored == 1);
    CHECK(breaker.state() == State::closed);
}

TEST_CASE("R34: an executor that ends refuses what it has not begun") {
    Bench bench;
    bench.meanwhile([&] { bench.executor.drop_all(); });
    int calls = 0;
    CHECK(refusal(call_isolated(bench.breaker, bench.isolate(), [&] { return ++calls; })) ==
          Rejection::Kind::bulkhead_full);
    CHECK(calls == 0);
    CHECK(bench.totals().ignored == 1);
}

TEST_CASE("R34: a pool may end while callers wait: what runs is answered, what stands in the queue is refused") {
    auto gate = std::make_shared<Gate>();
    std::optional<ThreadPool> pool{std::in_place, ThreadPoolConfig{.threads = 1, .queue_capacity = 1}};
    std::optional<Isolate> isolate{std::in_place, *pool, 1h};
    std::atomic<int> values{};
    std::atomic<int> refusals{};
    std::vector<std::jthread> callers;
    callers.emplace_back([&, policy = *isolate] {
        if (call_with(policy, [gate] { return gate->hang(), 7; }).value() == 7) values.fetch_add(1);
    });
    gate->begun.wait();
    callers.emplace_back([&, policy = *isolate] {
        if (refusal(call_with(policy, [] { return 7; })) == Rejection::Kind::bulkhead_full) {
            refusals.fetch_add(1);
            gate->open.count_down();
        }
    });
    while (pool->metrics().queued == 0) std::this_thread::yield();
    isolate.reset();
    pool.reset();
    callers.clear();
    CHECK(values == 1);
    CHECK(refusals == 1);
}

TEST_CASE("R33: a late answer that still finds its caller is treated as after a timeout") {
    Bench bench;
    bool late = false;
    bench.meanwhile([&] { bench.executor.run_first(); });
    const auto slow = [&] { return bench.clock.advance(3s), 7; };
    CHECK(call_isolated(bench.breaker, bench.isolate(), slow, {.late = &late}).value() == 7);
    CHECK(late);
    CHECK(bench.totals().timeouts == 1);
    const auto error = call_with(bench.isolate(), [&] { return bench.clock.advance(3s), failed(); });
    REQUIRE(timeout_of(error) != nullptr);
    CHECK(timeout_of(error)->after == 2s);
}

TEST_CASE("R33: neither the value nor the error of an isolated call need be assignable") {
    struct Row {
        const int id;
    };
    struct Refusal {
        const int code;
    };
    Bench bench;
    bench.meanwhile([&] { bench.executor.run_first(); });
    const auto value =
        call_isolated(bench.breaker, bench.isolate(), []() -> std::expected<Row, Refusal> { return Row{7}; });
    REQUIRE(value);
    CHECK(value->id == 7);
    const auto late = call_isolated(bench.breaker, bench.isolate(), [&bench]() -> std::expected<Row, Refusal> {
        bench.clock.advance(3s);
        return std::unexpected{Refusal{4}};
    });
    REQUIRE_FALSE(late);
    CHECK(std::holds_alternative<TimeoutError>(late.error().variant()));
    CHECK(bench.totals().timeouts == 1);
}

TEST_CASE("R34: isolated calls are judged as the breaker judges") {
    Bench bench;
    bench.meanwhile([&] { bench.executor.run_first(); });
    CHECK_FALSE(call_isolated(bench.breaker, bench.isolate(), [] { return failed(404); }));
    CHECK(bench.totals().ignored == 1);
    CHECK(call_isolated(bench.breaker, bench.isolate(), [] { return 7; }).value() == 7);
    CHECK(bench.totals().successes == 1);
    CHECK_FALSE(call_isolated(bench.breaker, bench.isolate(), []() -> int { throw std::runtime_error{"down"}; }));
    CHECK(bench.totals().failures == 1);
    bool ran = false;
    CHECK(refusal(call_isolated(bench.breaker, bench.isolate(), [&] { return ran = true; })) ==
          Rejection::Kind::circuit_open);
    CHECK_FALSE(ran);
}

TEST_CASE("R40: an isolated call hands its trace id to the reports, however it ends") {
    auto config = touchy();
    config.consecutive_failure_threshold = 3;
    Bench bench{16, config};
    bench.meanwhile([&] { bench.executor.run_first(); });
    const auto isolate = bench.isolate();
    CHECK_FALSE(call_isolated(bench.breaker, isolate, [] { return failed(); }, {.trace_id = "aa01"}));
    CHECK_THROWS(call_isolated(bench.breaker, isolate, []() -> Result { throw std::runtime_error{"bug"}; },
                               {.trace_id = "aa02"}));
    const auto slow = [&] { return bench.clock.advance(3s), 7; };
    CHECK(call_isolated(bench.breaker, isolate, slow, {.trace_id = "aa03"}).value() == 7);
    const auto trip = bench.breaker.last_trip();
    REQUIRE(trip);
    std::vector<std::string> ids;
    for (const auto& outcome : trip->last_outcomes) ids.push_back(outcome.trace_id);
    CHECK(ids == std::vector<std::string>{"aa03", "aa02", "aa01"});
}

TEST_CASE("R34: a wait that throws leaves the call behind") {
    Bench bench;
    const auto isolate = bench.isolate();
    int calls = 0;
    bench.meanwhile([] { throw std::runtime_error{"no wait"}; });
    CHECK_THROWS_WITH(call_isolated(bench.breaker, isolate, [&] { return ++calls; }), "no wait");
    bench.executor.run_first();
    CHECK(calls == 0);
}

TEST_CASE("R34: when the caller has its answer, nothing of the operation is left on the executor") {
    ThreadPool pool{{.threads = 2}};
    const Isolate isolate{pool, 1h};
    for (int i = 0; i < 200; ++i) {
        const auto owned = std::make_shared<int>(i);
        CHECK(call_with(isolate, [owned] { return *owned; }).value() == i);
        CHECK(owned.use_count() == 1);
    }
}

TEST_CASE("R34: many isolated calls that race their deadline each end once") {
    CircuitBreaker breaker{"lib", {.consecutive_failure_threshold = 0, .failure_rate_threshold = 0}};
    std::atomic<std::uint64_t> values{};
    std::atomic<std::uint64_t> timeouts{};
    std::atomic<std::uint64_t> never_began{};
    std::atomic<std::uint64_t> refusals{};
    std::optional<ThreadPool> pool{std::in_place, ThreadPoolConfig{.threads = 2, .queue_capacity = 2}};
    const Isolate isolate{*pool, 20us};
    {
        std::vector<std::jthread> callers;
        for (int t = 0; t < 3; ++t) {
            callers.emplace_back([&] {
                for (int i = 0; i < 500; ++i) {
                    const auto answer =
                        call_isolated(breaker, isolate, [text = std::string(100, 'x')] { return text; });
                    if (answer) {
                        values.fetch_add(answer->size() == 100 ? 1 : 0);
                    } else if (const auto* timeout = timeout_of(answer)) {
                        (timeout->began ? timeouts : never_began).fetch_add(1);
                    } else if (refusal(answer)) {
                        refusals.fetch_add(1);
                    }
                }
            });
        }
    }
    pool.reset();
    CHECK(values + timeouts + never_began + refusals == 1500);
    const auto totals = breaker.metrics().totals;
    CHECK(totals.successes + totals.timeouts + totals.ignored == 1500);
    CHECK(totals.ignored == refusals + never_began);
    const auto metrics = isolate.metrics();
    CHECK(metrics.timeouts == timeouts + never_began);
    CHECK(metrics.never_began == never_began);
    CHECK(metrics.rejected == refusals);
    CHECK(metrics.dropped_values == timeouts);
    CHECK(metrics.left_running == 0);
}

TEST_CASE("R34: isolate is innermost in a pipeline and says what it is") {
    Bench bench;
    bench.meanwhile([&] { bench.executor.run_first(); });
    const Pipeline pipeline{BreakerPolicy{bench.breaker}, bench.isolate()};
    CHECK(pipeline.call([] { return 7; }).value() == 7);
    CHECK(pipeline.describe() == "breaker(lib) > isolate(2s)");
    CHECK(bench.isolate({}).describe() == "isolate(until the deadline)");
    CHECK(bad_fields([&] { Isolate{bench.executor, 0s}; }) == "invalid isolate: limit");
}

}  // namespace fusebox::test
