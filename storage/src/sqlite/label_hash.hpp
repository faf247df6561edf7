// What the index over labels keeps instead of a label.
#pragma once

#include <cstdint>
#include <string_view>

namespace fusebox::storage::sqlite {

/// Stands in files, so never to be changed. Two labels may share a hash: whoever looks one up compares the labels, too.
[[nodiscard]] std::int64_t label_hash(std::string_view name, std::string_view value) noexcept;

}  // namespace fusebox::storage::sqlite
