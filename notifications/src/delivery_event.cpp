#include <fusebox/notifications/delivery_event.hpp>

namespace fusebox::notifications {

std::string_view to_string(DeliveryEvent::Kind kind) noexcept {
    switch (kind) {
        case DeliveryEvent::Kind::delivered:
            return "delivered";
        case DeliveryEvent::Kind::retry:
            return "retry";
        case DeliveryEvent::Kind::deferred:
            return "deferred";
        case DeliveryEvent::Kind::dead:
            return "dead";
        case DeliveryEvent::Kind::fallback:
            return "fallback";
        case DeliveryEvent::Kind::destination_disabled:
            return "destination_disabled";
        case DeliveryEvent::Kind::store_failing:
            return "store_failing";
        case DeliveryEvent::Kind::store_recovered:
            return "store_recovered";
    }
    return "unknown";
}

}  // namespace fusebox::notifications
