#include <fusebox/incidents/severity_words.hpp>

#include <algorithm>
#include <utility>

#include <fusebox/text/ascii.hpp>

namespace fusebox::incidents {

namespace {

std::string lowered(std::string_view word) {
    std::string out{word};
    std::ranges::transform(out, out.begin(), text::lower);
    return out;
}

bool is_name_of_severity(std::string_view word) {
    const auto severity = severity_from_string(word);
    return severity && text::equal_without_case(word, to_string(*severity));
}

}  // namespace

SeverityWords::SeverityWords(std::map<std::string, Severity, std::less<>> own) {
    for (auto& [word, severity] : own) own_.insert_or_assign(lowered(word), severity);
}

std::optional<Severity> SeverityWords::find(std::string_view word) const {
    if (!own_.empty() && !is_name_of_severity(word)) {
        if (const auto found = own_.find(lowered(word)); found != own_.end()) return found->second;
    }
    return severity_from_string(word);
}

}  // namespace fusebox::incidents
