#include <fusebox/core/call_error.hpp>

#include <fusebox/text/duration.hpp>

namespace fusebox {

std::string_view to_string(Rejection::Kind kind) noexcept {
    switch (kind) {
        case Rejection::Kind::circuit_open:
            return "circuit_open";
        case Rejection::Kind::too_many_probes:
            return "too_many_probes";
        case Rejection::Kind::bulkhead_full:
            return "bulkhead_full";
        case Rejection::Kind::rate_limited:
            return "rate_limited";
    }
    return "unknown";
}

std::string describe(const Rejection& rejection) {
    switch (rejection.kind) {
        case Rejection::Kind::too_many_probes:
            return "circuit is half-open and every probe slot is taken";
        case Rejection::Kind::bulkhead_full:
            return "no room for another concurrent call";
        case Rejection::Kind::rate_limited:
            if (rejection.retry_after == Duration::zero()) return "rate limit reached";
            return "rate limit reached, retry after " + text::format_rounded_duration(rejection.retry_after);
        case Rejection::Kind::circuit_open:
            break;
    }
    if (rejection.state == State::forced_open) return "circuit is forced open until an operator resets it";
    return "circuit is open, retry after " + text::format_rounded_duration(rejection.retry_after);
}

std::string describe(const TimeoutError& timeout) {
    return "timed out after " + text::format_rounded_duration(timeout.after) +
           (timeout.began ? "" : ", before it could begin");
}

CircuitOpenError::CircuitOpenError(const Rejection& rejection)
    : std::runtime_error(describe(rejection)), rejection_(rejection) {}

}  // namespace fusebox
