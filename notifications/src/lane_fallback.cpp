// L1 … L8: see lane.hpp.
#include "lane.hpp"

#include <algorithm>
#include <utility>

#include "store_call.hpp"
#include "unlocked.hpp"

namespace fusebox::notifications {

using incidents::Notification;
using incidents::StoreError;

namespace {
constexpr std::size_t watch_page = 500;

/// When the clock of the fallback began: when the row was due first, whatever has kept it from going out since then.
incidents::WallTime due_since(const Notification& row) {
    if (row.first_failed_at) return *row.first_failed_at;
    return row.attempts == 0 ? row.draft.created_at : row.next_attempt_at;  // a dead letter was replayed
}

}  // namespace

void Lane::watch_fallbacks(std::unique_lock<std::mutex>& lock) {
    schedule_.fallback_watch_begins();
    const auto stored_before = fallback_stored_;
    const Unlocked unlocked(lock);
    const TimePoint began = clock_.now();
    const auto now = clock_.wall_now();
    const bool open = circuit_open();

    const auto failed = [this](Access access, const StoreError& error) {
        store_failed(access, error);
        const std::lock_guard relock(mutex_);
        schedule_.fallback_in(Duration::zero());
    };
    std::vector<Notification> due;
    std::set<std::string, std::less<>> stored_and_pending;  // takes the place of fallback_stored_
    std::optional<Duration> next_in;
    incidents::NotificationQuery query{.state = incidents::NotificationState::pending,
                                       .incident_id = {},
                                       .destination = settings_.name,
                                       .limit = watch_page,
                                       .cursor = {}};
    for (bool more = true; more;) {
        auto page = surroundings_.outbox.list_notifications(query, store_context());
        if (!page) return failed(Access::read, page.error());
        for (Notification& row : page->items) {
            if (!deserves_fallback(row.draft)) continue;
            if (stored_before.contains(row.draft.id)) {
                stored_and_pending.insert(row.draft.id);
                continue;
            }
            const Duration left = settings_.fallback_after - Duration{now - due_since(row)};
            if (open || left <= Duration::zero()) {
                due.push_back(std::move(row));
            } else {
                next_in = std::min(next_in.value_or(left), left);
            }
        }
        more = page->next_cursor.has_value();
        query.cursor = page->next_cursor.value_or("");
    }
    // The oldest first: the fallback destination, too, gets the trigger of an incident before its resolve.
    std::ranges::sort(due, {}, &Notification::sequence);
    for (const Notification& row : due) {
        const auto stored = enqueue_fallback(row.draft);
        if (!stored && may_succeed_later(stored.error())) return failed(Access::write, stored.error());
        stored_and_pending.insert(row.draft.id);
    }
    store_answered(Access::read);
    const std::lock_guard relock(mutex_);
    fallback_stored_ = std::move(stored_and_pending);
    schedule_.fallback_watched(clock_.now() - began, next_in);
}

incidents::StoreResult<void> Lane::tell_fallback_of_end(const incidents::NotificationDraft& end) {
    const auto page = surroundings_.outbox.list_notifications({.state = {},
                                                               .incident_id = end.incident_id,
                                                               .destination = settings_.fallback,
                                                               .limit = watch_page,
                                                               .cursor = {}},
                                                              store_context());
    if (!page) return std::unexpected(page.error());
    const auto stands_in = [](const Notification& row) { return !row.draft.fallback_for.empty(); };
    // A route may lead to the fallback destination as well; then the end has a row of its own there.
    const auto is_told_anyway = [&](const Notification& row) {
        return !stands_in(row) && row.draft.kind == end.kind && row.draft.created_at >= end.created_at;
    };
    if (std::ranges::none_of(page->items, stands_in) || std::ranges::any_of(page->items, is_told_anyway)) return {};
    return enqueue_fallback(end);
}

incidents::StoreResult<void> Lane::enqueue_fallback(const incidents::NotificationDraft& original) {
    {
        const std::lock_guard lock(mutex_);
        if (fallback_stored_.contains(original.id)) return {};
    }
    auto stored =
        surroundings_.outbox.enqueue(fallback_draft(original, settings_.fallback, clock_.wall_now()), store_context());
    if (!stored) return stored;
    {
        const std::lock_guard lock(mutex_);
        fallback_stored_.insert(original.id);
    }
    counters_->add(&DestinationStats::fallbacks);
    surroundings_.notify(settings_.fallback);
    DeliveryEvent event = event_of(DeliveryEvent::Kind::fallback, original);
    event.fallback_destination = settings_.fallback;
    publish(event);
    return stored;
}

}  // namespace fusebox::notifications
