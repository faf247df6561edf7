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

/// Shares the one writing connection. A write that finds nobody writing runs at once; those that arrive meanwhile wait
/// and are then committed together by the first of them, each inside its own savepoint: one sync to disk serves them
/// all. Thread-safe.
class GroupCommit {
public:
    /// What a write does; refusing is throwing `Failure`, and leaves nothing stored. It may run more than once, since a
    /// neighbour's disk error makes SQLite roll back everybody: only the last run counts.
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
        bool taken{false};  ///< a leader is at it: too late to give up
        bool done{false};
        std::exception_ptr failure{};
    };
    using Requests = std::vector<Request*>;

    void wait_for_turn(std::unique_lock<std::mutex>& lock, Request& request);
    void lead(std::unique_lock<std::mutex>& lock, Request& request);
    void begin(const incidents::RequestContext& context);
    void store(Requests batch) noexcept;
    bool run_and_commit(Requests& batch);

    mutable std::mutex mutex_;  ///< guards the next three and `taken` and `done` of the requests
    std::condition_variable_any changed_;
    Requests waiting_;        ///< in order of arrival
    bool has_leader_{false};  ///< the leader alone uses connection_
    Connection& connection_;
};

}  // namespace fusebox::storage::sqlite
