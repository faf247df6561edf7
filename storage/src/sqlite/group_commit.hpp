// Writes of several threads in one transaction, each with its own answer.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <exception>
#include <functional>
#include <mutex>
#include <vector>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// Shares the one writing connection. A request that finds no other thread writing runs at once. Requests that arrive
/// meanwhile wait; then the thread of the first one runs and commits all of them together, each inside its own
/// savepoint: one sync to disk serves them all.
///
/// Thread contract: any member from any thread.
///
/// G1  `mutex_` guards `waiting_`, `has_leader_`, and `taken` and `done` of every request. It is not held while SQLite
///     works, nor while a `Work` runs.
/// G2  One thread at a time is the leader: the one that has set `has_leader_`, until it clears the flag. Only the
///     thread of the first request in `waiting_` becomes the leader. The leader alone uses `connection_`: what one
///     leader did to the connection, the next one sees by `mutex_`.
/// G3  A request lies on the stack of the thread that called run(). That thread waits there until the request is
///     `done`, or takes the request out of `waiting_` itself, which it may do only until the request is `taken`. So a
///     leader never meets a request that is gone.
/// G4  `failure` is written by the leader, without `mutex_`, between `taken` and `done`. The thread of the request
///     reads it after it has seen `done` under `mutex_`.
/// G5  No request stays behind: a leader clears `has_leader_` and notifies all waiting threads under one hold of
///     `mutex_`, so the thread of the request that is then the first becomes the leader. A thread at the front that
///     finds no leader leads, even where its time is up.
class GroupCommit {
public:
    /// What a request writes. A `Work` that throws `Failure` refuses, and leaves nothing stored. It may run more than
    /// once, since a disk error of one request makes SQLite roll back all of them: only the last run counts.
    using Work = std::function<void(Connection&)>;

    /// `connection` must outlive this and is used by nobody else.
    explicit GroupCommit(Connection& connection) : connection_(connection) {}

    /// Durable when it returns. Throws `Failure`, or what `work` threw.
    void run(const Work& work, const incidents::RequestContext& context);

    /// Requests that no transaction has taken in yet.
    [[nodiscard]] std::size_t waiting() const;

private:
    struct Request {
        const Work& work;
        const incidents::RequestContext& context;
        bool taken{false};             ///< a leader has it: too late to give up (G3)
        bool done{false};              ///< the leader has finished with it (G3)
        std::exception_ptr failure{};  ///< G4; null: the work is committed
    };
    using Requests = std::vector<Request*>;

    void wait_for_turn(std::unique_lock<std::mutex>& lock, Request& request);
    void lead(std::unique_lock<std::mutex>& lock, Request& request);
    void begin(const incidents::RequestContext& context);
    void store(Requests batch) noexcept;
    bool run_and_commit(Requests& batch);

    mutable std::mutex mutex_;             ///< G1
    std::condition_variable_any changed_;  ///< requests were taken or done, or there is no leader any more
    Requests waiting_;                     ///< in order of arrival; not taken yet
    bool has_leader_{false};               ///< G2
    Connection& connection_;               ///< G2
};

}  // namespace fusebox::storage::sqlite
