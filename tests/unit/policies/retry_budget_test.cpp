#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/retry.hpp>
#include <fusebox/policies/retry_budget.hpp>
#include <limits>
#include <thread>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

TEST_CASE("§14: a retry budget earns a share of the requests") {
    ManualClock clock;
    RetryBudget budget{{.ratio = 0.2, .minimum_per_second = 0}, clock};
    for (int i = 0; i < 4; ++i) budget.record_request();
    CHECK_FALSE(budget.try_spend());
    budget.record_request();
    CHECK(budget.saved() == 1);
    CHECK(budget.try_spend());
    CHECK_FALSE(budget.try_spend());
}

TEST_CASE("§14: what a retry budget saves is bounded") {
    ManualClock clock;
    RetryBudget budget{{.ratio = 0.7, .minimum_per_second = 0, .max_tokens = 3}, clock};
    for (int i = 0; i < 100; ++i) budget.record_request();
    CHECK(budget.saved() == 3);
    for (int i = 0; i < 3; ++i) CHECK(budget.try_spend());
    budget.record_request();
    CHECK_FALSE(budget.try_spend());  // no fraction was saved beyond the whole ones
}

TEST_CASE("§14: a retry budget allows its minimum each second without any traffic") {
    ManualClock clock;
    RetryBudget budget{{.ratio = 0, .minimum_per_second = 2}, clock};
    CHECK(budget.try_spend());
    CHECK(budget.try_spend());
    CHECK_FALSE(budget.try_spend());
    clock.advance(499ms);
    CHECK_FALSE(budget.try_spend());
    clock.advance(1ms);
    CHECK(budget.try_spend());
    CHECK_FALSE(budget.try_spend());
}

TEST_CASE("§14: in a storm a retry budget holds retries to its share of the requests") {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    const RetryBudget budget{{.ratio = 0.1, .minimum_per_second = 0}, clock};
    // Two policies for one dependency share one budget.
    const RetryOptions options{.budget = budget, .clock = &clock, .sleeper = &sleeper};
    const Retry reads{{.max_attempts = 5}, options};
    const Retry writes{{.max_attempts = 3}, options};
    std::uint64_t reached = 0;
    const auto down = [&]() -> Result {
        ++reached;
        return failed();
    };
    for (int i = 0; i < 500; ++i) {
        CHECK_FALSE(call_with(reads, down));
        CHECK_FALSE(call_with(writes, down));
    }
    CHECK(reached == 1100);
    CHECK(reads.metrics().retries + writes.metrics().retries == 100);
    CHECK(reads.metrics().over_budget + writes.metrics().over_budget > 800);
}

TEST_CASE("§14: a retry budget neither loses nor invents a token when threads race") {
    ManualClock clock;
    const RetryBudget budget{{.ratio = 0.5, .minimum_per_second = 0, .max_tokens = 1'000'000}, clock};
    constexpr int threads = 4;
    constexpr int rounds = 5000;
    std::atomic<std::uint64_t> spent{};
    {
        std::vector<std::jthread> pool;
        for (int t = 0; t < threads; ++t) {
            pool.emplace_back([&] {
                for (int i = 0; i < rounds; ++i) {
                    budget.record_request();
                    if (budget.try_spend()) spent.fetch_add(1);
                }
            });
        }
    }
    CHECK(spent + budget.saved() == threads * rounds / 2);
}

TEST_CASE("§14: a retry without a budget given has one of its own") {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    Retry retry{{.max_attempts = 2, .delay = 0ms}, {.clock = &clock, .sleeper = &sleeper}};
    for (int i = 0; i < 1000; ++i) CHECK_FALSE(call_with(retry, [] { return failed(); }));
    // A fifth of the requests, and the ten of the second that never passes.
    CHECK(retry.metrics().retries == 210);
}

TEST_CASE("§14: a retry budget's configuration error names every bad field") {
    const RetryBudgetConfig bad{
        .ratio = std::numeric_limits<double>::quiet_NaN(), .minimum_per_second = 2'000'000, .max_tokens = 0};
    CHECK(bad_fields([&] { RetryBudget{bad}; }) == "invalid retry budget: ratio minimum_per_second max_tokens");
}

}  // namespace fusebox::test
