#include <fusebox/incidents/incident.hpp>

#include <algorithm>
#include <array>
#include <utility>

#include <fusebox/text/rfc3339.hpp>
#include <fusebox/text/utf8.hpp>

namespace fusebox::incidents {

namespace {

using std::chrono::ceil;
using std::chrono::microseconds;
using std::chrono::seconds;

void record(Incident& incident, const IncidentRules& rules, TimelineEvent event) {
    incident.timeline.push_back(std::move(event));
    truncate_timeline(incident.timeline, rules.max_timeline);
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
    if (!alert.generator_url.empty()) annotations.try_emplace("generator_url", alert.generator_url);
    return annotations;
}

Change unchanged(const std::optional<Incident>& current) {
    return {.kind = ChangeKind::none, .incident = current.value_or(Incident{}), .notify = false};
}

Change created(const Alert& alert, WallTime starts_at, const std::optional<Incident>& previous,
               const IncidentRules& rules, WallTime now) {
    Incident incident;
    incident.title = alert.title;
    incident.state = IncidentState::detected;
    incident.severity = effective_severity(alert);
    incident.labels = alert.labels;
    incident.annotations = annotations_of(alert);
    incident.source = alert.source;
    incident.fingerprint = fingerprint(alert.labels);
    // Stores find the newest incident of a fingerprint by `created_at`, so it grows even where the clock was set back.
    incident.created_at = previous ? std::max(now, previous->created_at + microseconds{1}) : now;
    incident.updated_at = incident.created_at;
    incident.alert_starts_at = starts_at;
    incident.alert_count = 1;
    record(incident, rules,
           {.at = now,
            .kind = "created",
            .actor = actor_of(alert),
            .detail = std::string{to_string(incident.severity)} + ", fires since " + text::to_rfc3339(starts_at)});
    return {.kind = ChangeKind::created, .incident = std::move(incident), .notify = true};
}

/// Updates `incident` by a firing of the same fingerprint. True: the severity rose.
bool take_over(Incident& incident, const Alert& alert, WallTime starts_at, const IncidentRules& rules, WallTime now) {
    incident.alert_starts_at = starts_at;
    incident.updated_at = now;
    ++incident.alert_count;
    if (auto annotations = annotations_of(alert); !annotations.empty()) incident.annotations = std::move(annotations);
    const Severity before = incident.severity;
    incident.severity = stated_severity(alert).value_or(before);
    if (incident.severity == before) return false;
    record(incident, rules,
           {.at = now,
            .kind = "severity_changed",
            .actor = actor_of(alert),
            .detail = "from " + std::string{to_string(before)} + " to " + std::string{to_string(incident.severity)}});
    return incident.severity < before;
}

Change repeated(const Alert& alert, WallTime starts_at, Incident incident, const IncidentRules& rules, WallTime now) {
    const bool rose = take_over(incident, alert, starts_at, rules, now);
    return {.kind = ChangeKind::updated, .incident = std::move(incident), .notify = rose};
}

Change reopened(const Alert& alert, WallTime starts_at, Incident incident, const IncidentRules& rules, WallTime now) {
    incident.state = IncidentState::detected;
    incident.resolved_at.reset();
    record(incident, rules,
           {.at = now,
            .kind = "reopened",
            .actor = actor_of(alert),
            .detail = "fires again since " + text::to_rfc3339(starts_at)});
    take_over(incident, alert, starts_at, rules, now);
    return {.kind = ChangeKind::reopened, .incident = std::move(incident), .notify = true};
}

Change resolved(const Alert& alert, WallTime starts_at, Incident incident, const IncidentRules& rules, WallTime now) {
    const bool plausible = alert.ends_at && *alert.ends_at >= starts_at && *alert.ends_at <= now;
    const WallTime resolved_at = plausible ? *alert.ends_at : now;
    incident.state = IncidentState::resolved;
    incident.resolved_at = resolved_at;
    incident.alert_starts_at = starts_at;
    incident.updated_at = now;
    ++incident.alert_count;
    record(incident, rules,
           {.at = now,
            .kind = "resolved",
            .actor = actor_of(alert),
            .detail = "the alert ended at " + text::to_rfc3339(resolved_at)});
    return {.kind = ChangeKind::resolved, .incident = std::move(incident), .notify = true};
}

bool may_move(IncidentState from, IncidentState to) noexcept {
    return to == IncidentState::closed ? from == IncidentState::resolved : to > from;
}

std::string_view verb(IncidentState to) noexcept {
    switch (to) {
        case IncidentState::detected:
            return "moved back to detected";
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
        case ChangeKind::created:
            return "created";
        case ChangeKind::updated:
            return "updated";
        case ChangeKind::acknowledged:
            return "acknowledged";
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

Change apply_alert(const Alert& alert, const std::optional<Incident>& current, const IncidentRules& rules,
                   WallTime now) {
    // A start in the future would outrank every honest message that follows.
    const WallTime starts_at = std::min(alert.starts_at, now);
    const bool open = current && is_open(current->state);
    if (open && starts_at < current->alert_starts_at) return unchanged(current);
    if (alert.resolved) return open ? resolved(alert, starts_at, *current, rules, now) : unchanged(current);
    if (open) return repeated(alert, starts_at, *current, rules, now);
    if (!current) return created(alert, starts_at, current, rules, now);

    if (starts_at <= current->alert_starts_at) return unchanged(current);
    const WallTime resolved_at = current->resolved_at.value_or(current->updated_at);
    // The window is in whole seconds, so rounding the time up to seconds compares exactly; comparing in microseconds
    // could overflow for a long window.
    const bool flaps = ceil<seconds>(starts_at - resolved_at) <= rules.flap_window;
    if (flaps && current->state == IncidentState::resolved) return reopened(alert, starts_at, *current, rules, now);
    return created(alert, starts_at, current, rules, now);
}

std::expected<Change, TransitionRefused> move_to(const Incident& incident, IncidentState to, std::string_view actor,
                                                 std::string_view note, const IncidentRules& rules, WallTime now) {
    const IncidentState from = incident.state;
    if (!may_move(from, to)) {
        return std::unexpected{TransitionRefused{"an incident that is " + std::string{to_string(from)} + " cannot be " +
                                                 std::string{verb(to)}}};
    }
    Change change{.kind = ChangeKind::state_changed, .incident = incident, .notify = false};
    if (to == IncidentState::triaged) change.kind = ChangeKind::acknowledged;
    if (to == IncidentState::resolved) {
        change.kind = ChangeKind::resolved;
        change.incident.resolved_at = now;
    }
    change.notify = change.kind != ChangeKind::state_changed;
    change.incident.state = to;
    change.incident.updated_at = now;
    std::string detail = "from " + std::string{to_string(from)} + " to " + std::string{to_string(to)};
    if (!note.empty()) detail += ": " + cut_note(note);
    record(change.incident, rules,
           {.at = now,
            .kind = std::string{to_string(change.kind)},
            .actor = std::string{actor},
            .detail = std::move(detail)});
    return change;
}

Change add_note(const Incident& incident, std::string_view actor, std::string_view text, const IncidentRules& rules,
                WallTime now) {
    Change change{.kind = ChangeKind::noted, .incident = incident, .notify = false};
    change.incident.updated_at = now;
    record(change.incident, rules, {.at = now, .kind = "note", .actor = std::string{actor}, .detail = cut_note(text)});
    return change;
}

}  // namespace fusebox::incidents
