// Configurations of breakers by name, read from TOML (R62).
#pragma once

#include <expected>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/circuit_breaker_config.hpp>

namespace fusebox {

/// One mistake in a configuration text.
struct ConfigMistake {
    std::size_t line{};   ///< 1-based; 0 when unknown
    std::string field;    ///< dotted: `breakers.store.open_timeout`
    std::string message;  ///< what is wrong and what would be right
};
/// "file:line: field: message"
[[nodiscard]] std::string describe(const ConfigMistake& mistake, std::string_view file);

/// Fields given in a file; a field that is not given is inherited.
struct BreakerOverrides;  // see breaker_set.cpp; colleagues: flesh out here

/// `[breakers.defaults]` and `[breakers."name"]` of a configuration. A value.
class BreakerSet {
public:
    BreakerSet();
    /// The `breakers` table of `toml_text`; other tables are left alone. Any mistake rejects the whole, all are named.
    static std::expected<BreakerSet, std::vector<ConfigMistake>> from_toml(std::string_view toml_text);

    /// What a breaker of this name is to have: `base` (else the preset named in the entry, else in defaults, else
    /// `standard`), with the defaults' fields and then the entry's fields laid over it.
    [[nodiscard]] CircuitBreakerConfig resolve(std::string_view name,
                                               const std::optional<CircuitBreakerConfig>& base = std::nullopt) const;
    [[nodiscard]] std::vector<std::string> names() const;
};

/// Durations as files spell them: "250ms", "30s", "2m", "1h"; a whole or decimal number with one unit (ns us ms s m h d).
[[nodiscard]] std::optional<Duration> parse_duration(std::string_view text) noexcept;
/// The shortest exact form: "1.5s", "30s", "2m".
[[nodiscard]] std::string format_duration(Duration duration);

}  // namespace fusebox
