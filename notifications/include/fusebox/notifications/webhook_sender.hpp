// Sends notifications as signed webhooks (Standard Webhooks).
#pragma once

#include <cstddef>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/core/clock.hpp>
#include <fusebox/incidents/ports.hpp>

namespace fusebox::notifications {

struct WebhookSettings {
    std::string name{};                  ///< of the destination
    std::string url{};                   ///< http or https; its path is held to be a secret and never shown
    std::vector<std::string> secrets{};  ///< `whsec_…`, each signs; several while one is being replaced; none: unsigned
    bool allow_private_addresses{};      ///< off: loopback, private and metadata addresses are refused
    Duration timeout{std::chrono::seconds{15}};  ///< of one request, where the context has no earlier deadline; > 0
    std::size_t max_body_bytes{256U << 10U};  ///< ≥ 1024; a larger body first loses its timeline, then more (README.md)
    std::size_t max_idle_connections{4};      ///< kept for reuse
    std::string ca_file{};                    ///< PEM; empty: the system's authorities
    const Clock* clock{&steady_clock()};      ///< must outlive the sender
};

/// POSTs `{"type", "timestamp", "data": {incident}}`. 2xx is delivered; docs/outcomes.md, "Webhooks", says what any
/// other answer asks for. Errors name the host at most. Thread-safe.
///
///     fusebox::notifications::WebhookSender sender{{.name = "ops-hook", .url = url, .secrets = {secret}}};
class WebhookSender final : public incidents::NotificationSender {
public:
    /// Throws `std::invalid_argument` that names every bad field, and shows neither URL nor secrets.
    explicit WebhookSender(const WebhookSettings& settings);
    ~WebhookSender() override;

    [[nodiscard]] std::string_view destination() const noexcept override;
    std::expected<void, incidents::DeliveryError> send(const incidents::Notification& notification,
                                                       const incidents::RequestContext& context) override;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fusebox::notifications
