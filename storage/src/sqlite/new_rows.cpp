#include "sqlite/new_rows.hpp"

#include "sqlite/columns.hpp"

namespace fusebox::storage::sqlite {

void NewRows::count(Connection& connection) const {
    for (const auto& [state, rows] : incidents_)
        connection
            .prepare(
                "INSERT INTO incident_counts VALUES (?, ?)"
                " ON CONFLICT (state) DO UPDATE SET incidents = incidents + excluded.incidents")
            .bind(number_of(state))
            .bind(rows)
            .run();
    for (const auto& [key, rows] : notifications_)
        connection
            .prepare(
                "INSERT INTO outbox_counts VALUES (?, ?, ?)"
                " ON CONFLICT (destination, state) DO UPDATE SET notifications = notifications + "
                "excluded.notifications")
            .bind(key.first)
            .bind(number_of(key.second))
            .bind(rows)
            .run();
}

}  // namespace fusebox::storage::sqlite
