// The threads that serve connections: one connection each, until it ends or waits for its peer.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "connection.hpp"

namespace fusebox::middleware {

/// Threads are made when there is no free one, up to a number.
///
/// T1  `mutex_` guards `given_`, `threads_`, `free_` and `stopping_`. No connection is served while it is held.
///     shutdown() joins the threads without it: after `stopping_` is set no thread is added.
/// T2  `free_` counts the threads that serve no connection, those included that have only been started. `given_` never
///     has more connections than `free_`, so that no connection waits for another one's end.
/// T3  A connection is taken or left as a whole: whatever fails, either it is in `given_`, or the caller still has it.
/// T4  After `stopping_` is set, the threads still serve what was given, and end when there is nothing.
class ConnectionThreads {
public:
    struct Hooks {
        /// On the connection's thread. What it leaves in place is closed.
        std::function<void(std::unique_ptr<Connection>&)> serve;
        /// After a thread has become free; on that thread, without a lock.
        std::function<void()> on_free{};
        /// Makes a thread that runs the function; tests let it fail as a system without threads does.
        std::function<std::thread(std::function<void()>)> start{
            [](std::function<void()> run) { return std::thread{std::move(run)}; }};
    };

    ConnectionThreads(std::size_t most, Hooks hooks);
    ConnectionThreads(const ConnectionThreads&) = delete;
    ConnectionThreads& operator=(const ConnectionThreads&) = delete;
    /// Like `shutdown`.
    ~ConnectionThreads();

    /// Makes `count` threads now (`most` at most), so that they are there when the system has none left to give. Throws
    /// `std::system_error`.
    void prepare(std::size_t count);
    /// True: a free thread serves it. False: none is free and none can be made; `connection` is as it was. From any
    /// thread.
    bool try_take(std::unique_ptr<Connection>& connection);
    /// Lets the threads end what they have, and joins them. Takes nothing any more.
    void shutdown();

private:
    bool add_thread();
    void work();

    const std::size_t most_;
    const Hooks hooks_;
    std::mutex mutex_;  ///< guards all below (T1)
    std::condition_variable changed_;
    std::deque<std::unique_ptr<Connection>> given_;
    std::vector<std::thread> threads_;
    std::size_t free_{};  ///< T2
    bool stopping_{};     ///< T4
};

}  // namespace fusebox::middleware
