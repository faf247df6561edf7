// L1 … L8: see lane.hpp.
#include "lane.hpp"

#include <algorithm>
#include <exception>
#include <utility>

#include "store_call.hpp"

namespace fusebox::notifications {

using incidents::DeliveryError;
using incidents::DeliveryResult;
using incidents::NextMove;
using incidents::Notification;

namespace {
constexpr std::chrono::milliseconds first_record_pause{50};
constexpr std::chrono::milliseconds longest_record_pause{1000};
/// The kind of a notification after which nobody is told of the incident any more.
constexpr std::string_view end_of_incident = "incident.resolved";
}  // namespace

void Lane::deliver(const Leased& leased) {
    const Outcome outcome = try_to_send(leased.notification);
    const auto& draft = leased.notification.draft;
    const DeliveryResult& result = outcome.decision.result;

    // L5
    if (!settings_.fallback.empty() && draft.fallback_for.empty()) {
        incidents::StoreResult<void> stored;
        if (result.kind == DeliveryResult::Kind::dead && deserves_fallback(draft))
            stored = record(leased.lease_end, [&] { return enqueue_fallback(draft); });
        if (result.kind == DeliveryResult::Kind::delivered && draft.kind == end_of_incident)
            stored = record(leased.lease_end, [&] { return tell_fallback_of_end(draft); });
        if (!stored && may_succeed_later(stored.error())) return counters_->add(&DestinationStats::lost_leases);
    }
    const auto settled = record(leased.lease_end, [&] {
        return surroundings_.outbox.settle(draft.id, leased.notification.lease_token, result, store_context());
    });
    if (outcome.disabled_destination) {
        DeliveryEvent event = event_of(DeliveryEvent::Kind::destination_disabled, draft);
        event.error = result.error;
        publish(event);
    }
    if (!settled) return counters_->add(&DestinationStats::lost_leases);
    report_settled(leased.notification, result);
}

Lane::Outcome Lane::try_to_send(const Notification& row) {
    {
        const std::lock_guard lock(mutex_);
        const auto now = clock_.wall_now();
        if (retiring_) return {.decision = DeliveryRules::release(now)};
        if (disabled_) return {.decision = DeliveryRules::refuse_disabled(now)};
        const Duration closed_for = schedule_.gate().closed_for();
        if (closed_for > Duration::zero()) return {.decision = rules_.put_off(now, closed_for)};
    }
    const TimePoint began = clock_.now();
    const SendResult sent = send(row);
    const auto took = std::chrono::floor<std::chrono::milliseconds>(clock_.now() - began);
    const std::lock_guard lock(mutex_);
    Outcome outcome{.decision = rules_.decide(row, sent, clock_.wall_now(), took)};
    if (outcome.decision.close_gate) schedule_.gate().close_for(*outcome.decision.close_gate);
    if (outcome.decision.disable) outcome.disabled_destination = !std::exchange(disabled_, true);
    return outcome;
}

SendResult Lane::send(const Notification& notification) {
    const auto deadline =
        std::chrono::time_point_cast<std::chrono::steady_clock::duration>(clock_.now() + settings_.send_timeout);
    std::string what;
    try {
        return sender_->send(notification, {.deadline = deadline, .stop = stop_sends_.get_token()});
    } catch (const std::exception& exception) {
        what = std::string{": "} + exception.what();
    } catch (...) {
        what = ": it threw what is no std::exception";
    }
    return std::unexpected(DeliveryError{.next_move = NextMove::retry,
                                         .counts_as_failure = false,
                                         .error_class = "internal",
                                         .message = "the sender failed unexpectedly" + what});
}

incidents::StoreResult<void> Lane::record(TimePoint lease_end,
                                          const std::function<incidents::StoreResult<void>()>& write) {
    for (auto pause = first_record_pause;; pause = std::min(pause * 2, longest_record_pause)) {
        auto written = write();
        if (written) {
            store_answered(Access::write);
            return written;
        }
        if (!may_succeed_later(written.error())) return written;
        store_failed(Access::write, written.error());
        std::unique_lock lock(mutex_);
        const bool no_time_left = record_until_ && std::chrono::steady_clock::now() >= *record_until_;
        if (clock_.now() >= lease_end || no_time_left) return written;
        cancelled_.wait_for(lock, pause / 2 + rules_.jitter(pause / 2));
    }
}

void Lane::report_settled(const Notification& row, const DeliveryResult& result) {
    DeliveryEvent event = event_of(DeliveryEvent::Kind::delivered, row.draft);
    event.attempt = row.attempts + (result.kind == DeliveryResult::Kind::defer ? 0 : 1);
    event.error = result.error;
    switch (result.kind) {
        case DeliveryResult::Kind::delivered:
            counters_->add(&DestinationStats::delivered);
            break;
        case DeliveryResult::Kind::retry: {
            event.kind = DeliveryEvent::Kind::retry;
            counters_->add(&DestinationStats::retries);
            const Duration failing_for = result.at - row.first_failed_at.value_or(result.at);
            const std::lock_guard lock(mutex_);
            schedule_.fallback_in(settings_.fallback_after - failing_for);
            break;
        }
        case DeliveryResult::Kind::defer:
            event.kind = DeliveryEvent::Kind::deferred;
            counters_->add(&DestinationStats::deferrals);
            break;
        case DeliveryResult::Kind::dead:
            event.kind = DeliveryEvent::Kind::dead;
            counters_->add(&DestinationStats::dead);
            break;
    }
    if (event.kind == DeliveryEvent::Kind::retry || event.kind == DeliveryEvent::Kind::deferred) {
        event.next_attempt_at = result.next_attempt_at;
    }
    publish(event);
}

}  // namespace fusebox::notifications
