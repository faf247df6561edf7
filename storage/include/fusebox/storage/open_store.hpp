// From a configured URL to a store, or to a copy of one.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include <fusebox/storage/store.hpp>

namespace fusebox::storage {

/// "memory:" or "sqlite:PATH" (where SQLite was built in). `invalid` names what is supported; other errors are those of
/// opening the store. Opening may create files and upgrade an older schema.
[[nodiscard]] incidents::StoreResult<std::unique_ptr<Store>> open_store(std::string_view url);

/// For a program that owns its process, before its first store is opened: the libraries behind the stores then do
/// without what several users of a process would need, such as `SqliteStore::spare_memory_statistics`. Not thread-safe.
void own_process() noexcept;

/// Copies what a store holds now into the new file `to`, while a service may be writing. "sqlite:PATH" only: `invalid`
/// for other stores and for a file `to` that exists; other errors are those of `SqliteStore::back_up`.
[[nodiscard]] incidents::StoreResult<void> back_up_store(std::string_view url, const std::filesystem::path& to,
                                                         const incidents::RequestContext& context);

}  // namespace fusebox::storage
