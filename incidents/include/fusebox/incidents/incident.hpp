// An incident and its life cycle.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/incidents/alert.hpp>
#include <fusebox/incidents/firing.hpp>
#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

enum class IncidentState : std::uint8_t { detected, triaged, investigating, remediating, resolved, closed };
[[nodiscard]] std::string_view to_string(IncidentState state) noexcept;
[[nodiscard]] std::optional<IncidentState> incident_state_from_string(std::string_view text) noexcept;
/// Not resolved and not closed.
[[nodiscard]] constexpr bool is_open(IncidentState state) noexcept {
    return state != IncidentState::resolved && state != IncidentState::closed;
}

/// One line of an incident's history; never changed once written.
struct TimelineEvent {
    WallTime at{};
    /// created, acknowledged, unacknowledged, state_changed, severity_changed, severity_unknown, alerts_truncated,
    /// resolved, reopened, note, truncated
    std::string kind;
    std::string actor;   ///< "alert:prometheus", a user's name, "system"
    std::string detail;  ///< one sentence
    bool operator==(const TimelineEvent&) const = default;
};

struct Incident {
    std::string id;  ///< "inc_…"
    std::string title;
    IncidentState state{IncidentState::detected};
    Severity severity{Severity::p3};
    Labels labels;
    Labels annotations;
    std::string source;
    std::string fingerprint;
    WallTime created_at{};
    WallTime updated_at{};
    WallTime alert_starts_at{};  ///< of the newest firing seen; never after the time at which it was seen
    std::optional<WallTime> resolved_at{};
    WallTime last_seen{};         ///< of the latest alert message that counted
    std::uint64_t alert_count{};  ///< alert messages that counted: firings and resolves, with repeats
    Firings firings;
    std::uint64_t version{};              ///< grows by one with each stored change; 0 = never stored
    std::vector<std::string> notified{};  ///< destinations notified so far, each once, first notified first
    std::vector<TimelineEvent> timeline;  ///< oldest first; as much of it as was read (see `IncidentStore`)
    bool operator==(const Incident&) const = default;
};

/// When an open incident resolves unless its alert is sent again; none: never by itself.
[[nodiscard]] std::optional<WallTime> expires_at(const Incident& incident) noexcept;

/// What an input did to an incident.
enum class ChangeKind : std::uint8_t {
    none,      ///< nothing at all
    repeated,  ///< only `alert_count`, `last_seen` and `firings` differ: a sighting, not a new version
    created,
    updated,
    acknowledged,
    unacknowledged,
    resolved,
    reopened,
    noted,
    state_changed,
};
[[nodiscard]] std::string_view to_string(ChangeKind kind) noexcept;

/// The outcome of a rule: the incident as it should now be stored (its timeline already holds the new events, its
/// version is still the one read) and what happened.
struct Change {
    ChangeKind kind{ChangeKind::none};
    Incident incident{};
    std::vector<TimelineEvent> events{};  ///< what the change adds to the timeline
    /// Destinations hear of the change, as `notification_kind(kind)`: creation, acknowledgement and its withdrawal,
    /// resolution, reopening, and a repeat that raises the severity.
    bool notify{};
};

struct IncidentRules {
    /// A new firing that begins this soon after resolution reopens the incident; a later one makes a new incident. ≥ 0.
    std::chrono::seconds flap_window{std::chrono::minutes{10}};
    /// A timeline keeps its first event and its latest, at most this many in all; the events between are dropped and
    /// one event `truncated` stands for them. ≥ 3, and taken as 3 below that.
    std::size_t max_timeline{500};
    /// How long sources may take to send again what fires: nothing expires in this time after the start. > 0.
    std::chrono::seconds resend_period{std::chrono::minutes{5}};
    /// An incident that was resolved this long ago is closed. > 0.
    std::chrono::seconds close_after{std::chrono::hours{24}};
    SeverityWords severity_words{};
};
/// A longer note is cut to this many bytes (at a code point, and ends in "…"), so that an incident stays bounded.
inline constexpr std::size_t max_note_bytes{16'384};
/// Cuts the middle of `timeline` as `IncidentRules::max_timeline` says.
void truncate_timeline(std::vector<TimelineEvent>& timeline, std::size_t max_events);

/// What an alert does. Pure: `current` is the open incident of this fingerprint, else the newest, if any; a created
/// incident has no id yet.
///
/// Which firings are active is decided by `take_in` (firing.hpp); from there:
/// - A firing that is news, with no incident or with one that is closed, creates an incident. Where the incident is
///   resolved, one that begins within the flap window after resolution, or that had run out and is sent again, reopens
///   it; a later one creates a new incident.
/// - An open incident resolves when its last active firing ends, as of the end that the source gave if that can be.
/// - What an open incident shows (title, annotations, severity) is what the newest of its active firings says now. Only
///   a change of severity enters the timeline, and only a rise notifies.
/// - A message that brings none of that is `repeated` where it counts, else `none`, with `current` as it was: late and
///   repeated messages come in any order and by several paths, and do not undo what a person resolved.
[[nodiscard]] Change apply_alert(const Alert& alert, const std::optional<Incident>& current, const IncidentRules& rules,
                                 WallTime now);
/// Ends the firings that nobody vouches for at `now`, and resolves an open incident that is then without any: the
/// timeline says that the alert expired and was not reported resolved. Else `none`.
[[nodiscard]] Change expire(const Incident& incident, const IncidentRules& rules, WallTime now);

/// Why a requested change is not allowed; HTTP answers 409.
struct TransitionRefused {
    std::string message;  ///< "an incident that is closed cannot be acknowledged"
};
/// A person's change of state. Forward along the life cycle, where open states may be skipped but only what is resolved
/// can be closed; back only to detected, which reopens what is resolved or closed, and takes an acknowledgement back.
/// Acknowledge is detected → triaged. `note` may be empty.
[[nodiscard]] std::expected<Change, TransitionRefused> move_to(const Incident& incident, IncidentState to,
                                                               std::string_view actor, std::string_view note,
                                                               const IncidentRules& rules, WallTime now);
[[nodiscard]] Change add_note(const Incident& incident, std::string_view actor, std::string_view text,
                              const IncidentRules& rules, WallTime now);

}  // namespace fusebox::incidents
