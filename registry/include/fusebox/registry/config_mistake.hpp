// A mistake in a configuration text, with the place where it stands.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fusebox {

/// One mistake in a configuration text. A value.
///
///     auto set = fusebox::BreakerSet::from_toml(text);
///     if (!set) {
///         for (const auto& mistake : set.error()) std::cerr << fusebox::describe(mistake, "incidentd.toml") << '\n';
///     }
struct ConfigMistake {
    std::size_t line{};   ///< 1-based; 0 when unknown
    std::string field;    ///< dotted: `breakers.store.open_timeout`; empty for a text that is not TOML
    std::string message;  ///< what is wrong and what would be right
};

/// "file:line: field: message"; without the line when it is unknown, without the field when there is none. What could
/// steer a terminal is escaped.
[[nodiscard]] std::string describe(const ConfigMistake& mistake, std::string_view file);

}  // namespace fusebox
