// Where connections are while no thread serves them: one loop accepts them, shakes hands, reads heads, and waits with
// those whose peer is silent or slow. A thread gets a connection only with a whole head, so that neither half a
// handshake nor a head that drips holds one.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "connection.hpp"
#include "listener.hpp"

namespace fusebox::middleware {

struct ReceptionLimits {
    std::chrono::milliseconds keep_alive{};      ///< for the first byte of a head to come
    std::chrono::milliseconds head_timeout{};    ///< for a handshake, and for the rest of a head
    std::chrono::milliseconds thread_timeout{};  ///< for a thread to become free for a whole head
    std::size_t most{};                          ///< connections here at once; ≥ 1
};

/// All are called on the loop's thread and must not wait.
struct ReceptionHooks {
    std::function<std::unique_ptr<Connection>(Descriptor)> make;
    /// Takes a connection with a whole head, or leaves it.
    std::function<bool(std::unique_ptr<Connection>&)> try_serve;
    /// Whether a request must be answered although no thread is free for it, and then takes it or leaves it.
    std::function<bool(const MessageHead&)> is_urgent;
    std::function<bool(std::unique_ptr<Connection>&)> try_serve_urgent;
    /// Answers, where an answer can be sent; the connection will be closed.
    std::function<void(Connection&, const Refusal&)> refuse;
};

/// R1  Connections in `here_` are touched by the loop's thread only. Others come by `mutex_`, which guards `arrivals_`,
///     `open_` and nothing else; `wake_` tells the loop.
/// R2  A connection is in one of these states: shaking hands, waiting for a head, waiting for a thread, leaving. Each
///     state has a deadline, after which the connection is refused or closed.
/// R3  There are at most `most` connections. One more costs the one that has been here longest its place: first among
///     those without a whole head, so that who speaks at once is heard however many are silent.
/// R4  `waiting_` is stored before the threads are asked for a place, and read by a thread after it has become free. So
///     either the loop finds that thread, or that thread wakes the loop.
class Reception {
public:
    Reception(Listener listener, ReceptionLimits limits, ReceptionHooks hooks);
    Reception(const Reception&) = delete;
    Reception& operator=(const Reception&) = delete;
    /// Like `stop`.
    ~Reception();

    void start();
    /// Takes back a connection that waits for its next head, or that leaves. From any thread.
    void take_back(std::unique_ptr<Connection> connection);
    /// Whether whole heads wait for a thread, or are just being given one. From any thread.
    [[nodiscard]] bool crowded() const noexcept { return waiting_ > 0; }
    /// Whether whole heads wait for which there was no thread. From any thread.
    [[nodiscard]] bool starved() const noexcept { return starved_; }
    /// A thread has become free. From any thread.
    void thread_is_free() const;
    /// Connections that lost their place to a newer one (R3), or found the system without descriptors for them.
    [[nodiscard]] std::uint64_t turned_away() const noexcept { return turned_away_; }

    /// Accepts nothing new, and waits for heads that have begun and those that wait for a thread, 3 s at most.
    void stop();

private:
    using Time = Connection::Time;
    struct Visit {
        std::unique_ptr<Connection> connection;
        Connection::Step wants{Connection::Step::wants_input};
        std::optional<Time> whole_since{};  ///< when its head was whole
        std::optional<bool> urgent{};       ///< asked for when no thread is free
    };
    using Visits = std::list<Visit>;

    void run();
    void collect();
    void accept_all();
    void enter(std::unique_ptr<Connection> connection);
    bool advance(Visit& visit);
    bool advance_head(Visit& visit);
    bool on_deadline(Visit& visit);
    bool turn_out(Visit& visit, const Refusal& refusal);
    void make_room();
    void hand_over();
    bool try_serve(Visit& visit);
    [[nodiscard]] Time deadline(const Visit& visit) const;
    void wait_for_events();
    void wake() const;
    [[nodiscard]] bool finished();

    Listener listener_;
    const ReceptionLimits limits_;
    const ReceptionHooks hooks_;
    Descriptor wake_;

    // The loop's own (R1).
    Visits here_;  ///< the longest first
    std::optional<Time> accept_again_{};
    std::optional<Time> stop_deadline_{};

    std::mutex mutex_;  ///< guards the two below
    std::vector<std::unique_ptr<Connection>> arrivals_;
    bool open_{};

    std::atomic<bool> stopping_{false};
    std::atomic<std::size_t> waiting_{0};  ///< R4
    std::atomic<bool> starved_{false};
    std::atomic<std::uint64_t> turned_away_{0};
    std::thread loop_;
};

}  // namespace fusebox::middleware
