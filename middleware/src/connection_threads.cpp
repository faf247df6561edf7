#include "connection_threads.hpp"

#include <algorithm>
#include <new>
#include <system_error>

namespace fusebox::middleware {

ConnectionThreads::ConnectionThreads(std::size_t most, Hooks hooks) : most_(most), hooks_(std::move(hooks)) {
    threads_.reserve(most_);
}

ConnectionThreads::~ConnectionThreads() { shutdown(); }

/// With `mutex_` held. Throws what `Hooks::start` throws, with nothing changed.
bool ConnectionThreads::add_thread() {
    if (threads_.size() == most_) return false;
    threads_.push_back(hooks_.start([this] { work(); }));
    ++free_;
    return true;
}

void ConnectionThreads::prepare(std::size_t count) {
    const std::lock_guard lock{mutex_};
    while (threads_.size() < std::min(count, most_)) add_thread();
}

bool ConnectionThreads::try_take(std::unique_ptr<Connection>& connection) {
    try {
        const std::lock_guard lock{mutex_};
        if (stopping_ || (given_.size() >= free_ && !add_thread())) return false;
        given_.push_back(std::move(connection));  // moves only once there is room (T3)
    } catch (const std::system_error&) {
        return false;
    } catch (const std::bad_alloc&) {
        return false;
    }
    changed_.notify_one();
    return true;
}

void ConnectionThreads::work() {
    block_broken_pipe_signal();
    std::unique_lock lock{mutex_};
    for (;;) {
        changed_.wait(lock, [&] { return stopping_ || !given_.empty(); });
        if (given_.empty()) return;
        auto connection = std::move(given_.front());
        given_.pop_front();
        --free_;
        lock.unlock();
        try {
            hooks_.serve(connection);
        } catch (...) {  // NOLINT(bugprone-empty-catch): no memory; this connection ends, the thread goes on
        }
        connection.reset();
        lock.lock();
        ++free_;
        lock.unlock();
        if (hooks_.on_free) hooks_.on_free();
        lock.lock();
    }
}

void ConnectionThreads::shutdown() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) {
        if (thread.joinable()) thread.join();  // T1
    }
}

}  // namespace fusebox::middleware
