#include <fusebox/text/suggestion.hpp>

#include <algorithm>
#include <numeric>

namespace fusebox::text {
namespace {

/// Levenshtein's distance, one row of the table at a time.
std::size_t edits_between(std::string_view left, std::string_view right) {
    std::vector<std::size_t> row(right.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < left.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 0; j < right.size(); ++j) {
            const auto replaced = diagonal + (left[i] == right[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
        }
    }
    return row.back();
}

}  // namespace

std::string did_you_mean(std::string_view written, const std::vector<std::string_view>& candidates) {
    // A third of the letters may differ: `open_timout` finds `open_timeout`, `timeout` does not.
    std::size_t too_many = std::max<std::size_t>(1, written.size() / 3) + 1;
    const std::string_view* nearest = nullptr;
    for (const auto& candidate : candidates) {
        if (const auto edits = edits_between(written, candidate); edits < too_many) {
            too_many = edits;
            nearest = &candidate;
        }
    }
    return nearest == nullptr ? std::string{} : "; did you mean '" + std::string{*nearest} + "'?";
}

}  // namespace fusebox::text
