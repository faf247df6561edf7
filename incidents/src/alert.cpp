#include <fusebox/incidents/alert.hpp>

#include "sha256.hpp"

namespace fusebox::incidents {

std::string fingerprint(const Labels& labels) {
    TextList texts;
    for (const auto& [name, value] : labels) {
        texts.append(name);
        texts.append(value);
    }
    static constexpr std::string_view hex = "0123456789abcdef";
    const Sha256 digest = sha256(texts.encoded());
    std::string out(digest.size() * 2, '0');
    for (auto digit = out.begin(); const unsigned byte : digest) {
        *digit++ = hex[byte >> 4];
        *digit++ = hex[byte & 15];
    }
    return out;
}

StatedSeverity stated_severity(const Alert& alert, const SeverityWords& words) {
    if (alert.severity) return {.severity = alert.severity, .unknown_word = {}};
    std::string_view word = alert.severity_word;
    if (word.empty()) {
        const auto label = alert.labels.find("severity");
        if (label == alert.labels.end() || label->second.empty()) return {};
        word = label->second;
    }
    const auto known = words.find(word);
    return {.severity = known.value_or(severity_of_unknown_word), .unknown_word = known ? std::string_view{} : word};
}

}  // namespace fusebox::incidents
