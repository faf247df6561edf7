// A fixed number of threads behind a bounded queue.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include <fusebox/policies/executor.hpp>

namespace fusebox {

struct ThreadPoolConfig {
    std::uint32_t threads{4};          ///< 1 … 1024; default 4
    std::uint32_t queue_capacity{64};  ///< tasks that may wait for a thread; 0 … 1'000'000; default 64
    bool operator==(const ThreadPoolConfig&) const = default;
};

/// A snapshot; the total since the pool was made.
struct ThreadPoolMetrics {
    std::uint32_t running{};      ///< tasks on a thread
    std::uint32_t queued{};       ///< tasks that wait for one
    std::uint64_t task_errors{};  ///< tasks that threw
};

/// An `Executor` with its own threads, all started at construction. Thread contract: any thread at any time, but for
/// the destructor: it refuses new tasks, destroys those that wait, and waits for those that run, so it must not run on
/// a thread of the pool.
///
///     fusebox::ThreadPool pool{{.threads = 8, .queue_capacity = 0}};   // nobody waits for a thread
class ThreadPool final : public Executor {
public:
    /// Throws `InvalidConfig`, or `std::system_error` where threads cannot be started.
    explicit ThreadPool(const ThreadPoolConfig& config = {});
    ~ThreadPool() override;

    /// A task that throws is counted; its thread goes on.
    [[nodiscard]] bool try_submit(std::move_only_function<void()> task) override;
    [[nodiscard]] ThreadPoolMetrics metrics() const;

private:
    void work(const std::stop_token& stop);

    ThreadPoolConfig config_;
    mutable std::mutex mutex_;  // guards what follows, but for the threads
    std::condition_variable_any changed_;
    std::deque<std::move_only_function<void()>> tasks_;
    std::uint32_t running_{};
    std::uint64_t task_errors_{};
    bool closed_{};
    std::vector<std::jthread> threads_;  // last: stopped and joined before the rest goes
};

}  // namespace fusebox
