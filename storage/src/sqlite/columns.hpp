// What the columns of all tables have in common.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include <fusebox/incidents/types.hpp>

namespace fusebox::storage::sqlite {

/// Throws `Failure`: `invalid` for text that is not UTF-8.
[[nodiscard]] std::string dump(const nlohmann::json& json);
/// The same for what each write of an incident has, without a tree in between.
[[nodiscard]] std::string dump(const incidents::Labels& labels);
[[nodiscard]] std::string dump(const std::vector<std::string>& texts);
/// Throws `Failure`: `corrupt`.
[[noreturn]] void corrupt(std::string_view row, std::string_view what);

/// The value of an enumeration that a column holds; enumerations are stored as their number. Throws `Failure`:
/// `corrupt` for a number above `last`.
template <class Enum>
[[nodiscard]] Enum enum_of(std::int64_t number, Enum last, std::string_view row, std::string_view column) {
    if (number < 0 || number > static_cast<std::int64_t>(last)) corrupt(row, column);
    return static_cast<Enum>(number);
}
template <class Enum>
[[nodiscard]] constexpr std::int64_t number_of(Enum value) noexcept {
    return static_cast<std::int64_t>(value);
}

}  // namespace fusebox::storage::sqlite
