// G1 … G7: see group_commit.hpp.
#include "sqlite/group_commit.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <stop_token>
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
    bool leads = false;
    {
        const std::lock_guard lock{mutex_};
        waiting_.push_back(&request);
        leads = leader_ == nullptr;  // then nobody else waits (G5)
        if (leads) leader_ = &request;
    }
    if (leads || wait_for_turn(request) == Turn::leads) lead(request);
    if (request.failure) std::rethrow_exception(request.failure);
}

std::size_t GroupCommit::waiting() const {
    const std::lock_guard lock{mutex_};
    return waiting_.size();
}

GroupCommit::Turn GroupCommit::wait_for_turn(Request& request) {
    const auto has_come = [&] { return request.turn != Turn::waits; };
    const auto& stop = request.context.stop;
    {
        const std::stop_callback wake{stop, [&] {
                                          const std::lock_guard lock{request.mutex};
                                          request.said.notify_one();
                                      }};
        std::unique_lock lock{request.mutex};
        request.said.wait_until(lock, request.give_up_at, [&] { return has_come() || stop.stop_requested(); });
        if (has_come()) return request.turn;
    }
    {
        const std::lock_guard lock{mutex_};
        if (leader_ != &request && std::erase(waiting_, &request) > 0)  // G3
            throw Failure{StoreError::Kind::timeout,
                          "sqlite: the time for this request was up before its turn to write came"};
    }
    std::unique_lock lock{request.mutex};
    request.said.wait(lock, has_come);
    return request.turn;
}

void GroupCommit::say(Turn turn, Request& request) noexcept {
    const std::lock_guard lock{request.mutex};  // G3
    request.turn = turn;
    request.said.notify_one();
}

/// G6: noexcept, so that a mistake here ends the process instead of all writing.
void GroupCommit::lead(Request& request) noexcept {
    // The wait for other processes ends when the leader's own time is up. Requests behind it may have more time: their
    // threads lead afterwards.
    try {
        begin(request.context, request.give_up_at);
    } catch (...) {
        request.failure = std::current_exception();
    }
    take_in(request);
    if (!request.failure) store();
    // The next leader works while the threads of this batch wake up, and `batch_` is then the next leader's.
    std::array<Request*, max_batch> finished{};
    const auto end = std::ranges::copy(batch_, finished.begin()).out;
    hand_over();
    for (auto* other : std::span{finished.begin(), end})
        if (other != &request) say(Turn::done, *other);
}

/// The leader and the requests behind it become the batch; the leader alone where its transaction could not begin.
void GroupCommit::take_in(const Request& leader) noexcept {
    const std::lock_guard lock{mutex_};
    const std::size_t size = leader.failure ? 1 : std::min(waiting_.size(), max_batch);
    const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(size);
    batch_.assign(waiting_.begin(), end);  // G6
    waiting_.erase(waiting_.begin(), end);
}

/// G5
void GroupCommit::hand_over() noexcept {
    const std::lock_guard lock{mutex_};
    leader_ = waiting_.empty() ? nullptr : waiting_.front();
    if (leader_ != nullptr) say(Turn::leads, *leader_);
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
