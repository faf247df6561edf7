// How many rows a transaction has added, for the tables that keep counts.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// Whoever inserts incidents or notifications says so here, and adds the numbers to the counts once per request. A
/// trigger would do it row by row, and make SQLite keep a copy of the pages that each insertion changes. Triggers do
/// count rows whose state changes and rows that go: see schema.cpp.
class NewRows {
public:
    void add(incidents::IncidentState state) { ++incidents_[state]; }
    void add(const std::string& destination, incidents::NotificationState state) {
        ++notifications_[{destination, state}];
    }
    /// Inside the transaction of the insertions. Throws `Failure`.
    void count(Connection& connection) const;

private:
    std::map<incidents::IncidentState, std::int64_t> incidents_;
    std::map<std::pair<std::string, incidents::NotificationState>, std::int64_t> notifications_;
};

}  // namespace fusebox::storage::sqlite
