// What an incident shows of its alert, and when a message shows nothing else.
#pragma once

#include <algorithm>
#include <ranges>
#include <string_view>

#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

/// The annotation that holds `Alert::generator_url`.
inline constexpr std::string_view generator_annotation{"generator_url"};

/// Each replica gives the link to the generator with its own host: the link is no text of the alert.
[[nodiscard]] inline auto texts_of(const Labels& annotations) {
    return annotations |
           std::views::filter([](const auto& annotation) { return annotation.first != generator_annotation; });
}

[[nodiscard]] inline bool say_the_same(const Labels& left, const Labels& right) {
    return std::ranges::equal(texts_of(left), texts_of(right));
}

}  // namespace fusebox::incidents
