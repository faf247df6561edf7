// One value of a configuration table, read and checked.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "breaker_entry.hpp"

namespace fusebox {

/// A key of a table with its value. Each member that reads a value gives nothing where the value is not of that kind,
/// and then has added a mistake; `text` and `is_off` add none.
class ConfigValue {
public:
    using Apply = std::function<void(CircuitBreakerConfig&)>;

    /// `field`: of the configuration; `path`: of the key, as the file has it. What the value sets goes into `entry`.
    ConfigValue(std::string_view field, std::string path, std::size_t line, const toml::node& node, BreakerEntry& entry,
                std::vector<ConfigMistake>& mistakes)
        : field_(field), path_(std::move(path)), line_(line), node_(node), entry_(entry), mistakes_(mistakes) {}

    [[nodiscard]] const toml::node& node() const { return node_; }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] BreakerEntry& entry() const { return entry_; }
    [[nodiscard]] std::vector<ConfigMistake>& mistakes() const { return mistakes_; }
    [[nodiscard]] Reference reference(std::string value) const { return {std::move(value), path_, line_}; }

    void set(Apply apply) const { set(field_, std::move(apply)); }
    /// For a value that sets another field than its key names.
    void set(std::string_view field, Apply apply) const;
    /// Adds the mistake "is …, must be `wanted`".
    void reject(std::string_view wanted) const;

    [[nodiscard]] std::optional<bool> flag() const;
    [[nodiscard]] std::optional<std::uint32_t> whole_number(std::uint32_t least, std::uint32_t most) const;
    /// Any finite number; the range is the breaker's own to judge.
    [[nodiscard]] std::optional<double> number() const;
    [[nodiscard]] std::optional<std::string_view> text() const;
    [[nodiscard]] bool is_off() const { return text() == "off"; }
    [[nodiscard]] std::optional<Duration> duration(std::string_view wanted) const;
    /// A bare number of `unit`s, where the key says the unit. `range` is for the message; the breaker judges the rest.
    [[nodiscard]] std::optional<Duration> count_of(Duration unit, std::string_view unit_name,
                                                   std::string_view range) const;

private:
    std::string_view field_;
    std::string path_;
    std::size_t line_;
    const toml::node& node_;
    BreakerEntry& entry_;
    std::vector<ConfigMistake>& mistakes_;
};

/// A key that a table may have; or one that it must not have although people write it, for the message about it.
struct ConfigKey {
    std::string_view name;
    std::string_view field;            ///< that it sets, as `validate` names it; without `read`: the key that is meant
    void (*read)(const ConfigValue&);  ///< null: the table must not have this key
};

/// Reads `table`, found at `path`, key by key in the order of `keys`. Every other key of the table is a mistake.
void read_keys(const toml::table& table, std::string_view path, std::span<const ConfigKey> keys, BreakerEntry& entry,
               std::vector<ConfigMistake>& mistakes);

}  // namespace fusebox
