#include <atomic>
#include <fusebox/policies/thread_pool.hpp>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

TEST_CASE("§14: a thread pool runs what it accepted and refuses at once when threads and queue are full") {
    std::latch running{2};
    std::latch go{1};
    std::atomic<int> done{};
    std::optional<ThreadPool> pool{std::in_place, ThreadPoolConfig{.threads = 2, .queue_capacity = 1}};
    const auto blocks = [&] {
        running.count_down();
        go.wait();
        done.fetch_add(1);
    };
    CHECK(pool->try_submit(blocks));
    CHECK(pool->try_submit(blocks));
    running.wait();
    std::latch third{1};
    CHECK(pool->try_submit([&] {
        done.fetch_add(1);
        third.count_down();
    }));
    CHECK(pool->metrics().running == 2);
    CHECK(pool->metrics().queued == 1);
    CHECK_FALSE(pool->try_submit([&] { done.fetch_add(100); }));
    go.count_down();
    third.wait();
    pool.reset();
    CHECK(done == 3);
}

TEST_CASE("§14: a pool without a queue accepts as many tasks as it has threads") {
    std::latch go{1};
    ThreadPool pool{{.threads = 3, .queue_capacity = 0}};
    int accepted = 0;
    while (pool.try_submit([&] { go.wait(); })) ++accepted;
    CHECK(accepted == 3);
    go.count_down();
}

TEST_CASE("§14: a pool that ends waits for what runs and destroys unrun what waits") {
    std::latch running{1};
    std::latch go{1};
    std::atomic<bool> finished{};
    const auto token = std::make_shared<int>();
    {
        ThreadPool pool{{.threads = 1, .queue_capacity = 8}};
        CHECK(pool.try_submit([&] {
            running.count_down();
            go.wait();
            finished = true;
        }));
        running.wait();
        // What waits is destroyed before the pool waits for what runs: that is what lets the first task go on.
        struct GoWhenDestroyed {
            std::latch* go;
            std::shared_ptr<int> token;
            GoWhenDestroyed(std::latch* go_in, std::shared_ptr<int> token_in) : go(go_in), token(std::move(token_in)) {}
            GoWhenDestroyed(GoWhenDestroyed&& other) noexcept
                : go(std::exchange(other.go, nullptr)), token(std::move(other.token)) {}
            ~GoWhenDestroyed() {
                if (go != nullptr) go->count_down();
            }
            void operator()() const { *token = 1; }
        };
        CHECK(pool.try_submit(GoWhenDestroyed{&go, token}));
    }
    CHECK(finished);
    CHECK(*token == 0);
    CHECK(token.use_count() == 1);
}

TEST_CASE("§14: a task that throws is counted and costs no thread") {
    ThreadPool pool{{.threads = 1, .queue_capacity = 8}};
    for (int i = 0; i < 3; ++i) CHECK(pool.try_submit([] { throw std::runtime_error{"task"}; }));
    std::latch done{1};
    CHECK(pool.try_submit([&] { done.count_down(); }));
    done.wait();
    CHECK(pool.metrics().task_errors == 3);
}

TEST_CASE("§14: a thread pool's configuration error names every bad field") {
    CHECK(bad_fields([] { ThreadPool{{.threads = 0, .queue_capacity = 2'000'000}}; }) ==
          "invalid thread pool: threads queue_capacity");
}

}  // namespace fusebox::test
