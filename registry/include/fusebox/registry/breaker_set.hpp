// Configurations of breakers by name, read from TOML (R62).
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/registry/config_mistake.hpp>
#include <fusebox/registry/criticality.hpp>

namespace fusebox {

/// `[breakers.defaults]` and `[breakers."name"]` of a configuration. A value, cheap to copy; distinct objects may be
/// used by different threads.
///
/// An entry may name a `preset`, another entry that it `inherits` from, a `criticality`, and any field of
/// `CircuitBreakerConfig`. Some fields may be written under other names too; the module's README lists them.
///
///     auto set = fusebox::BreakerSet::from_toml(R"([breakers.store]
///                                                  preset = "database"
///                                                  open_timeout = "5s")");
class BreakerSet {
public:
    using Mistakes = std::vector<ConfigMistake>;

    /// No entries: every breaker gets what its caller asks for.
    BreakerSet();
    /// The `breakers` table of `toml_text`; other tables are left alone. Any mistake rejects the whole, all are named
    /// in the order of the text. A text that nests deeper than `find_too_deep` allows is a mistake.
    static std::expected<BreakerSet, Mistakes> from_toml(std::string_view toml_text);
    /// Adds the entry `name` from the one table at `path`, for tables that configure a breaker where it is used:
    /// `add_from_toml(text, "upstreams[0].circuit_breaker", "upstream-models")`. Nothing at `path` adds nothing; a
    /// mistake, or a second entry of this name, changes nothing.
    std::expected<void, Mistakes> add_from_toml(std::string_view toml_text, std::string_view path,
                                                std::string_view name);

    /// What a breaker of this name is to have: the preset named in its entry, else `base`, else the preset named in the
    /// defaults, else `standard`; with the defaults' fields, then those of the entries it inherits from, then its own
    /// laid over it.
    [[nodiscard]] CircuitBreakerConfig resolve(std::string_view name,
                                               const std::optional<CircuitBreakerConfig>& base = std::nullopt) const;
    /// As the file says for this name, inheritance included; empty when it does not say.
    [[nodiscard]] std::optional<Criticality> criticality(std::string_view name) const;
    /// The entries, `defaults` not among them, in alphabetical order.
    [[nodiscard]] std::vector<std::string> names() const;

private:
    struct Entries;
    std::shared_ptr<const Entries> entries_;  // never null
};

/// Every field of `config` by the name that files use, with its value for people: {"open_timeout", "30s"}.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string>> config_fields(const CircuitBreakerConfig& config);

}  // namespace fusebox
