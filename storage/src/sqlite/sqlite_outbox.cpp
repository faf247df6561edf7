// SqliteStore as an Outbox.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "rules.hpp"
#include "sqlite/outbox_rows.hpp"
#include "sqlite/store_impl.hpp"

namespace fusebox::storage {

using namespace fusebox::incidents;
using sqlite::Connection;
using sqlite::Failure;

namespace {

std::string select_notification(std::string_view rest) {
    return "SELECT " + std::string{sqlite::notification_columns} + " FROM " + std::string{sqlite::notification_tables} +
           " " + std::string{rest};
}

Notification find_notification(Connection& connection, std::string_view id) {
    static const std::string sql = select_notification("WHERE row.id = ?");
    auto query = connection.prepare(sql);
    if (!query.bind(id).step()) throw Failure{rules::no_such_notification(id)};
    return sqlite::read_notification(query);
}

struct Unreadable {
    std::int64_t sequence{};
    std::string why;
};

/// The rows that can be read. The others keep none of them from being shown or sent.
std::vector<Notification> read_all(Connection& connection, const std::vector<std::int64_t>& sequences,
                                   std::vector<Unreadable>& unreadable) {
    static const std::string sql = select_notification("WHERE row.sequence = ?");
    std::vector<Notification> found;
    auto query = connection.prepare(sql);
    for (const auto sequence : sequences) {
        if (!query.again().bind(sequence).step()) continue;
        try {
            found.push_back(sqlite::read_notification(query));
        } catch (const Failure& failure) {
            unreadable.push_back({.sequence = sequence, .why = failure.error().message});
        }
    }
    return found;
}

}  // namespace

StoreResult<std::vector<Notification>> SqliteStore::lease(std::string_view destination, WallTime now,
                                                          std::chrono::milliseconds lease_for, std::size_t limit,
                                                          const RequestContext& context) {
    const std::string token = new_id("lease", now);
    std::vector<Unreadable> unreadable;
    auto rows = impl_->write(context, [&](Connection& connection) {
        unreadable.clear();
        std::vector<Notification> leased =
            read_all(connection, sqlite::find_due(connection, destination, now, limit), unreadable);
        for (const auto& row : unreadable) sqlite::put_aside(connection, row.sequence, row.why, now);
        for (auto& row : leased) {
            row.state = NotificationState::leased;
            row.lease_token = token;
            row.lease_until = now + lease_for;
            connection.prepare("UPDATE outbox SET state = 1, lease_token = ?, lease_until = ? WHERE sequence = ?")
                .bind(row.lease_token)
                .bind(row.lease_until)
                .bind(static_cast<std::int64_t>(row.sequence))
                .run();
        }
        return leased;
    });
    for (const auto& row : unreadable) impl_->note_damage(row.why);
    return rows;
}

StoreResult<std::uint64_t> SqliteStore::release_leases(WallTime now, const RequestContext& context) {
    return impl_->write(context, [&](Connection& connection) {
        connection
            .prepare(
                "UPDATE outbox SET state = 0, lease_token = '', lease_until = NULL,"
                " next_attempt_at = min(next_attempt_at, ?)"
                " WHERE sequence IN (SELECT sequence FROM outbox INDEXED BY outbox_waiting WHERE state < 2 AND state = "
                "1)")
            .bind(now)
            .run();
        return static_cast<std::uint64_t>(connection.changes());
    });
}

StoreResult<void> SqliteStore::settle(std::string_view id, std::string_view lease_token, const DeliveryResult& result,
                                      const RequestContext& context) {
    return impl_->write(context, [&](Connection& connection) {
        Notification row = find_notification(connection, id);
        if (auto settled = rules::settle(row, lease_token, result); !settled) throw Failure{settled.error()};
        sqlite::update_notification(connection, row);
    });
}

StoreResult<std::optional<WallTime>> SqliteStore::next_due(std::string_view destination,
                                                           const RequestContext& context) {
    return impl_->read(context, [&](Connection& connection) { return sqlite::find_next_due(connection, destination); });
}

StoreResult<Notification> SqliteStore::get_notification(std::string_view id, const RequestContext& context) {
    return impl_->read(context, [&](Connection& connection) { return find_notification(connection, id); });
}

StoreResult<Page<Notification>> SqliteStore::list_notifications(const NotificationQuery& query,
                                                                const RequestContext& context) {
    const auto start = rules::start_of(query);
    if (!start) return std::unexpected(start.error());
    return impl_->read(context, [&](Connection& connection) {
        const Connection::Snapshot snapshot{connection};
        const auto found = sqlite::find_newest(connection, query, *start);
        Page<Notification> page;
        std::vector<Unreadable> unreadable;
        page.items = read_all(connection, found.sequences, unreadable);
        for (const auto& row : unreadable) impl_->note_damage(row.why);
        if (found.next) page.next_cursor = rules::cursor_after(static_cast<std::uint64_t>(*found.next));
        return page;
    });
}

StoreResult<Notification> SqliteStore::replay(std::string_view id, WallTime now, const RequestContext& context) {
    return impl_->write(context, [&](Connection& connection) {
        Notification row = find_notification(connection, id);
        if (auto replayed = rules::replay(row, now); !replayed) throw Failure{replayed.error()};
        sqlite::update_notification(connection, row);
        return row;
    });
}

StoreResult<void> SqliteStore::enqueue(const NotificationDraft& draft, const RequestContext& context) {
    if (auto bad = rules::check(draft)) return std::unexpected(*std::move(bad));
    return impl_->write(context, [&](Connection& connection) {
        sqlite::NewRows added;
        sqlite::insert_notification(connection, draft, added);
        added.count(connection);
    });
}

StoreResult<std::map<std::string, std::map<NotificationState, std::uint64_t>>> SqliteStore::counts(
    const RequestContext& context) {
    return impl_->read(context, [](Connection& connection) {
        auto rows = connection.prepare(
            "SELECT destination, state, notifications FROM outbox_counts WHERE state BETWEEN 0 AND 3");
        std::map<std::string, std::map<NotificationState, std::uint64_t>> counts;
        while (rows.step())
            if (rows.number(2) > 0)
                counts[std::string{rows.text(0)}][static_cast<NotificationState>(rows.number(1))] =
                    static_cast<std::uint64_t>(rows.number(2));
        return counts;
    });
}

}  // namespace fusebox::storage
