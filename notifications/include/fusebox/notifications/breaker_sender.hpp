// Puts a circuit breaker in front of any sender.
#pragma once

#include <expected>
#include <memory>
#include <string_view>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/incidents/ports.hpp>

namespace fusebox::notifications {

/// A sender behind a breaker. A refusal becomes `DeliveryError{defer, "circuit_open", retry_after}` and sends nothing.
/// A send that failed is a failure for the breaker where the error `counts_as_failure`, neutral otherwise. The
/// breaker's operation timeout shortens the deadline that the sender gets. Thread-safe.
class BreakerSender final : public incidents::NotificationSender {
public:
    /// Throws `std::invalid_argument` if either is null.
    BreakerSender(std::shared_ptr<incidents::NotificationSender> inner, std::shared_ptr<CircuitBreaker> breaker);

    [[nodiscard]] std::string_view destination() const noexcept override { return inner_->destination(); }
    std::expected<void, incidents::DeliveryError> send(const incidents::Notification& notification,
                                                       const incidents::RequestContext& context) override;

private:
    std::shared_ptr<incidents::NotificationSender> inner_;
    std::shared_ptr<CircuitBreaker> breaker_;
};

}  // namespace fusebox::notifications
