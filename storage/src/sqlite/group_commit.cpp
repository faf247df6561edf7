// G1 … G7: see group_commit.hpp.
#include "sqlite/group_commit.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace fusebox::storage::sqlite {

using namespace fusebox::incidents;

namespace {

/// Bounds how long the other requests of a batch can keep a request from its answer.
constexpr std::size_t max_batch = 128;

}  // namespace

GroupCommit::GroupCommit(Connection& connection) : connection_(connection) {
    batch_.reserve(max_batch);  // G6
    left_.reserve(max_batch);
}

void GroupCommit::run(const Work& work, const RequestContext& context) {
    Request request{.work = work, .context = context, .give_up_at = connection_.give_up_at(context)};
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
    if (!changed_.wait_until(lock, request.context.stop, request.give_up_at, its_turn_or_taken)) {
        std::erase(waiting_, &request);  // G3
        throw Failure{StoreError::Kind::timeout,
                      "sqlite: the time for this request was up before its turn to write came"};
    }
    changed_.wait(lock, its_turn);
}

/// G6: noexcept, so that a mistake here ends the process instead of all writing.
void GroupCommit::lead(std::unique_lock<std::mutex>& lock, Request& request) noexcept {
    has_leader_ = true;
    lock.unlock();
    // The wait for other processes ends when the leader's own time is up. Requests behind it may have more time: their
    // threads lead afterwards.
    try {
        begin(request.context, request.give_up_at);
    } catch (...) {
        request.failure = std::current_exception();
    }
    lock.lock();
    const std::size_t size = request.failure ? 1 : std::min(waiting_.size(), max_batch);
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(size);
    batch_.assign(waiting_.begin(), end);  // the first of them is `request` (G2)
    waiting_.erase(waiting_.begin(), end);
    for (auto* taken : batch_) taken->taken = true;
    lock.unlock();
    if (!request.failure) store();
    lock.lock();
    // G4, G5
    for (auto* finished : batch_) finished->done = true;
    has_leader_ = false;
    changed_.notify_all();
}

void GroupCommit::begin(const RequestContext& context, std::chrono::steady_clock::time_point give_up_at) {
    const Connection::Within within{connection_, context, Connection::Interrupt::waiting, give_up_at};
    connection_.roll_back();  // where the disk let the last transaction end neither way
    connection_.prepare("BEGIN IMMEDIATE").run();
}

/// First without savepoints, which cost a copy of each page that a request touches: nearly always every request
/// succeeds, or fails before it has changed anything.
void GroupCommit::store() noexcept {
    left_.assign(batch_.begin(), batch_.end());
    try {
        Mode mode = Mode::together;
        while (!run_and_commit(mode)) {
            mode = Mode::apart;
            begin({}, connection_.give_up_at({}));
        }
    } catch (...) {
        for (auto* request : left_) request->failure = std::current_exception();  // G7
        connection_.roll_back();
    }
}

/// Drops from `left_` the requests that failed. False where the whole transaction is rolled back: the requests that are
/// left are then to be run again.
bool GroupCommit::run_and_commit(Mode mode) {
    for (auto next = left_.begin(); next != left_.end();) {
        const std::int64_t changes_before = connection_.total_changes();
        bool in_savepoint = false;
        try {
            const Connection::Within within{connection_, (*next)->context, Connection::Interrupt::waiting};
            if (mode == Mode::apart) {
                connection_.prepare("SAVEPOINT request").run();
                in_savepoint = true;
            }
            (*next)->work(connection_);
            if (in_savepoint) connection_.prepare("RELEASE request").run();
            ++next;
        } catch (...) {
            (*next)->failure = std::current_exception();
            next = left_.erase(next);
            if (!take_back(in_savepoint, connection_.total_changes() != changes_before)) return left_.empty();
        }
    }
    if (left_.empty()) {
        connection_.roll_back();
        return true;
    }
    connection_.prepare("COMMIT").run();
    return true;
}

/// Takes back what a request that failed has changed. False: by rolling back the whole transaction.
bool GroupCommit::take_back(bool in_savepoint, bool changed_something) {
    if (!connection_.in_transaction()) return false;  // SQLite has rolled back by itself: disk full, I/O error
    if (in_savepoint) {
        connection_.prepare("ROLLBACK TO request").run();
        connection_.prepare("RELEASE request").run();
    } else if (changed_something) {
        connection_.prepare("ROLLBACK").run();
        return false;
    }
    return true;
}

}  // namespace fusebox::storage::sqlite
