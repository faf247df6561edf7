// From a configured URL to a store.
#pragma once

#include <memory>
#include <string_view>

#include <fusebox/storage/store.hpp>

namespace fusebox::storage {

/// "memory:" or "sqlite:PATH" (where SQLite was built in). `invalid` names what is supported; other errors are those of
/// opening the store. Opening may create files and upgrade an older schema.
[[nodiscard]] incidents::StoreResult<std::unique_ptr<Store>> open_store(std::string_view url);

}  // namespace fusebox::storage
