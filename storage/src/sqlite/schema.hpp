// What the file looks like, and how an older one is brought up to date.
#pragma once

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// The version that this program writes; `PRAGMA user_version`.
[[nodiscard]] std::int64_t newest_schema() noexcept;

/// Creates or upgrades the tables, one transaction per step. Throws `Failure`: `invalid` for a file with a newer schema
/// or of another program, which is then left as it was.
void migrate(Connection& connection, const std::string& name);

}  // namespace fusebox::storage::sqlite
