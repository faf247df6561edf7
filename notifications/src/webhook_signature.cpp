#include <fusebox/notifications/webhook_signature.hpp>

#include <algorithm>
#include <array>
#include <chrono>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <fusebox/text/ascii.hpp>

namespace fusebox::notifications {

namespace {

constexpr std::string_view prefix = "whsec_";
constexpr std::size_t shortest_key = 24;
constexpr std::size_t longest_key = 64;

constexpr bool is_base64(char c) { return text::is_letter_or_digit(c) || c == '+' || c == '/'; }

std::string base64(std::span<const unsigned char> bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // one for the NUL that EVP_EncodeBlock adds
    text.resize(static_cast<std::size_t>(
        EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()))));
    return text;
}

}  // namespace

std::expected<WebhookSecret, std::string> WebhookSecret::parse(std::string_view text) {
    if (!text.starts_with(prefix)) return std::unexpected("must begin with whsec_");
    text.remove_prefix(prefix.size());
    // EVP_DecodeBlock overlooks white space and misplaced padding, so this function checks the form.
    std::size_t padding = 0;
    while (padding < 2 && text.size() > padding && text[text.size() - 1 - padding] == '=') ++padding;
    const bool good = text.size() % 4 == 0 && std::ranges::all_of(text.substr(0, text.size() - padding), is_base64);
    if (!good) return std::unexpected("what follows whsec_ must be base64, with its padding");
    const std::size_t size = text.size() / 4 * 3 - padding;
    if (size < shortest_key || size > longest_key) {
        return std::unexpected("holds " + std::to_string(size) + " bytes, must hold 24 to 64");
    }
    WebhookSecret secret;
    secret.key_.resize(text.size() / 4 * 3);
    EVP_DecodeBlock(secret.key_.data(), reinterpret_cast<const unsigned char*>(text.data()),
                    static_cast<int>(text.size()));
    secret.key_.resize(size);
    return secret;
}

std::string webhook_signature(std::span<const WebhookSecret> secrets, std::string_view id,
                              incidents::WallTime timestamp, std::string_view body) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(timestamp).time_since_epoch().count();
    std::string signed_text{id};
    signed_text.append(".").append(std::to_string(seconds)).append(".").append(body);

    std::string signatures;
    for (const WebhookSecret& secret : secrets) {
        std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
        unsigned int size = 0;
        HMAC(EVP_sha256(), secret.key_.data(), static_cast<int>(secret.key_.size()),
             reinterpret_cast<const unsigned char*>(signed_text.data()), signed_text.size(), digest.data(), &size);
        if (!signatures.empty()) signatures += ' ';
        signatures.append("v1,").append(base64(std::span{digest}.first(size)));
    }
    return signatures;
}

}  // namespace fusebox::notifications
