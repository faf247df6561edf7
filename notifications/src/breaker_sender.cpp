#include <fusebox/notifications/breaker_sender.hpp>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

namespace fusebox::notifications {

namespace {

incidents::DeliveryError refused(const Rejection& rejection) {
    incidents::DeliveryError error;
    error.next_move = incidents::NextMove::defer;
    error.error_class = to_string(rejection.kind);
    error.message = describe(rejection);
    if (rejection.retry_after > Duration::zero()) {
        error.retry_after = std::chrono::ceil<std::chrono::milliseconds>(rejection.retry_after);
    }
    return error;
}

Outcome outcome_of(const std::expected<void, incidents::DeliveryError>& result, bool late) {
    if (result) return late ? Outcome::timeout : Outcome::success;  // R33
    if (!result.error().counts_as_failure) return Outcome::ignored;
    return result.error().error_class == "timeout" ? Outcome::timeout : Outcome::failure;
}

}  // namespace

BreakerSender::BreakerSender(std::shared_ptr<incidents::NotificationSender> inner,
                             std::shared_ptr<CircuitBreaker> breaker)
    : inner_(std::move(inner)), breaker_(std::move(breaker)) {
    if (!inner_ || !breaker_) throw std::invalid_argument("BreakerSender: sender and breaker must be set");
}

std::expected<void, incidents::DeliveryError> BreakerSender::send(const incidents::Notification& notification,
                                                                  const incidents::RequestContext& context) {
    auto permit = breaker_->try_acquire();
    if (!permit) return std::unexpected(refused(permit.error()));

    const CallContext call = permit->context(context.stop);
    incidents::RequestContext inner_context = context;
    if (call.deadline()) {
        const auto deadline = std::chrono::time_point_cast<std::chrono::steady_clock::duration>(*call.deadline());
        inner_context.deadline = std::min(context.deadline.value_or(deadline), deadline);
    }
    // Should the sender throw, the permit is dropped unsettled: abandoned, and its slot is free (R9).
    auto result = inner_->send(notification, inner_context);
    Settlement settlement;
    if (!result) {
        settlement.message = result.error().message;
        settlement.retry_after = result.error().retry_after;
    }
    permit->settle(outcome_of(result, call.expired()), settlement);
    return result;
}

}  // namespace fusebox::notifications
