#include "delivery_rules.hpp"

#include <algorithm>
#include <cmath>
#include <ranges>
#include <string>
#include <utility>

#include <fusebox/text/duration.hpp>

namespace fusebox::notifications {

using incidents::DeliveryError;
using incidents::DeliveryResult;
using incidents::NextMove;
using incidents::WallTime;
using std::chrono::microseconds;

namespace {

// An answer of a destination puts a delivery off for no longer than this.
constexpr Duration longest_hint = std::chrono::hours{24};
// How long a row is put off where nobody named a time.
constexpr Duration short_pause = std::chrono::seconds{1};
// How long a row is tried where each answer is a refusal that may pass (NextMove::retry_briefly).
constexpr Duration longest_refusal = std::chrono::minutes{10};
// Rows that wait for the same moment are spread over at most this.
constexpr Duration widest_spread = std::chrono::seconds{5};

WallTime later(WallTime now, Duration by) { return now + std::chrono::ceil<microseconds>(by); }

bool refused_by_breaker(const DeliveryError& error) {
    return error.error_class == "circuit_open" || error.error_class == "too_many_probes";
}

/// When the run of answers of this status began that the last attempts got; none where this is the first.
std::optional<WallTime> refused_since(const incidents::Notification& notification, const DeliveryError& error) {
    std::optional<WallTime> since;
    for (const auto& attempt : std::views::reverse(notification.attempt_log)) {
        if (attempt.status != error.status) break;
        since = attempt.at;
    }
    return since;
}

Decision untried(DeliveryResult::Kind kind, WallTime now, WallTime next, std::string error_class, std::string message) {
    Decision decision;
    decision.result.kind = kind;
    decision.result.at = now;
    decision.result.next_attempt_at = next;
    DeliveryError& error = decision.result.error.emplace();
    error.next_move = kind == DeliveryResult::Kind::dead ? NextMove::give_up : NextMove::defer;
    error.error_class = std::move(error_class);
    error.message = std::move(message);
    return decision;
}

}  // namespace

Duration DeliveryRules::jitter(Duration most) {
    if (most <= Duration::zero()) return Duration::zero();
    return Duration{std::uniform_int_distribution<Duration::rep>{0, most.count()}(random_)};
}

Duration DeliveryRules::spread(Duration pause) { return pause + jitter(std::min(pause / 10, widest_spread)); }

Duration DeliveryRules::backoff_ceiling(std::uint32_t attempts_before) const {
    const double ceiling = static_cast<double>(retry_.base.count()) * std::pow(retry_.factor, attempts_before);
    // Compared as floating-point numbers: the power may be too large for any integer.
    return ceiling < static_cast<double>(retry_.cap.count()) ? Duration{static_cast<Duration::rep>(ceiling)}
                                                             : retry_.cap;
}

Decision DeliveryRules::decide(const incidents::Notification& notification, const SendResult& sent, WallTime now,
                               std::chrono::milliseconds took) {
    Decision decision;
    DeliveryResult& result = decision.result;
    result.at = now;
    result.took = took;
    if (sent) {
        result.kind = DeliveryResult::Kind::delivered;
        return decision;
    }
    const DeliveryError& error = sent.error();
    result.error = error;
    const std::optional<Duration> hint =
        error.retry_after ? std::optional{std::min<Duration>(*error.retry_after, longest_hint)} : std::nullopt;

    Duration pause{};
    switch (error.next_move) {
        case NextMove::defer:
            result.kind = DeliveryResult::Kind::defer;
            if (error.error_class != "cancelled") pause = spread(hint.value_or(short_pause));
            if (!refused_by_breaker(error) || !knows_breaker_) decision.close_gate = hint;
            break;
        case NextMove::retry:
            result.kind = DeliveryResult::Kind::retry;
            pause = jitter(backoff_ceiling(notification.attempts));  // full jitter
            if (hint) pause = std::max(pause, *hint);
            break;
        case NextMove::retry_after:
            result.kind = DeliveryResult::Kind::retry;
            // A time that is near or past must not make the destination be asked again and again.
            decision.close_gate = std::max(hint.value_or(Duration::zero()), backoff_ceiling(notification.attempts));
            pause = spread(*decision.close_gate);
            break;
        case NextMove::retry_briefly:
            result.kind = DeliveryResult::Kind::retry;
            pause = jitter(backoff_ceiling(notification.attempts));
            break;
        case NextMove::give_up:
        case NextMove::reconfigure:
            result.kind = DeliveryResult::Kind::dead;
            decision.disable = error.disable_destination;
            return decision;
    }
    result.next_attempt_at = later(now, pause);
    if (result.kind == DeliveryResult::Kind::defer) return decision;

    const std::uint32_t attempts = notification.attempts + 1;
    const bool too_often = retry_.max_attempts != 0 && attempts >= retry_.max_attempts;
    const bool brief = error.next_move == NextMove::retry_briefly;
    const bool too_long = notification.first_failed_at && now - *notification.first_failed_at >= retry_.max_age;
    const bool refused_too_long = brief && now - refused_since(notification, error).value_or(now) >= longest_refusal;
    if (too_often || too_long || refused_too_long) {
        result.kind = DeliveryResult::Kind::dead;
        result.error->next_move = brief ? NextMove::reconfigure : NextMove::give_up;
        const auto since = refused_too_long ? refused_since(notification, error) : notification.first_failed_at;
        result.error->message =
            "undelivered after " + std::to_string(attempts) + " attempts" +
            (too_long || refused_too_long ? " in " + text::format_rounded_duration(now - *since) : "") +
            "; the last: " + error.message;
    }
    return decision;
}

Decision DeliveryRules::release(WallTime now) {
    return untried(DeliveryResult::Kind::defer, now, now, "cancelled", "the dispatcher was stopped before it was sent");
}

Decision DeliveryRules::put_off(WallTime now, Duration closed_for) {
    return untried(DeliveryResult::Kind::defer, now, later(now, spread(closed_for)), "gate_closed",
                   "not sent: the destination has named a time before which it wants nothing");
}

Decision DeliveryRules::refuse_disabled(WallTime now) {
    return untried(DeliveryResult::Kind::dead, now, {}, "destination_disabled",
                   "not sent: the destination has answered that it wants nothing more");
}

bool deserves_fallback(const incidents::NotificationDraft& draft) noexcept {
    return draft.severity <= incidents::Severity::p1 && draft.fallback_for.empty();
}

incidents::NotificationDraft fallback_draft(const incidents::NotificationDraft& original,
                                            const std::string& destination, WallTime now) {
    incidents::NotificationDraft draft = original;
    draft.id = original.id + "_fallback";
    draft.destination = destination;
    draft.fallback_for = original.id;
    draft.created_at = now;
    return draft;
}

}  // namespace fusebox::notifications
