// Q1. `mutex_` guards `tasks_`, `running_`, `task_errors_` and `closed_`. No task runs and none is destroyed while it
//     is held: a task may submit another one.
// Q2. A task is in `tasks_` until a thread of the pool takes it out. From then on it is counted in `running_`, until it
//     has run and has been destroyed.
// Q3. `closed_` is set by the destructor, for good. Afterwards `tasks_` is empty and stays empty: so a thread that has
//     been asked to stop ends when its task does.
#include <fusebox/policies/thread_pool.hpp>
#include <utility>

#include <fusebox/core/detail/validator.hpp>

namespace fusebox {

ThreadPool::ThreadPool(const ThreadPoolConfig& config) : config_(config) {
    detail::Validator validator;
    validator.count("threads", config.threads, 1, 1024);
    validator.count("queue_capacity", config.queue_capacity, 0, 1'000'000);
    validator.finish("thread pool");
    threads_.reserve(config.threads);
    for (std::uint32_t i = 0; i < config.threads; ++i) {
        threads_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
}

ThreadPool::~ThreadPool() {
    std::deque<std::move_only_function<void()>> unrun;
    {
        const std::lock_guard lock{mutex_};
        closed_ = true;  // Q3
        unrun.swap(tasks_);
    }
    for (auto& thread : threads_) thread.request_stop();
    unrun.clear();  // with no lock held (Q1)
}

bool ThreadPool::try_submit(std::move_only_function<void()> task) {
    {
        const std::lock_guard lock{mutex_};
        if (closed_ || running_ + tasks_.size() >= std::size_t{config_.threads} + config_.queue_capacity) return false;
        tasks_.push_back(std::move(task));
    }
    changed_.notify_one();
    return true;
}

ThreadPoolMetrics ThreadPool::metrics() const {
    const std::lock_guard lock{mutex_};
    return {.running = running_, .queued = static_cast<std::uint32_t>(tasks_.size()), .task_errors = task_errors_};
}

void ThreadPool::work(const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    while (changed_.wait(lock, stop, [this] { return !tasks_.empty(); })) {
        auto task = std::move(tasks_.front());
        tasks_.pop_front();
        ++running_;
        lock.unlock();
        bool failed = false;
        try {
            task();
        } catch (...) {
            failed = true;
        }
        task = nullptr;  // Q1, Q2
        lock.lock();
        --running_;
        if (failed) ++task_errors_;
    }
}

}  // namespace fusebox
