// A few connections for reads, which in write-ahead logging wait for no writer.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// Opens up to `limit` connections on demand and lends them out. Thread-safe.
class ReadPool {
public:
    ReadPool(std::filesystem::path path, std::chrono::milliseconds busy_timeout, std::size_t limit)
        : path_(std::move(path)), busy_timeout_(busy_timeout), limit_(limit) {}

    /// A connection until destroyed. The pool must outlive it.
    class Loan {
    public:
        Loan(ReadPool& pool, const incidents::RequestContext& context) : pool_(pool), connection_(pool.take(context)) {}
        Loan(const Loan&) = delete;
        Loan& operator=(const Loan&) = delete;
        ~Loan() { pool_.give_back(std::move(connection_)); }
        Connection& operator*() const noexcept { return *connection_; }

    private:
        ReadPool& pool_;
        std::unique_ptr<Connection> connection_;
    };

private:
    std::unique_ptr<Connection> take(const incidents::RequestContext& context);
    void give_back(std::unique_ptr<Connection> connection);

    const std::filesystem::path path_;
    const std::chrono::milliseconds busy_timeout_;
    const std::size_t limit_;
    std::mutex mutex_;  ///< guards what follows
    std::condition_variable_any returned_;
    std::vector<std::unique_ptr<Connection>> idle_;
    std::size_t lent_{0};
};

}  // namespace fusebox::storage::sqlite
