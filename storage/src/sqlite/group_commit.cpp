// G1 … G5: see group_commit.hpp.
#include "sqlite/group_commit.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace fusebox::storage::sqlite {

using namespace fusebox::incidents;

namespace {

/// Bounds how long the other requests of a batch can keep a request from its answer.
constexpr std::size_t max_batch = 64;

void roll_back(Connection& connection) noexcept {
    try {
        if (connection.in_transaction()) connection.execute("ROLLBACK");
    } catch (const Failure&) {
        return;  // the next BEGIN will say what is wrong
    }
}

}  // namespace

void GroupCommit::run(const Work& work, const RequestContext& context) {
    Request request{.work = work, .context = context};
    std::unique_lock lock{mutex_};
    waiting_.push_back(&request);
    wait_for_turn(lock, request);
    if (!request.done) lead(lock, request);
    if (request.failure) std::rethrow_exception(request.failure);
}

std::size_t GroupCommit::waiting() const {
    const std::lock_guard lock{mutex_};
    return waiting_.size();
}

/// Waits until a leader has done the request, or until the request is the first in the queue and there is no leader.
void GroupCommit::wait_for_turn(std::unique_lock<std::mutex>& lock, Request& request) {
    const auto its_turn = [&] { return request.done || (!has_leader_ && waiting_.front() == &request); };
    const auto its_turn_or_taken = [&] { return request.taken || its_turn(); };
    const bool in_time = request.context.deadline ? changed_.wait_until(lock, request.context.stop,
                                                                        *request.context.deadline, its_turn_or_taken)
                                                  : changed_.wait(lock, request.context.stop, its_turn_or_taken);
    if (!in_time) {
        std::erase(waiting_, &request);  // G3
        throw Failure{StoreError::Kind::timeout,
                      "sqlite: the time for this request was up before its turn to write came"};
    }
    changed_.wait(lock, its_turn);
}

void GroupCommit::lead(std::unique_lock<std::mutex>& lock, Request& request) {
    has_leader_ = true;
    lock.unlock();
    // The wait for other processes ends when the leader's own time is up. Requests behind it may have more time: their
    // threads lead afterwards.
    try {
        begin(request.context);
    } catch (...) {
        request.failure = std::current_exception();
    }
    lock.lock();
    Requests batch{&request};
    if (!request.failure) batch.assign(waiting_.begin(), waiting_.begin() + std::min(waiting_.size(), max_batch));
    waiting_.erase(waiting_.begin(), waiting_.begin() + batch.size());
    for (auto* taken : batch) taken->taken = true;
    lock.unlock();
    if (!request.failure) store(batch);
    lock.lock();
    // G4, G5
    for (auto* finished : batch) finished->done = true;
    has_leader_ = false;
    changed_.notify_all();
}

void GroupCommit::begin(const RequestContext& context) {
    const Connection::Within within{connection_, context, Connection::Interrupt::waiting};
    connection_.execute("BEGIN IMMEDIATE");
}

void GroupCommit::store(Requests batch) noexcept {
    try {
        while (!run_and_commit(batch)) begin({});
    } catch (...) {
        for (auto* request : batch) request->failure = std::current_exception();
        roll_back(connection_);
    }
}

/// Drops from `batch` the requests that failed. False where SQLite has rolled back the whole transaction meanwhile: the
/// requests that are left in `batch` are then to be run again.
bool GroupCommit::run_and_commit(Requests& batch) {
    for (auto next = batch.begin(); next != batch.end();) {
        bool in_savepoint = false;
        try {
            const Connection::Within within{connection_, (*next)->context, Connection::Interrupt::waiting};
            connection_.execute("SAVEPOINT request");
            in_savepoint = true;
            (*next)->work(connection_);
            connection_.execute("RELEASE request");
            ++next;
        } catch (...) {
            (*next)->failure = std::current_exception();
            next = batch.erase(next);
            if (!connection_.in_transaction()) return batch.empty();
            if (in_savepoint) connection_.execute("ROLLBACK TO request; RELEASE request");
        }
    }
    connection_.execute(batch.empty() ? "ROLLBACK" : "COMMIT");
    return true;
}

}  // namespace fusebox::storage::sqlite
