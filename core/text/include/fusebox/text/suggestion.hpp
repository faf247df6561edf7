// "Did you mean …?" for names that were probably misspelt.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fusebox::text {

/// The end of a message about the unknown name `written`: "; did you mean 'open_timeout'?" with the candidate that
/// takes the fewest insertions, deletions and replacements of a byte, the first of several; empty where each takes more
/// than a third of the bytes of `written` (one is always granted). Upper and lower case differ. Takes time in
/// proportion to the length of `written` × the length of all candidates.
///
///     "is not a known key" + did_you_mean("open_timout", {"enabled", "open_timeout"})
///     "there is no route " + name + did_you_mean(name, {names.begin(), names.end()})  // a vector of strings
[[nodiscard]] std::string did_you_mean(std::string_view written, const std::vector<std::string_view>& candidates);

}  // namespace fusebox::text
