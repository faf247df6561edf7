#include "config_value.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <fusebox/text/duration.hpp>
#include <fusebox/text/suggestion.hpp>
#include <fusebox/text/utf8.hpp>

namespace fusebox {
namespace {

/// The value as the reader of a message should recognise it.
std::string shown(const toml::node& node) {
    if (const auto* text = node.as_string()) {
        const auto& value = text->get();
        constexpr std::size_t most = 60;
        return fmt::format("\"{}{}\"", text::cut(value, most), value.size() > most ? "…" : "");
    }
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
    if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
    if (node.is_table()) return "a table";
    if (node.is_array()) return "an array";
    return "a date or time";
}

}  // namespace

void ConfigValue::set(std::string_view field, Apply apply) const {
    entry_.settings.push_back({std::string{field}, path_, line_, std::move(apply)});
}

void ConfigValue::reject(std::string_view wanted) const {
    entry_.rejected.emplace_back(field_);
    mistakes_.push_back({line_, path_, fmt::format("is {}, must be {}", shown(node_), wanted)});
}

std::optional<bool> ConfigValue::flag() const {
    if (const auto* value = node_.as_boolean()) return value->get();
    reject("true or false");
    return std::nullopt;
}

std::optional<std::uint32_t> ConfigValue::whole_number(std::uint32_t least, std::uint32_t most) const {
    const auto* value = node_.as_integer();
    if (value && value->get() >= least && value->get() <= most) return static_cast<std::uint32_t>(value->get());
    reject(fmt::format("a whole number from {} to {}", least, most));
    return std::nullopt;
}

std::optional<double> ConfigValue::number() const {
    const auto value = node_.value<double>();
    if (node_.is_number() && value && std::isfinite(*value)) return value;
    reject("a number");
    return std::nullopt;
}

std::optional<std::string_view> ConfigValue::text() const {
    if (const auto* value = node_.as_string()) return value->get();
    return std::nullopt;
}

std::optional<Duration> ConfigValue::duration(std::string_view wanted) const {
    if (const auto value = text()) {
        if (const auto parsed = text::parse_duration(*value)) return parsed;
    }
    reject(wanted);
    return std::nullopt;
}

std::optional<Duration> ConfigValue::count_of(Duration unit, std::string_view unit_name, std::string_view range) const {
    const auto value = node_.value<double>();
    if (node_.is_number() && value && *value >= 0) {
        const auto nanoseconds = *value * static_cast<double>(unit.count());
        // 2^63 as a double: the first value that a duration cannot hold.
        if (nanoseconds < 9223372036854775808.0) return Duration{std::llround(nanoseconds)};
    }
    reject(fmt::format("a number of {}, {}", unit_name, range));
    return std::nullopt;
}

void read_keys(const toml::table& table, std::string_view path, std::span<const ConfigKey> keys, BreakerEntry& entry,
               std::vector<ConfigMistake>& mistakes) {
    for (const auto& [key, node] : table) {
        const auto known = std::ranges::find(keys, key.str(), &ConfigKey::name);
        if (known != keys.end() && known->read) continue;
        std::vector<std::string_view> names;
        for (const auto& candidate : keys) {
            if (candidate.read) names.push_back(candidate.name);
        }
        mistakes.push_back(
            {key.source().begin.line, fmt::format("{}.{}", path, path_part(key.str())),
             "is not a known key" + (known != keys.end() ? fmt::format("; did you mean '{}'?", known->field)
                                                         : text::did_you_mean(key.str(), names))});
    }
    for (const auto& key : keys) {
        const auto found = table.find(key.name);
        if (found == table.end() || !key.read) continue;
        key.read(ConfigValue{key.field, fmt::format("{}.{}", path, key.name), found->first.source().begin.line,
                             found->second, entry, mistakes});
    }
}

}  // namespace fusebox
