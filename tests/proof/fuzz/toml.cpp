#include <algorithm>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/registry/breaker_set.hpp>

#include "proof/fuzz/targets.hpp"

namespace fusebox::test::fuzz {
namespace {

void promise_useful(const BreakerSet::Mistakes& mistakes, std::string_view text) {
    promise(!mistakes.empty(), "a text is refused for no mistake");
    const auto lines = 1 + static_cast<std::size_t>(std::ranges::count(text, '\n'));
    std::size_t previous = 0;
    for (const auto& mistake : mistakes) {
        promise(!mistake.message.empty(), "a mistake says nothing");
        // The one who reports the end of the text may stand on the line after it.
        promise(mistake.line <= lines + 1, "line " + std::to_string(mistake.line) + " of " + std::to_string(lines));
        promise(mistake.line >= previous, "mistakes are not in the order of the text");
        previous = mistake.line;
        promise(!describe(mistake, "a.toml").empty(), "a mistake has no line for people");
    }
}

void promise_sound(const BreakerSet& set) {
    auto names = set.names();
    promise(std::ranges::is_sorted(names), "names are not in alphabetical order");
    names.emplace_back("one that has no entry");
    for (const auto& name : names) {
        const auto config = set.resolve(name);
        const auto errors = validate(config);
        promise(errors.empty(), "an accepted text gives " + name + " a configuration that no breaker takes: " +
                                    (errors.empty() ? "" : errors.front().field + ' ' + errors.front().message));
        static_cast<void>(set.criticality(name));
        for (const auto& [field, value] : config_fields(config)) {
            promise(!field.empty() && !value.empty(), name + " has a field without name or value");
        }
    }
}

}  // namespace

void toml(std::string_view text) {
    auto set = BreakerSet::from_toml(text);
    if (set) {
        promise_sound(*set);
    } else {
        promise_useful(set.error(), text);
        set = BreakerSet{};
    }

    const auto first_line = text.substr(0, text.find('\n'));
    const auto path = first_line.starts_with("# ") ? first_line.substr(2) : std::string_view{"breakers.x"};
    const auto before = set->names();
    if (const auto added = set->add_from_toml(text, path, "one more"); !added) {
        promise_useful(added.error(), text);
        promise(set->names() == before, "a mistake has changed the set");
    }
    promise_sound(*set);
}

}  // namespace fusebox::test::fuzz
