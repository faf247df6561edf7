#include <algorithm>
#include <map>
#include <ranges>
#include <tuple>

#include <fmt/format.h>

#include <fusebox/core/presets.hpp>
#include <fusebox/registry/breaker_set.hpp>
#include <fusebox/registry/toml_depth.hpp>
#include <fusebox/text/suggestion.hpp>

#include "breaker_entry.hpp"

namespace fusebox {
namespace {

constexpr std::string_view defaults_name = "defaults";
constexpr std::size_t longest_name = 128;  // as CircuitBreaker has it

}  // namespace

struct BreakerSet::Entries {
    std::map<std::string, BreakerEntry, std::less<>> by_name;  // `defaults` among them

    [[nodiscard]] const BreakerEntry* find(std::string_view name) const {
        const auto found = by_name.find(name);
        return found == by_name.end() ? nullptr : &found->second;
    }
    /// The entry of this name, then what it inherits from, nearest first; without the defaults. Ends where a chain is
    /// broken or comes back to itself.
    [[nodiscard]] std::vector<const BreakerEntry*> chain(std::string_view name) const;
    [[nodiscard]] CircuitBreakerConfig resolve(std::string_view name,
                                               const std::optional<CircuitBreakerConfig>& base) const;
    void check_inheritance(std::vector<ConfigMistake>& mistakes) const;
    void check_values(std::vector<ConfigMistake>& mistakes) const;
};

namespace {

std::expected<toml::table, ConfigMistake> parse(std::string_view text) {
    if (auto too_deep = find_too_deep(text)) return std::unexpected(*std::move(too_deep));
    try {
        return toml::parse(text);
    } catch (const toml::parse_error& error) {
        return std::unexpected(
            ConfigMistake{error.source().begin.line, "", "is not TOML: " + std::string{error.description()}});
    }
}

std::size_t line_of(const toml::node& node) { return node.source().begin.line; }

/// Empty when it is good.
std::string judge_name(std::string_view name) {
    if (name.empty()) return "the name of a breaker must not be empty";
    if (name.size() > longest_name) return fmt::format("the name of a breaker has at most {} bytes", longest_name);
    return {};
}

void in_text_order(std::vector<ConfigMistake>& mistakes) {
    const auto key = [](const ConfigMistake& mistake) {
        return std::tie(mistake.line, mistake.field, mistake.message);
    };
    std::ranges::sort(mistakes, {}, key);
    const auto [first, last] = std::ranges::unique(mistakes, {}, key);
    mistakes.erase(first, last);
}

}  // namespace

std::vector<const BreakerEntry*> BreakerSet::Entries::chain(std::string_view name) const {
    std::vector<const BreakerEntry*> result;
    for (const auto* entry = name == defaults_name ? nullptr : find(name); entry;) {
        if (std::ranges::find(result, entry) != result.end()) break;
        result.push_back(entry);
        entry = entry->inherits && entry->inherits->value != defaults_name ? find(entry->inherits->value) : nullptr;
    }
    return result;
}

CircuitBreakerConfig BreakerSet::Entries::resolve(std::string_view name,
                                                  const std::optional<CircuitBreakerConfig>& base) const {
    auto layers = chain(name);
    const auto has_preset = [](const BreakerEntry* entry) { return entry->preset.has_value(); };
    const auto own = std::ranges::find_if(layers, has_preset);
    const auto* defaults = find(defaults_name);

    CircuitBreakerConfig config;
    if (own != layers.end()) {
        config = *preset((*own)->preset->value);
    } else if (base) {
        config = *base;
    } else if (defaults && defaults->preset) {
        config = *preset(defaults->preset->value);
    }
    if (defaults) layers.push_back(defaults);
    for (const auto* layer : layers | std::views::reverse) {
        for (const auto& setting : layer->settings) setting.apply(config);
    }
    return config;
}

void BreakerSet::Entries::check_inheritance(std::vector<ConfigMistake>& mistakes) const {
    std::vector<std::string_view> names;
    names.reserve(by_name.size());
    for (const auto& [name, entry] : by_name) names.push_back(name);
    for (const auto& [name, entry] : by_name) {
        if (!entry.inherits) continue;
        const auto& [parent, written, line] = *entry.inherits;
        if (name == defaults_name) {
            mistakes.push_back({line, written, "the defaults inherit from nothing; name a preset instead"});
            continue;
        }
        if (!find(parent)) {
            mistakes.push_back({line, written,
                                fmt::format("is \"{}\", must be the name of another entry{}", parent,
                                            text::did_you_mean(parent, names))});
            continue;
        }
        std::string way = name;
        std::vector<std::string_view> seen{name};
        for (const auto* next = &entry; next && next->inherits;) {
            const std::string_view step = next->inherits->value;
            way += fmt::format(" → {}", step);
            if (step == name) {
                mistakes.push_back({line, written, fmt::format("goes round in a circle: {}", way)});
                break;
            }
            // A circle further on is named by the entries that are part of it.
            if (std::ranges::find(seen, step) != seen.end()) break;
            seen.push_back(step);
            next = step == defaults_name ? nullptr : find(step);
        }
    }
}

/// The breaker itself judges what its entry comes to; its objection goes to the key that set the field.
void BreakerSet::Entries::check_values(std::vector<ConfigMistake>& mistakes) const {
    for (const auto& [name, entry] : by_name) {
        for (const auto& error : validate(resolve(name, std::nullopt))) {
            auto layers = chain(name);
            if (const auto* defaults = find(defaults_name)) layers.push_back(defaults);
            const Setting* culprit = nullptr;
            bool named_already = false;
            for (const auto* layer : layers) {
                named_already =
                    named_already || std::ranges::find(layer->rejected, error.field) != layer->rejected.end();
                for (const auto& setting : layer->settings) {
                    if (setting.field == error.field) culprit = &setting;
                }
                if (culprit) break;
            }
            if (culprit) {
                mistakes.push_back({culprit->line, culprit->written, error.message});
            } else if (!named_already) {
                mistakes.push_back({entry.line, fmt::format("{}.{}", entry.path, error.field), error.message});
            }
        }
    }
}

BreakerSet::BreakerSet() : entries_(std::make_shared<const Entries>()) {}

std::expected<BreakerSet, BreakerSet::Mistakes> BreakerSet::from_toml(std::string_view toml_text) {
    const auto document = parse(toml_text);
    if (!document) return std::unexpected(Mistakes{document.error()});
    BreakerSet set;
    const auto* node = document->get("breakers");
    if (!node) return set;
    const auto* breakers = node->as_table();
    if (!breakers) return std::unexpected(Mistakes{{line_of(*node), "breakers", "must be a table of tables"}});

    Mistakes mistakes;
    auto entries = std::make_shared<Entries>();
    for (const auto& [key, value] : *breakers) {
        const std::string_view name = key.str();
        auto path = "breakers." + path_part(name);
        if (const auto* table = value.as_table()) {
            if (auto bad = judge_name(name); !bad.empty()) mistakes.push_back({line_of(value), path, std::move(bad)});
            entries->by_name.emplace(name, read_breaker_entry(*table, std::move(path), mistakes));
        } else {
            mistakes.push_back({key.source().begin.line, std::move(path),
                                "must be a table; a field of all breakers belongs into [breakers.defaults]"});
        }
    }
    entries->check_inheritance(mistakes);
    entries->check_values(mistakes);
    if (!mistakes.empty()) {
        in_text_order(mistakes);
        return std::unexpected(std::move(mistakes));
    }
    set.entries_ = std::move(entries);
    return set;
}

std::expected<void, BreakerSet::Mistakes> BreakerSet::add_from_toml(std::string_view toml_text, std::string_view path,
                                                                    std::string_view name) {
    const auto document = parse(toml_text);
    if (!document) return std::unexpected(Mistakes{document.error()});
    const auto node = toml::at_path(*document, path);
    if (!node) return {};
    const auto line = line_of(*node.node());
    const auto* table = node.as_table();
    if (!table) return std::unexpected(Mistakes{{line, std::string{path}, "must be a table"}});

    Mistakes mistakes;
    if (auto bad = judge_name(name); !bad.empty()) mistakes.push_back({line, std::string{path}, std::move(bad)});
    if (const auto* earlier = entries_->find(name)) {
        mistakes.push_back({line, std::string{path},
                            fmt::format("the breaker \"{}\" has an entry already, {} in line {}", name, earlier->path,
                                        earlier->line)});
    } else {
        auto entries = std::make_shared<Entries>(*entries_);
        entries->by_name.emplace(name, read_breaker_entry(*table, std::string{path}, mistakes));
        entries->check_inheritance(mistakes);
        entries->check_values(mistakes);
        if (mistakes.empty()) entries_ = std::move(entries);
    }
    if (mistakes.empty()) return {};
    in_text_order(mistakes);
    return std::unexpected(std::move(mistakes));
}

CircuitBreakerConfig BreakerSet::resolve(std::string_view name, const std::optional<CircuitBreakerConfig>& base) const {
    return entries_->resolve(name, base);
}

std::optional<Criticality> BreakerSet::criticality(std::string_view name) const {
    for (const auto* entry : entries_->chain(name)) {
        if (entry->criticality) return entry->criticality;
    }
    const auto* defaults = entries_->find(defaults_name);
    return defaults ? defaults->criticality : std::nullopt;
}

std::vector<std::string> BreakerSet::names() const {
    std::vector<std::string> result;
    for (const auto& [name, entry] : entries_->by_name) {
        if (name != defaults_name) result.push_back(name);
    }
    return result;
}

}  // namespace fusebox
