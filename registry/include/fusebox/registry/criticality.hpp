// How much a breaker matters to those who watch over a service.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace fusebox {

/// How much it matters when a breaker is open. Health checks report it beside the breaker's state (R64).
///
///     const auto config = fusebox::preset("database").value();  // <fusebox/core/presets.hpp>
///     auto store = registry.get_or_create("store", config, fusebox::Criticality::critical);
enum class Criticality : std::uint8_t {
    critical,  ///< the service cannot do its work
    degraded,  ///< the service does a part of its work; the default
    optional,  ///< nobody misses anything
};

/// As files and JSON spell it: `critical`.
[[nodiscard]] std::string_view to_string(Criticality criticality) noexcept;
/// What `to_string` gives; empty for any other text.
[[nodiscard]] std::optional<Criticality> criticality_from_string(std::string_view text) noexcept;

}  // namespace fusebox
