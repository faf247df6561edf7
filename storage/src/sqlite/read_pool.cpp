#include "sqlite/read_pool.hpp"

#include <utility>

namespace fusebox::storage::sqlite {

using namespace fusebox::incidents;

std::unique_ptr<Connection> ReadPool::take(const RequestContext& context) {
    std::unique_lock lock{mutex_};
    const auto is_free = [&] { return lent_ < limit_; };
    const bool in_time = context.deadline ? returned_.wait_until(lock, context.stop, *context.deadline, is_free)
                                          : returned_.wait(lock, context.stop, is_free);
    if (!in_time)
        throw Failure{StoreError::Kind::timeout,
                      "sqlite: the time for this request was up before a connection was free"};
    ++lent_;
    if (!idle_.empty()) {
        auto connection = std::move(idle_.back());
        idle_.pop_back();
        return connection;
    }
    lock.unlock();
    try {
        return std::make_unique<Connection>(path_, Connection::Mode::read_only, busy_timeout_);
    } catch (...) {
        give_back(nullptr);
        throw;
    }
}

void ReadPool::give_back(std::unique_ptr<Connection> connection) {
    {
        const std::lock_guard lock{mutex_};
        --lent_;
        if (connection) idle_.push_back(std::move(connection));
    }
    returned_.notify_one();
}

}  // namespace fusebox::storage::sqlite
