// L1 … L8: see lane.hpp.
#include "lane.hpp"

#include <exception>
#include <optional>
#include <utility>

namespace fusebox::notifications {

using incidents::StoreError;

void Lane::store_answered(Access access) {
    {
        const std::lock_guard lock(mutex_);
        const unsigned was_failing = std::exchange(store_failing_, store_failing_ & ~std::to_underlying(access));
        if (was_failing == 0 || store_failing_ != 0) return;
    }
    DeliveryEvent event;
    event.kind = DeliveryEvent::Kind::store_recovered;
    event.destination = settings_.name;
    publish(event);
}

void Lane::store_failed(Access access, const StoreError& error) {
    {
        const std::lock_guard lock(mutex_);
        const std::optional<Duration> hint =
            error.retry_after ? std::optional<Duration>{*error.retry_after} : std::nullopt;
        schedule_.store_failed(hint, rules_.jitter_share());
        if (std::exchange(store_failing_, store_failing_ | std::to_underlying(access)) != 0) return;
    }
    DeliveryEvent event;
    event.kind = DeliveryEvent::Kind::store_failing;
    event.destination = settings_.name;
    event.message = error.message;
    publish(event);
}

void Lane::failed_unexpectedly() noexcept {
    try {
        std::string what = "what was thrown is no std::exception";
        try {
            throw;
        } catch (const std::exception& exception) {
            what = exception.what();
        } catch (...) {  // `what` says it already
        }
        store_failed(Access::write, {.kind = StoreError::Kind::unavailable,
                                     .message = "delivery failed unexpectedly: " + what,
                                     .retry_after = {}});
    } catch (...) {  // there is no memory even for the words
        const std::lock_guard lock(mutex_);
        schedule_.store_failed(std::nullopt, 1.0);
    }
}

DeliveryEvent Lane::event_of(DeliveryEvent::Kind kind, const incidents::NotificationDraft& draft) const {
    DeliveryEvent event;
    event.kind = kind;
    event.destination = settings_.name;
    event.notification_id = draft.id;
    event.incident_id = draft.incident_id;
    event.notification_kind = draft.kind;
    event.severity = draft.severity;
    return event;
}

void Lane::publish(const DeliveryEvent& event) const noexcept {
    if (!surroundings_.options.on_event) return;
    try {
        surroundings_.options.on_event(event);
    } catch (...) {
        counters_->add(&DestinationStats::listener_errors);
    }
}

}  // namespace fusebox::notifications
