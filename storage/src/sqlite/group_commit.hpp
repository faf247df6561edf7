// Writes of several threads in one transaction, each with its own answer.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// Shares the one writing connection. A request that finds no other thread writing runs at once. Requests that arrive
/// meanwhile wait; then the thread of the first one runs and commits all of them together: one sync to disk serves them
/// all.
///
/// Thread contract: any member from any thread.
///
/// G1  `mutex_` guards `waiting_` and `leader_`. It is not held while SQLite works, nor while a `Work` runs. The mutex
///     of a request guards its `turn`; a thread that holds both has taken `mutex_` first.
/// G2  The request that `leader_` points to is the first in `waiting_` until its transaction takes it in, and its
///     thread is the one that uses `connection_`, `batch_` and `left_`. A leader hands them over, by setting `leader_`
///     anew under `mutex_`, after its last use of them: what one leader did to them, the next one sees.
/// G3  A request lies on the stack of the thread that called run(). That thread waits there until the request's turn
///     has come, or takes the request out of `waiting_` itself, which it may do only while the request stands there and
///     does not lead. So a leader never meets a request that is gone. Whoever says a turn does so under the request's
///     mutex to the end, so that the request outlives the saying.
/// G4  `failure` is written by the leader before it says `done`. The thread of the request reads it afterwards.
/// G5  No request stays behind: where requests wait when a leader ends, it makes the first of them the leader, even one
///     whose time is up, and where none waits, the next one to arrive finds no leader and leads.
/// G6  Nothing that a leader does before it has handed over can throw past it: what it needs room for was reserved
///     before, and what SQLite or a `Work` throws becomes the `failure` of the requests concerned.
/// G7  A request is told that it is stored only after a COMMIT of its batch has succeeded.
class GroupCommit {
public:
    /// What a request writes. A `Work` that throws `Failure` refuses, and leaves nothing stored. It may run more than
    /// once, since a disk error of one request makes SQLite roll back all of them: only the last run counts.
    using Work = std::function<void(Connection&)>;

    /// `connection` must outlive this and is used by nobody else.
    explicit GroupCommit(Connection& connection);

    /// Durable when it returns. Throws `Failure`, or what `work` threw. Waiting, for the turn and for other processes
    /// together, ends at the deadline of `context`; without one, after the busy timeout of the connection.
    void run(const Work& work, const incidents::RequestContext& context);

    /// Requests that no transaction has taken in yet.
    [[nodiscard]] std::size_t waiting() const;

private:
    enum class Turn : std::uint8_t { waits, leads, done };
    struct Request {
        const Work& work;
        const incidents::RequestContext& context;
        std::chrono::steady_clock::time_point give_up_at;
        std::exception_ptr failure{};  ///< G4; null: the work is committed
        Turn turn{Turn::waits};        ///< G1
        std::mutex mutex{};            ///< G1
        std::condition_variable said{};
    };
    using Requests = std::vector<Request*>;
    /// `apart`: each request inside a savepoint of its own.
    enum class Mode : std::uint8_t { together, apart };

    [[nodiscard]] Turn wait_for_turn(Request& request);
    static void say(Turn turn, Request& request) noexcept;
    void lead(Request& request) noexcept;
    void take_in(const Request& leader) noexcept;
    void hand_over() noexcept;
    void begin(const incidents::RequestContext& context, std::chrono::steady_clock::time_point give_up_at);
    void store() noexcept;
    [[nodiscard]] bool run_and_commit(Mode mode);
    [[nodiscard]] bool take_back(bool in_savepoint, bool changed_something);

    mutable std::mutex mutex_;  ///< G1
    Requests waiting_;          ///< in order of arrival; no transaction has taken them in yet
    Request* leader_{nullptr};  ///< G2
    Requests batch_;            ///< G2: the requests of the leader's transaction
    Requests left_;             ///< G2: those of `batch_` that have not failed
    Connection& connection_;    ///< G2
};

}  // namespace fusebox::storage::sqlite
