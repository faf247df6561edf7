#include <fusebox/incidents/alert.hpp>

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace fusebox::incidents {

std::string fingerprint(const Labels& labels) {
    std::string encoded;
    const auto append = [&encoded](const std::string& text) {
        encoded.append(std::to_string(text.size())).append(":").append(text);
    };
    for (const auto& [name, value] : labels) {
        append(name);
        append(value);
    }

    std::array<unsigned char, 32> digest{};
    unsigned size = 0;
    if (EVP_Digest(encoded.data(), encoded.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1 ||
        size != digest.size()) {
        throw std::runtime_error("libcrypto cannot compute SHA-256");
    }
    static constexpr std::string_view hex = "0123456789abcdef";
    std::string out;
    out.reserve(digest.size() * 2);
    for (const unsigned byte : digest) {
        out.push_back(hex[byte >> 4]);
        out.push_back(hex[byte & 15]);
    }
    return out;
}

std::optional<Severity> stated_severity(const Alert& alert) {
    if (alert.severity) return alert.severity;
    const auto label = alert.labels.find("severity");
    return label == alert.labels.end() ? std::nullopt : severity_from_string(label->second);
}

Severity effective_severity(const Alert& alert) { return stated_severity(alert).value_or(Severity::p3); }

}  // namespace fusebox::incidents
