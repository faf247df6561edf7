// One table of a breaker's configuration, read and checked key by key.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include <fusebox/registry/breaker_set.hpp>

namespace fusebox {

/// One field that a file sets.
struct Setting {
    std::string field;    ///< as `validate` names it: `open_timeout`, `backoff.multiplier`
    std::string written;  ///< the key that set it, with its table: `breakers.store.recovery_timeout_seconds`
    std::size_t line{};
    std::function<void(CircuitBreakerConfig&)> apply;
};

/// Where an entry says something that only the whole set can check.
struct Reference {
    std::string value;
    std::string written;
    std::size_t line{};
};

struct BreakerEntry {
    std::string path;  ///< of its table: `breakers.store`
    std::size_t line{};
    std::optional<Reference> preset;  ///< the name of a preset that exists
    std::optional<Reference> inherits;
    std::optional<Criticality> criticality;
    std::vector<Setting> settings;      ///< in the order in which they apply
    std::vector<std::string> rejected;  ///< fields that a mistake left out
};

/// Reads `table`, found at `path`; what is wrong is added to `mistakes` and left out of the entry.
[[nodiscard]] BreakerEntry read_breaker_entry(const toml::table& table, std::string path,
                                              std::vector<ConfigMistake>& mistakes);

/// `name` as one part of a dotted path, quoted where TOML would quote it.
[[nodiscard]] std::string path_part(std::string_view name);

}  // namespace fusebox
