// Standard Webhooks: the secret of a destination and the signature made with it.
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/incidents/types.hpp>

namespace fusebox::notifications {

/// The key behind `whsec_…`. There is no way to print it.
class WebhookSecret {
public:
    /// `whsec_` and the base64 of 24 … 64 bytes. The error says what is wrong and never shows any of `text`.
    [[nodiscard]] static std::expected<WebhookSecret, std::string> parse(std::string_view text);

private:
    friend std::string webhook_signature(std::span<const WebhookSecret>, std::string_view, incidents::WallTime,
                                         std::string_view);
    std::vector<unsigned char> key_;
};

/// The value of `webhook-signature`: `v1,` + base64(HMAC-SHA256(id.timestamp.body)) for each secret, separated by
/// spaces, so that a receiver can hold either secret while one replaces the other.
[[nodiscard]] std::string webhook_signature(std::span<const WebhookSecret> secrets, std::string_view id,
                                            incidents::WallTime timestamp, std::string_view body);

}  // namespace fusebox::notifications
