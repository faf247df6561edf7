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
/// G1  `mutex_` guards `waiting_`, `has_leader_`, and `taken` and `done` of every request. It is not held while SQLite
///     works, nor while a `Work` runs.
/// G2  One thread at a time is the leader: the one that has set `has_leader_`, until it clears the flag. Only the
///     thread of the first request in `waiting_` becomes the leader. The leader alone uses `connection_`, `batch_` and
///     `left_`: what one leader did to them, the next one sees by `mutex_`.
/// G3  A request lies on the stack of the thread that called run(). That thread waits there until the request is
///     `done`, or takes the request out of `waiting_` itself, which it may do only until the request is `taken`. So a
///     leader never meets a request that is gone.
/// G4  `failure` is written by the leader, without `mutex_`, between `taken` and `done`. The thread of the request
///     reads it after it has seen `done` under `mutex_`.
/// G5  No request stays behind: a leader clears `has_leader_` and notifies all waiting threads under one hold of
///     `mutex_`, so the thread of the request that is then the first becomes the leader. A thread at the front that
///     finds no leader leads, even where its time is up.
/// G6  Nothing that a leader does between setting and clearing `has_leader_` can throw past it: what it needs room for
///     was reserved before, and what SQLite or a `Work` throws becomes the `failure` of the requests concerned.
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
    struct Request {
        const Work& work;
        const incidents::RequestContext& context;
        std::chrono::steady_clock::time_point give_up_at;
        bool taken{false};             ///< a leader has it: too late to give up (G3)
        bool done{false};              ///< the leader has finished with it (G3)
        std::exception_ptr failure{};  ///< G4; null: the work is committed
    };
    using Requests = std::vector<Request*>;
    /// `apart`: each request inside a savepoint of its own.
    enum class Mode : std::uint8_t { together, apart };

    void wait_for_turn(std::unique_lock<std::mutex>& lock, Request& request);
    void lead(std::unique_lock<std::mutex>& lock, Request& request) noexcept;
    void begin(const incidents::RequestContext& context, std::chrono::steady_clock::time_point give_up_at);
    void store() noexcept;
    [[nodiscard]] bool run_and_commit(Mode mode);
    [[nodiscard]] bool take_back(bool in_savepoint, bool changed_something);

    mutable std::mutex mutex_;             ///< G1
    std::condition_variable_any changed_;  ///< requests were taken or done, or there is no leader any more
    Requests waiting_;                     ///< in order of arrival; not taken yet
    bool has_leader_{false};               ///< G2
    Requests batch_;                       ///< G2: the requests of the leader's transaction
    Requests left_;                        ///< G2: those of `batch_` that have not failed
    Connection& connection_;               ///< G2
};

}  // namespace fusebox::storage::sqlite
