#include <array>
#include <atomic>
#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/bulkhead.hpp>
#include <fusebox/policies/fallback.hpp>
#include <fusebox/policies/hedge.hpp>
#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/rate_limiter.hpp>
#include <fusebox/policies/retry.hpp>
#include <fusebox/policies/timeout.hpp>
#include <memory>
#include <thread>

#include "policy_samples.hpp"
#include "support/allocations/allocations.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

/// Writes down when it is entered and left.
class Trace {
public:
    Trace(char name, std::string& log) : name_(name), log_(&log) {}
    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const {
        *log_ += name_;
        auto answer = next(context);
        *log_ += name_;
        return answer;
    }
    std::string describe() const { return std::string{name_}; }

private:
    char name_;
    std::string* log_;
};

}  // namespace

TEST_CASE("§14: a pipeline composes outermost first, states its order and nests") {
    std::string log;
    const Trace a{'a', log};
    const Trace b{'b', log};
    const Trace c{'c', log};
    const Pipeline flat{a, b, c};
    CHECK(flat.call([&] { log += '.'; }));
    CHECK(log == "abc.cba");
    CHECK(flat.describe() == "a > b > c");
    log.clear();
    const Pipeline nested{a, Pipeline{b, c}};
    CHECK(nested.call([&] { log += '.'; }));
    CHECK(log == "abc.cba");
    CHECK(nested.describe() == "a > b > c");
    STATIC_REQUIRE(Policy<decltype(nested)>);
}

TEST_CASE("§14: a pipeline without policies is the call itself") {
    const Pipeline<> nothing{};
    CHECK(nothing.call([] { return 7; }).value() == 7);
    CHECK(nothing.describe().empty());
}

TEST_CASE("§14: operations of every shape go through a pipeline") {
    const Pipeline pipeline{Bulkhead{}, Timeout{1s}};
    CHECK(pipeline.call([] { return 7; }).value() == 7);
    CHECK(pipeline.call([](const CallContext& context) { return context.deadline().has_value(); }).value());
    CHECK(pipeline.call([] {}).has_value());
    CHECK(pipeline.call([]() -> std::expected<void, std::string> { return std::unexpected{"no"}; })
              .error()
              .operation_error()
              ->starts_with("no"));
    CHECK(*pipeline.call([] { return std::make_unique<int>(7); }).value() == 7);
    int count = 0;
    auto mutates = [count, own = std::make_unique<int>(1)]() mutable { return count += *own; };
    CHECK(pipeline.call(mutates).value() == 1);
    CHECK(pipeline.call(mutates).value() == 2);
    const auto threw = pipeline.call([]() -> int { throw std::runtime_error{"x"}; });
    CHECK_THROWS_AS(std::rethrow_exception(*threw.error().operation_error()), std::runtime_error);
    // Already protected: the error is not wrapped twice.
    STATIC_REQUIRE(std::is_same_v<decltype(pipeline.call([]() -> Answer { return 1; })), Answer>);
}

TEST_CASE("§14: the order of a pipeline decides: attempts inside or outside of the breaker") {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    const Retry retry{{.max_attempts = 3, .jitter = 0}, {.clock = &clock, .sleeper = &sleeper}};
    CircuitBreaker each{"each", {}, {.clock = &clock}};
    CHECK_FALSE((Pipeline{retry, BreakerPolicy{each}}.call([] { return failed(); })));
    CHECK(each.metrics().totals.failures == 3);
    CircuitBreaker whole{"whole", {}, {.clock = &clock}};
    CHECK_FALSE((Pipeline{BreakerPolicy{whole}, retry}.call([] { return failed(); })));
    CHECK(whole.metrics().totals.failures == 1);
}

TEST_CASE("§14: the deadline of a timeout outside holds across all attempts inside") {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    const Retry retry{{.max_attempts = 10, .delay = 1s, .multiplier = 1, .jitter = 0},
                      {.clock = &clock, .sleeper = &sleeper}};
    std::vector<Duration> left;
    const auto slow = [&](const CallContext& context) {
        left.push_back(*context.remaining());
        clock.advance(500ms);
        return failed();
    };
    const auto begun = clock.now();
    CHECK_FALSE((Pipeline{Timeout{4s, clock}, retry, Timeout{2s, clock}}.call(slow)));
    // The attempt that began at 3 s is the last: the next one could only begin past the end.
    CHECK(left == std::vector<Duration>{2s, 2s, 1s});
    CHECK(clock.now() - begun == 3500ms);
}

TEST_CASE("§14: a fallback outside answers for every refusal inside") {
    ManualClock clock;
    CircuitBreaker breaker{"db", touchy(), {.clock = &clock}};
    const Bulkhead bulkhead{{.max_concurrent = 1}};
    const RateLimiter limiter{{.permits = 1, .period = 1h}, {.clock = &clock}};
    const Pipeline pipeline{fallback_value(-1), BreakerPolicy{breaker}, bulkhead, limiter};
    const auto seven = [] { return 7; };
    CHECK(pipeline.call(seven).value() == 7);
    CHECK(pipeline.call(seven).value() == -1);  // rate limited
    {
        const auto slot = bulkhead.try_enter();
        CHECK(pipeline.call(seven).value() == -1);
    }
    breaker.force_open();
    CHECK(pipeline.call(seven).value() == -1);
}

TEST_CASE("§14: a call through a pipeline allocates nothing while it succeeds, nor when it is refused") {
    ManualClock clock;
    CircuitBreaker breaker{"db", {}, {.clock = &clock}};
    const RateLimiter limiter{{.permits = 1000}, {.clock = &clock}};
    const Pipeline pipeline{fallback_value(-1, FallbackOn::any_failure),
                            Retry{{}, {.clock = &clock}},
                            BreakerPolicy{breaker},
                            limiter,
                            Bulkhead{{.max_waiting = 5}, {.clock = &clock}},
                            Timeout{1s, clock}};
    std::array<char, 64> big{};
    const auto op = [&, big](const CallContext& context) -> Result { return context.expired() ? 1 : 7 + big[0]; };
    std::ignore = pipeline.call(op);

    const auto before = allocations();
    int sum = 0;
    for (int i = 0; i < 100; ++i) sum += pipeline.call(op).value();
    const auto succeeded = allocations();
    breaker.force_open();
    const auto forced = allocations();
    for (int i = 0; i < 100; ++i) sum += pipeline.call(op).value();
    const auto after = allocations();
    CHECK(sum == 700 - 100);
    CHECK(succeeded == before);
    CHECK(after == forced);
}

TEST_CASE("§14: a copy of a pipeline shares the state of its policies") {
    const RateLimiter limiter{{.permits = 1, .period = 24h}};
    const Pipeline pipeline{limiter};
    const auto copy = pipeline;
    CHECK(pipeline.call([] {}));
    CHECK(refusal(copy.call([] {})) == Rejection::Kind::rate_limited);
}

TEST_CASE("§14: a pipeline with a hedge may go, and its operation too, before the last attempt has run") {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    QueueExecutor executor;
    const auto calls = std::make_shared<int>(0);
    {
        const Pipeline pipeline{Retry{}, Hedge{executor, {.delay = 50ms}, {.clock = &clock, .sleeper = &sleeper}},
                                Pipeline{Bulkhead{}, Timeout{1s, clock}}};
        STATIC_REQUIRE(decltype(pipeline)::detaches_calls);
        // The hedge answers; the first attempt still stands in the queue.
        sleeper.on_wait([&](Duration) {
            if (sleeper.waits().size() == 2) executor.run_last();
        });
        CHECK(pipeline.call([calls] { return ++*calls; }).value() == 1);
    }
    REQUIRE(executor.size() == 1);
    CHECK(calls.use_count() > 1);  // the attempt still owns the operation
    executor.run_first();
    CHECK(calls.use_count() == 1);
}

TEST_CASE("§14: from any number of threads a pipeline counts every call once") {
    auto breaker = std::make_shared<CircuitBreaker>("db");
    const Bulkhead bulkhead{{.max_concurrent = 2}};
    const Pipeline pipeline{BreakerPolicy{breaker}, bulkhead, Timeout{1h}};
    std::atomic<std::uint64_t> refused{};
    constexpr std::uint64_t rounds = 2000;
    {
        std::vector<std::jthread> pool;
        for (int t = 0; t < 4; ++t) {
            pool.emplace_back([&] {
                for (std::uint64_t i = 0; i < rounds; ++i) {
                    const auto answer = pipeline.call([&] {
                        if (i % 8 == 0) std::this_thread::yield();
                        return i;
                    });
                    if (!answer) refused.fetch_add(1);
                }
            });
        }
    }
    const auto totals = breaker->metrics().totals;
    CHECK(totals.successes + refused == 4 * rounds);
    CHECK(totals.ignored == refused);
    CHECK(bulkhead.metrics().in_flight == 0);
}

}  // namespace fusebox::test
