// What the words mean that alerts put into their `severity` label.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

/// Words in any case: those of `severity_from_string`, and an installation's own. P0 … P4 always mean themselves.
class SeverityWords {
public:
    SeverityWords() = default;
    /// `own`: words that are added to those that are known anyway, or replace their meaning.
    explicit SeverityWords(std::map<std::string, Severity, std::less<>> own);

    /// Empty for a word that means nothing known.
    [[nodiscard]] std::optional<Severity> find(std::string_view word) const;
    /// In lower case.
    [[nodiscard]] const std::map<std::string, Severity, std::less<>>& own() const noexcept { return own_; }
    bool operator==(const SeverityWords&) const = default;

private:
    std::map<std::string, Severity, std::less<>> own_;
};
/// What counts for a word that means nothing known.
inline constexpr Severity severity_of_unknown_word{Severity::p2};
/// What counts for an alert that says nothing of its severity.
inline constexpr Severity severity_of_silence{Severity::p3};

}  // namespace fusebox::incidents
