#include <fusebox/incidents/incident.hpp>

#include <algorithm>
#include <ranges>
#include <utility>

#include <fusebox/text/rfc3339.hpp>
#include <fusebox/text/utf8.hpp>

#include "shown_texts.hpp"

namespace fusebox::incidents {

namespace {

using std::chrono::ceil;
using std::chrono::microseconds;
using std::chrono::seconds;

void record(Change& change, const IncidentRules& rules, TimelineEvent event) {
    change.events.push_back(event);
    change.incident.timeline.push_back(std::move(event));
    truncate_timeline(change.incident.timeline, rules.max_timeline);
}

std::string cut_note(std::string_view note) {
    std::string kept{text::cut(note, max_note_bytes)};
    return kept.size() < note.size() ? kept.append("…") : kept;
}

std::string actor_of(const Alert& alert) { return "alert:" + alert.source; }

/// The alert's annotations, and among them the link to where the alert was made: an incident has no field for that
/// link.
Labels annotations_of(const Alert& alert) {
    Labels annotations = alert.annotations;
    if (!alert.generator_url.empty()) annotations.try_emplace(std::string{generator_annotation}, alert.generator_url);
    return annotations;
}

Change unchanged(const std::optional<Incident>& current) {
    return {.kind = ChangeKind::none, .incident = current.value_or(Incident{})};
}

void count(Incident& incident, WallTime now) {
    ++incident.alert_count;
    incident.last_seen = now;
}

void tell_of_unknown_severity(Change& change, const Alert& alert, const StatedSeverity& stated,
                              const IncidentRules& rules, WallTime now) {
    if (stated.unknown_word.empty()) return;
    constexpr std::size_t longest = 64;
    record(change, rules,
           {.at = now,
            .kind = "severity_unknown",
            .actor = actor_of(alert),
            .detail = "the severity \"" + std::string{text::cut(stated.unknown_word, longest)} +
                      "\" is not known and counts as " + std::string{to_string(change.incident.severity)}});
}

/// Severities and texts that the message brings; its words for the timeline. True: the severity rose.
bool take_over(Change& change, const Alert& alert, const IncidentRules& rules, WallTime now) {
    Incident& incident = change.incident;
    if (!alert.title.empty()) incident.title = alert.title;
    if (!alert.annotations.empty() && !say_the_same(alert.annotations, incident.annotations)) {
        incident.annotations = annotations_of(alert);
    }
    const Severity before = incident.severity;
    const auto stated = stated_severity(alert, rules.severity_words);
    incident.severity = stated.severity.value_or(before);
    if (incident.severity == before) return false;
    record(change, rules,
           {.at = now,
            .kind = "severity_changed",
            .actor = actor_of(alert),
            .detail = "from " + std::string{to_string(before)} + " to " + std::string{to_string(incident.severity)}});
    tell_of_unknown_severity(change, alert, stated, rules, now);
    return incident.severity < before;
}

/// Whether `take_over` would change nothing.
bool shows_already(const Incident& incident, const Alert& alert, const IncidentRules& rules) {
    return (alert.title.empty() || alert.title == incident.title) &&
           (alert.annotations.empty() || say_the_same(alert.annotations, incident.annotations)) &&
           stated_severity(alert, rules.severity_words).severity.value_or(incident.severity) == incident.severity;
}

TimelineEvent truncated_event(const Alert& alert, WallTime now) {
    return {.at = now,
            .kind = "alerts_truncated",
            .actor = actor_of(alert),
            .detail = "the message left out " + std::to_string(alert.truncated) + " more alerts of its group"};
}

/// Whether the message left alerts out and the timeline does not say so yet.
bool tells_of_truncation(const Incident& incident, const Alert& alert) {
    if (alert.truncated == 0) return false;
    const auto event = truncated_event(alert, {});
    return std::ranges::none_of(incident.timeline, [&event](const TimelineEvent& known) {
        return known.kind == event.kind && known.detail == event.detail;
    });
}

void tell_of_truncation(Change& change, const Alert& alert, const IncidentRules& rules, WallTime now) {
    if (tells_of_truncation(change.incident, alert)) record(change, rules, truncated_event(alert, now));
}

/// The firings that are known. An incident that says nothing of them is about one, which began at `alert_starts_at`.
Firings firings_of(const Incident& incident) {
    if (!incident.firings.all.empty()) return incident.firings;
    Firings firings;
    firings.all.push_back({.starts_at = incident.alert_starts_at, .first_seen = incident.created_at});
    if (!is_open(incident.state)) {
        firings.all.front().ended_at = incident.resolved_at.value_or(incident.updated_at);
        firings.all.front().reported_end = firings.all.front().ended_at;
        firings.dismiss(firings.all.front().began());
    }
    return firings;
}

Change created(const Alert& alert, const FiringNews& news, Firings firings, const std::optional<Incident>& previous,
               const IncidentRules& rules, WallTime now) {
    const auto stated = stated_severity(alert, rules.severity_words);
    Change change{.kind = ChangeKind::created, .incident = {}, .events = {}, .notify = true};
    Incident& incident = change.incident;
    incident.title = alert.title;
    incident.state = IncidentState::detected;
    incident.severity = stated.severity.value_or(severity_of_silence);
    incident.labels = alert.labels;
    incident.annotations = annotations_of(alert);
    incident.source = alert.source;
    incident.fingerprint = fingerprint(alert.labels);
    // Stores find the newest incident of a fingerprint by `created_at`, so it grows even where the clock was set back.
    incident.created_at = previous ? std::max(now, previous->created_at + microseconds{1}) : now;
    incident.updated_at = incident.created_at;
    incident.alert_starts_at = news.at;
    incident.firings = std::move(firings);
    count(incident, now);
    record(change, rules,
           {.at = now,
            .kind = "created",
            .actor = actor_of(alert),
            .detail = std::string{to_string(incident.severity)} + ", fires since " + text::to_rfc3339(news.at)});
    tell_of_unknown_severity(change, alert, stated, rules, now);
    tell_of_truncation(change, alert, rules, now);
    return change;
}

/// A change of an open incident that stays open.
Change updated(const Alert& alert, const FiringNews& news, const Incident& current, Firings firings,
               const IncidentRules& rules, WallTime now) {
    Change change{.kind = ChangeKind::updated, .incident = current};
    change.incident.firings = std::move(firings);
    change.incident.updated_at = now;
    if (!alert.resolved) change.incident.alert_starts_at = std::max(current.alert_starts_at, news.at);
    count(change.incident, now);
    if (!alert.resolved && news.speaks_for_all) change.notify = take_over(change, alert, rules, now);
    tell_of_truncation(change, alert, rules, now);
    return change;
}

Change reopened(const Alert& alert, const FiringNews& news, const Incident& current, Firings firings,
                const IncidentRules& rules, WallTime now) {
    Change change{.kind = ChangeKind::reopened, .incident = current, .events = {}, .notify = true};
    Incident& incident = change.incident;
    incident.state = IncidentState::detected;
    incident.resolved_at.reset();
    incident.firings = std::move(firings);
    incident.updated_at = now;
    incident.alert_starts_at = std::max(current.alert_starts_at, news.at);
    count(incident, now);
    record(change, rules,
           {.at = now,
            .kind = "reopened",
            .actor = actor_of(alert),
            .detail = "fires again since " + text::to_rfc3339(news.at)});
    take_over(change, alert, rules, now);
    tell_of_truncation(change, alert, rules, now);
    return change;
}

Change resolved(const Incident& current, Firings firings, WallTime ended_at, TimelineEvent event,
                const IncidentRules& rules) {
    Change change{.kind = ChangeKind::resolved, .incident = current, .events = {}, .notify = true};
    change.incident.state = IncidentState::resolved;
    change.incident.resolved_at = ended_at;
    change.incident.firings = std::move(firings);
    change.incident.updated_at = event.at;
    record(change, rules, std::move(event));
    return change;
}

Change repeated(const Incident& current, Firings firings, WallTime now) {
    Change change{.kind = ChangeKind::repeated, .incident = current};
    change.incident.firings = std::move(firings);
    count(change.incident, now);
    return change;
}

bool may_move(IncidentState from, IncidentState to) noexcept {
    if (to == IncidentState::detected) return from != IncidentState::detected;
    return to == IncidentState::closed ? from == IncidentState::resolved : to > from;
}

ChangeKind kind_of_move(IncidentState from, IncidentState to) noexcept {
    if (to == IncidentState::detected) return is_open(from) ? ChangeKind::unacknowledged : ChangeKind::reopened;
    if (to == IncidentState::triaged) return ChangeKind::acknowledged;
    return to == IncidentState::resolved ? ChangeKind::resolved : ChangeKind::state_changed;
}

std::string_view verb(IncidentState to) noexcept {
    switch (to) {
        case IncidentState::detected:
            return "moved to detected";
        case IncidentState::triaged:
            return "acknowledged";
        case IncidentState::investigating:
            return "moved to investigating";
        case IncidentState::remediating:
            return "moved to remediating";
        case IncidentState::resolved:
            return "resolved";
        case IncidentState::closed:
            return "closed";
    }
    std::unreachable();
}

}  // namespace

std::string_view to_string(IncidentState state) noexcept {
    switch (state) {
        case IncidentState::detected:
            return "detected";
        case IncidentState::triaged:
            return "triaged";
        case IncidentState::investigating:
            return "investigating";
        case IncidentState::remediating:
            return "remediating";
        case IncidentState::resolved:
            return "resolved";
        case IncidentState::closed:
            return "closed";
    }
    std::unreachable();
}

std::optional<IncidentState> incident_state_from_string(std::string_view text) noexcept {
    using enum IncidentState;
    for (const auto state : {detected, triaged, investigating, remediating, resolved, closed}) {
        if (text == to_string(state)) return state;
    }
    return std::nullopt;
}

std::string_view to_string(ChangeKind kind) noexcept {
    switch (kind) {
        case ChangeKind::none:
            return "none";
        case ChangeKind::repeated:
            return "repeated";
        case ChangeKind::created:
            return "created";
        case ChangeKind::updated:
            return "updated";
        case ChangeKind::acknowledged:
            return "acknowledged";
        case ChangeKind::unacknowledged:
            return "unacknowledged";
        case ChangeKind::resolved:
            return "resolved";
        case ChangeKind::reopened:
            return "reopened";
        case ChangeKind::noted:
            return "noted";
        case ChangeKind::state_changed:
            return "state_changed";
    }
    std::unreachable();
}

void truncate_timeline(std::vector<TimelineEvent>& timeline, std::size_t max_events) {
    max_events = std::max<std::size_t>(max_events, 3);
    if (timeline.size() <= max_events) return;
    const auto keep = timeline.end() - static_cast<std::ptrdiff_t>(max_events - 2);
    const auto mark = timeline.begin() + 1;
    *mark = {.at = std::prev(keep)->at,
             .kind = "truncated",
             .actor = "system",
             .detail = "the events between the first and the latest were dropped"};
    timeline.erase(mark + 1, keep);
}

std::optional<WallTime> expires_at(const Incident& incident) noexcept {
    return is_open(incident.state) ? incident.firings.expires_at() : std::nullopt;
}

Change apply_alert(const Alert& alert, const std::optional<Incident>& current, const IncidentRules& rules,
                   WallTime now) {
    Firings firings = current ? firings_of(*current) : Firings{};
    const FiringNews news = take_in(firings, alert, now);
    if (!current) return alert.resolved ? unchanged(current) : created(alert, news, firings, current, rules, now);

    const bool open = is_open(current->state);
    switch (news.effect) {
        case FiringEffect::nothing:
            return unchanged(current);
        case FiringEffect::extended:
            if (open && ((!alert.resolved && news.speaks_for_all && !shows_already(*current, alert, rules)) ||
                         tells_of_truncation(*current, alert))) {
                return updated(alert, news, *current, std::move(firings), rules, now);
            }
            return repeated(*current, std::move(firings), now);
        case FiringEffect::ended: {
            if (!open) return repeated(*current, std::move(firings), now);
            if (firings.any_counts()) return updated(alert, news, *current, std::move(firings), rules, now);
            Change change = resolved(*current, std::move(firings), news.at,
                                     {.at = now,
                                      .kind = "resolved",
                                      .actor = actor_of(alert),
                                      .detail = "the alert ended at " + text::to_rfc3339(news.at)},
                                     rules);
            count(change.incident, now);
            tell_of_truncation(change, alert, rules, now);
            return change;
        }
        case FiringEffect::began:
        case FiringEffect::revived:
            break;
    }
    if (open) return updated(alert, news, *current, std::move(firings), rules, now);
    const WallTime resolved_at = current->resolved_at.value_or(current->updated_at);
    // The window is in whole seconds, so rounding the time up to seconds compares exactly; comparing in microseconds
    // could overflow for a long window. A firing that revives began before the resolution.
    const bool flaps = ceil<seconds>(news.at - resolved_at) <= rules.flap_window;
    if (flaps && current->state == IncidentState::resolved) {
        return reopened(alert, news, *current, std::move(firings), rules, now);
    }
    return created(alert, news, std::move(firings), current, rules, now);
}

Change expire(const Incident& incident, const IncidentRules& rules, WallTime now) {
    if (!is_open(incident.state) || !incident.firings.any_counts()) return unchanged(incident);
    Firings firings = incident.firings;
    if (!firings.expire(now) || firings.any_counts()) return unchanged(incident);

    // Another firing may have been reported ended meanwhile: the incident ends with the last of them.
    const auto ended_last = [](const Firing& firing) { return firing.dismissed ? std::nullopt : firing.ended_at; };
    const Firing& last = *std::ranges::max_element(firings.all, {}, ended_last);
    const auto ended_at = text::to_rfc3339(*last.ended_at);
    return resolved(
        incident, firings, *last.ended_at,
        {.at = now,
         .kind = "resolved",
         .actor = "system",
         .detail = last.expired()
                       ? "expired: the alert was not reported resolved, and nobody has vouched for it since " + ended_at
                       : "the alert ended at " + ended_at + "; another firing of it had expired before"},
        rules);
}

std::expected<Change, TransitionRefused> move_to(const Incident& incident, IncidentState to, std::string_view actor,
                                                 std::string_view note, const IncidentRules& rules, WallTime now) {
    const IncidentState from = incident.state;
    if (!may_move(from, to)) {
        return std::unexpected{TransitionRefused{"an incident that is " + std::string{to_string(from)} + " cannot be " +
                                                 std::string{verb(to)}}};
    }
    Change change{.kind = kind_of_move(from, to), .incident = incident};
    change.notify = change.kind != ChangeKind::state_changed;
    change.incident.state = to;
    change.incident.updated_at = now;
    change.incident.firings = firings_of(incident);
    if (change.kind == ChangeKind::resolved) {
        change.incident.resolved_at = now;
        change.incident.firings.dismiss(now);
    } else if (change.kind == ChangeKind::reopened) {
        change.incident.resolved_at.reset();
        change.incident.firings.restore(now);
    }
    std::string detail = "from " + std::string{to_string(from)} + " to " + std::string{to_string(to)};
    if (!note.empty()) detail += ": " + cut_note(note);
    record(change, rules,
           {.at = now,
            .kind = std::string{to_string(change.kind)},
            .actor = std::string{actor},
            .detail = std::move(detail)});
    return change;
}

Change add_note(const Incident& incident, std::string_view actor, std::string_view text, const IncidentRules& rules,
                WallTime now) {
    Change change{.kind = ChangeKind::noted, .incident = incident};
    change.incident.updated_at = now;
    record(change, rules, {.at = now, .kind = "note", .actor = std::string{actor}, .detail = cut_note(text)});
    return change;
}

}  // namespace fusebox::incidents
