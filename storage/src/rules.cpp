#include "rules.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>
#include <utility>

#include <fusebox/text/ascii.hpp>

namespace fusebox::storage::rules {

using namespace fusebox::incidents;
using Kind = StoreError::Kind;

namespace {

constexpr std::size_t max_page = 500;
constexpr std::size_t max_label_filters = 50;
constexpr std::size_t max_attempt_log = 20;
constexpr std::uint64_t largest_order = std::numeric_limits<std::int64_t>::max();

std::optional<StoreError> check_limit(std::size_t limit) {
    if (limit >= 1 && limit <= max_page) return std::nullopt;
    return error(Kind::invalid, "limit is " + std::to_string(limit) + ", must be 1 to " + std::to_string(max_page));
}

StoreError bad_cursor() { return error(Kind::invalid, "cursor is not one that this list gave out"); }

/// Cuts the number that `text` begins with off `text`, and returns the number.
template <class Integer>
std::optional<Integer> take_number(std::string_view& text) {
    Integer value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (failure != std::errc{}) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

void log_attempt(Notification& row, const DeliveryResult& result) {
    ++row.attempts;
    DeliveryAttempt attempt{.at = result.at, .took = result.took, .delivered = false, .error_class = {}, .message = {}};
    attempt.delivered = result.kind == DeliveryResult::Kind::delivered;
    if (result.error) {
        attempt.error_class = result.error->error_class;
        attempt.message = result.error->message;
        attempt.status = result.error->status;
    }
    row.attempt_log.push_back(std::move(attempt));
    if (row.attempt_log.size() > max_attempt_log) row.attempt_log.erase(row.attempt_log.begin());
    if (result.kind != DeliveryResult::Kind::delivered && !row.first_failed_at) row.first_failed_at = result.at;
}

}  // namespace

StoreError error(Kind kind, std::string message) {
    return {.kind = kind, .message = std::move(message), .retry_after = std::nullopt};
}
StoreError version_conflict(const Incident& incident) {
    return error(Kind::conflict, incident.version == 0 ? "incident " + incident.id + " exists already"
                                                       : "incident " + incident.id + " is no longer at version " +
                                                             std::to_string(incident.version));
}
StoreError second_open_incident(const Incident& incident) {
    return error(Kind::conflict, "another incident of the fingerprint of " + incident.id + " is open");
}
StoreError no_such_incident(std::string_view id) { return error(Kind::not_found, "no incident " + std::string{id}); }
StoreError no_such_notification(std::string_view id) {
    return error(Kind::not_found, "no notification " + std::string{id});
}
StoreError duplicate_notification(std::string_view id) {
    return error(Kind::conflict, "notification " + std::string{id} + " exists already");
}
StoreError about_no_incident(const NotificationDraft& draft) {
    return error(Kind::invalid,
                 "notification " + draft.id + " is about " + draft.incident_id + ", which does not exist");
}

std::optional<StoreError> check(const NotificationDraft& draft) {
    if (draft.id.empty()) return error(Kind::invalid, "a notification has no id");
    if (draft.incident_id.empty()) return error(Kind::invalid, "notification " + draft.id + " names no incident");
    if (draft.destination.empty()) return error(Kind::invalid, "notification " + draft.id + " has no destination");
    return std::nullopt;
}

std::size_t text_bytes(const Incident& incident) {
    std::size_t bytes = incident.title.size();
    for (const auto* texts : {&incident.labels, &incident.annotations})
        for (const auto& [name, value] : *texts) bytes += name.size() + value.size();
    return bytes;
}

std::optional<StoreError> check(const IncidentWrite& write) {
    if (write.incident.id.empty()) return error(Kind::invalid, "an incident has no id");
    if (write.incident.fingerprint.empty())
        return error(Kind::invalid, "incident " + write.incident.id + " has no fingerprint");
    for (const auto& draft : write.notifications) {
        if (auto bad = check(draft)) return bad;
        if (draft.incident_id != write.incident.id)
            return error(Kind::invalid, "notification " + draft.id + " is about " + draft.incident_id + ", not about " +
                                            write.incident.id + " with which it was to be stored");
    }
    return std::nullopt;
}

std::string cursor_after(const IncidentPosition& position) {
    return "i" + std::to_string(position.created_at.time_since_epoch().count()) + "." + std::to_string(position.order);
}
std::string cursor_after(std::uint64_t sequence) { return "n" + std::to_string(sequence); }

StoreResult<std::optional<IncidentPosition>> start_of(const IncidentQuery& query) {
    if (auto bad = check_limit(query.limit)) return std::unexpected(*std::move(bad));
    if (query.labels.size() > max_label_filters)
        return std::unexpected(
            error(Kind::invalid, "more than " + std::to_string(max_label_filters) + " labels to filter by"));
    if (query.cursor.empty()) return std::nullopt;
    std::string_view text = query.cursor;
    if (!take_prefix(text, "i")) return std::unexpected(bad_cursor());
    const auto created_at = take_number<WallTime::rep>(text);
    if (!created_at || !take_prefix(text, ".")) return std::unexpected(bad_cursor());
    const auto order = take_number<std::uint64_t>(text);
    if (!order || *order == 0 || *order > largest_order || !text.empty()) return std::unexpected(bad_cursor());
    return IncidentPosition{.created_at = WallTime{WallTime::duration{*created_at}}, .order = *order};
}

StoreResult<std::optional<std::uint64_t>> start_of(const NotificationQuery& query) {
    if (auto bad = check_limit(query.limit)) return std::unexpected(*std::move(bad));
    if (query.cursor.empty()) return std::nullopt;
    std::string_view text = query.cursor;
    if (!take_prefix(text, "n")) return std::unexpected(bad_cursor());
    const auto sequence = take_number<std::uint64_t>(text);
    if (!sequence || *sequence > largest_order || !text.empty()) return std::unexpected(bad_cursor());
    return sequence;
}

std::string fold_case(std::string_view text) {
    std::string folded{text};
    std::ranges::transform(folded, folded.begin(), text::lower);
    return folded;
}

Notification new_row(const NotificationDraft& draft) {
    Notification row;
    row.draft = draft;
    row.next_attempt_at = draft.created_at;
    return row;
}

WallTime due_at(const Notification& row) {
    return row.state == NotificationState::leased && row.lease_until ? *row.lease_until : row.next_attempt_at;
}

std::optional<WallTime> ended_at(const Notification& row) {
    if (is_waiting(row.state)) return std::nullopt;
    // With an attempt a row is delivered or dead; a row without one was written by another program.
    return row.attempt_log.empty() ? row.draft.created_at : row.attempt_log.back().at;
}

StoreResult<void> settle(Notification& row, std::string_view lease_token, const DeliveryResult& result) {
    if (row.state != NotificationState::leased || row.lease_token != lease_token)
        return std::unexpected(
            error(Kind::conflict, "notification " + row.draft.id + " is no longer held under this lease"));
    row.lease_token.clear();
    row.lease_until.reset();
    if (result.error) row.last_error = result.error;
    switch (result.kind) {
        case DeliveryResult::Kind::delivered:
            log_attempt(row, result);
            row.state = NotificationState::delivered;
            row.delivered_at = result.at;
            row.first_failed_at.reset();
            break;
        case DeliveryResult::Kind::retry:
            log_attempt(row, result);
            row.state = NotificationState::pending;
            row.next_attempt_at = result.next_attempt_at;
            break;
        case DeliveryResult::Kind::defer:
            ++row.deferrals;
            row.state = NotificationState::pending;
            row.next_attempt_at = result.next_attempt_at;
            break;
        case DeliveryResult::Kind::dead:
            log_attempt(row, result);
            row.state = NotificationState::dead;
            break;
    }
    return {};
}

StoreResult<void> replay(Notification& row, WallTime now) {
    if (row.state != NotificationState::dead)
        return std::unexpected(error(Kind::invalid, "notification " + row.draft.id + " is " +
                                                        std::string{to_string(row.state)} +
                                                        ": only a dead one can be replayed"));
    row.state = NotificationState::pending;
    row.next_attempt_at = now;
    row.first_failed_at.reset();
    return {};
}

}  // namespace fusebox::storage::rules
