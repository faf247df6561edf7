// Which file the store's path leads to.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>

namespace fusebox::service {

/// Device and number of the file of a store `sqlite:PATH`, which stay the same while it is the same file; none where
/// there is no file, or the store has none. SQLite goes on writing to a file that was moved or deleted, and says
/// nothing.
using StoreFileId = std::optional<std::pair<dev_t, ino_t>>;
[[nodiscard]] StoreFileId identify_store_file(const std::string& url) noexcept;

}  // namespace fusebox::service
