#include "breaker_entry.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include <fusebox/text/ascii.hpp>

#include "entry_keys.hpp"

namespace fusebox {
namespace {

bool overlap(std::string_view left, std::string_view right) {
    if (left.size() > right.size()) std::swap(left, right);
    return right.starts_with(left) && (right.size() == left.size() || right[left.size()] == '.');
}

/// Both kinds of window at once contradict each other, whatever their names.
bool contradict(const Setting& left, const Setting& right) {
    if (overlap(left.field, right.field)) return true;
    const auto is_count = [](const Setting& setting) { return setting.field == "window.size"; };
    return overlap("window", left.field) && overlap("window", right.field) && is_count(left) != is_count(right);
}

/// A field under two names, or under one name twice over, is a mistake even where both agree.
void reject_doubles(const BreakerEntry& entry, std::vector<ConfigMistake>& mistakes) {
    const auto root = [&](const Setting& setting) {
        const auto key = std::string_view{setting.written}.substr(entry.path.size() + 1);
        return key.substr(0, key.find('.'));
    };
    for (std::size_t second = 0; second < entry.settings.size(); ++second) {
        for (std::size_t first = 0; first < second; ++first) {
            const auto* earlier = &entry.settings[first];
            const auto* later = &entry.settings[second];
            if (root(*earlier) == root(*later) || !contradict(*earlier, *later)) continue;
            if (earlier->line > later->line) std::swap(earlier, later);
            mistakes.push_back(
                {later->line, later->written,
                 fmt::format("says the same as `{}` in line {}; give one of them", root(*earlier), earlier->line)});
            break;
        }
    }
}

}  // namespace

std::string path_part(std::string_view name) {
    const auto is_bare = [](char c) { return text::is_letter_or_digit(c) || c == '_' || c == '-'; };
    if (!name.empty() && std::ranges::all_of(name, is_bare)) return std::string{name};
    return fmt::format("\"{}\"", name);
}

BreakerEntry read_breaker_entry(const toml::table& table, std::string path, std::vector<ConfigMistake>& mistakes) {
    BreakerEntry entry;
    entry.path = std::move(path);
    entry.line = table.source().begin.line;
    read_keys(table, entry.path, entry_keys(), entry, mistakes);
    reject_doubles(entry, mistakes);
    return entry;
}

}  // namespace fusebox
