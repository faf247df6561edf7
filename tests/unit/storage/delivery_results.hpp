// How a delivery can end, for the tests of stores.
#pragma once

#include <chrono>

#include <fusebox/incidents/ports.hpp>

namespace fusebox::test {

using namespace fusebox::incidents;
using namespace std::chrono_literals;

inline DeliveryError delivery_error() {
    return {.next_move = NextMove::retry,
            .counts_as_failure = true,
            .error_class = "http_5xx",
            .message = "the server answered 503",
            .status = 503,
            .retry_after = 1500ms,
            .disable_destination = false};
}

inline DeliveryResult delivered(WallTime at) {
    return {.kind = DeliveryResult::Kind::delivered, .at = at, .next_attempt_at = {}, .error = {}, .took = 12ms};
}
inline DeliveryResult retry(WallTime at, WallTime next) {
    return {
        .kind = DeliveryResult::Kind::retry, .at = at, .next_attempt_at = next, .error = delivery_error(), .took = 7ms};
}
inline DeliveryResult defer(WallTime at, WallTime next) {
    return {.kind = DeliveryResult::Kind::defer, .at = at, .next_attempt_at = next, .error = {}, .took = 0ms};
}
inline DeliveryResult dead(WallTime at) {
    return {
        .kind = DeliveryResult::Kind::dead, .at = at, .next_attempt_at = {}, .error = delivery_error(), .took = 7ms};
}

}  // namespace fusebox::test
