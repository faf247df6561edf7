// What the file looks like, and how an older one is brought up to date.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sqlite/connection.hpp"

namespace fusebox::storage::sqlite {

/// The version that this program writes; `PRAGMA user_version`.
[[nodiscard]] std::int64_t newest_schema() noexcept;

/// Throws `Failure`: `invalid` for another program's database, or one with a newer schema.
void check_owner(Connection& connection);

/// Creates or upgrades the tables, one transaction per step. Gives one line for people per step that changed a file
/// which was not new. Throws `Failure`: `invalid` for a file with a newer schema or of another program, which is then
/// left as it was.
[[nodiscard]] std::vector<std::string> migrate(Connection& connection);

}  // namespace fusebox::storage::sqlite
