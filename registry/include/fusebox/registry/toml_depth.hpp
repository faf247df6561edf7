// A look at a TOML text before it is parsed: how deep it nests.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include <fusebox/registry/config_mistake.hpp>

namespace fusebox {

/// Parts of a dotted key or of a table's name, and brackets within brackets, that a configuration may have.
inline constexpr std::size_t most_toml_levels = 32;

/// The first place where `toml_text` nests deeper than `most_toml_levels`; none where it does not. A parser makes a
/// table of each part of a key, and needs stack for each table when the tables go: a key of 50,000 dots ends the
/// process. Any text may be given, whether or not it is TOML; takes time in proportion to its length.
[[nodiscard]] std::optional<ConfigMistake> find_too_deep(std::string_view toml_text);

}  // namespace fusebox
