// What the members of SqliteStore share: the connections, and how work is run on them.
#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fusebox/storage/sqlite_store.hpp>

#include "sqlite/connection.hpp"
#include "sqlite/group_commit.hpp"
#include "sqlite/read_pool.hpp"

namespace fusebox::storage {

/// Removes the row that was read beyond the limit; such a row says that there is a next page.
template <class T, class CursorAfter>
void end_page(incidents::Page<T>& page, std::size_t limit, CursorAfter cursor_after) {
    if (page.items.size() <= limit) return;
    page.items.pop_back();
    page.next_cursor = cursor_after(page.items.back());
}

class SqliteStore::Impl {
public:
    /// Throws `Failure`.
    explicit Impl(const SqliteOptions& options);

    /// `work(connection)` in a transaction of its own.
    template <class Work>
    auto write(const incidents::RequestContext& context, Work work)
        -> incidents::StoreResult<std::invoke_result_t<Work, sqlite::Connection&>> {
        using Value = std::invoke_result_t<Work, sqlite::Connection&>;
        return guarded([&]() -> incidents::StoreResult<Value> {
            if constexpr (std::is_void_v<Value>) {
                writer_.run(work, context);
                return {};
            } else {
                Value value;
                writer_.run([&](sqlite::Connection& connection) { value = work(connection); }, context);
                return value;
            }
        });
    }

    /// `work(connection)` on a connection that waits for no writer.
    template <class Work>
    auto read(const incidents::RequestContext& context, Work work)
        -> incidents::StoreResult<std::invoke_result_t<Work, sqlite::Connection&>> {
        using Value = std::invoke_result_t<Work, sqlite::Connection&>;
        return guarded([&]() -> incidents::StoreResult<Value> {
            const sqlite::ReadPool::Loan loan{context.for_people ? readers_for_people_ : readers_, context};
            const sqlite::Connection::Within within{*loan, context, sqlite::Connection::Interrupt::waiting_and_running};
            return work(*loan);
        });
    }

    [[nodiscard]] std::optional<std::string> damage() const;
    /// Of a row that a call could do without.
    void note_damage(std::string what);
    [[nodiscard]] const std::vector<std::string>& upgrades() const noexcept { return upgrades_; }

private:
    template <class Body>
    auto guarded(Body body) -> std::invoke_result_t<Body> {
        try {
            return body();
        } catch (const sqlite::Failure& failure) {
            note_failed(failure.error());
            return std::unexpected(failure.error());
        }
    }
    void note_failed(const incidents::StoreError& error);

    std::vector<std::string> upgrades_;
    sqlite::Connection connection_;
    sqlite::GroupCommit writer_;
    sqlite::ReadPool readers_;             ///< for what intake and delivery need
    sqlite::ReadPool readers_for_people_;  ///< apart, so that slow lists keep no alert waiting
    mutable std::mutex mutex_;             ///< guards damage_
    std::optional<std::string> damage_;
};

}  // namespace fusebox::storage
