// An incident and its life cycle.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/incidents/alert.hpp>
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
    std::string kind;   ///< created, acknowledged, state_changed, severity_changed, resolved, reopened, note, truncated
    std::string actor;  ///< "alert:prometheus", a user's name, "system"
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
    WallTime alert_starts_at{};  ///< of the newest firing seen
    std::optional<WallTime> resolved_at{};
    std::uint64_t alert_count{};          ///< firings and resolves that changed the incident, with repeats
    std::uint64_t version{};              ///< grows by one with each stored change; 0 = never stored
    std::vector<std::string> notified{};  ///< destinations notified so far, each once, first notified first
    std::vector<TimelineEvent> timeline;  ///< oldest first
    bool operator==(const Incident&) const = default;
};

/// What an input did to an incident.
enum class ChangeKind : std::uint8_t { none, created, updated, acknowledged, resolved, reopened, noted, state_changed };
[[nodiscard]] std::string_view to_string(ChangeKind kind) noexcept;

/// The outcome of a rule: the incident as it should now be stored (its timeline already holds the new events, its
/// version is still the one read) and what happened.
struct Change {
    ChangeKind kind{ChangeKind::none};
    Incident incident;
    /// Destinations hear of the change, as `notification_kind(kind)`: creation, acknowledgement, resolution, reopening,
    /// and a repeat that raises the severity.
    bool notify{};
};

struct IncidentRules {
    /// A new firing that begins this soon after resolution reopens the incident; a later one makes a new incident. ≥ 0.
    std::chrono::seconds flap_window{std::chrono::minutes{10}};
    /// A timeline keeps its first event and its latest, at most this many in all; the events between are dropped and
    /// one event `truncated` stands for them. ≥ 3, and taken as 3 below that.
    std::size_t max_timeline{500};
};
/// A longer note is cut to this many bytes (at a code point, and ends in "…"), so that an incident stays bounded.
inline constexpr std::size_t max_note_bytes{16'384};
/// Cuts the middle of `timeline` as `IncidentRules::max_timeline` says.
void truncate_timeline(std::vector<TimelineEvent>& timeline, std::size_t max_events);

/// What an alert does. Pure: `current` is the newest incident of this fingerprint, if any; a created incident has no id
/// yet.
///
/// An alert belongs to the firing that began at its `starts_at`, which is what tells a repeat from news:
/// - A firing with no incident, or newer than the last firing of a resolved or closed one, creates an incident; begun
///   within the flap window after resolution it reopens the resolved one (a closed one never).
/// - A firing on an open incident updates its counts, its annotations (if it brings any) and its severity (if it states
///   one). Only a change of severity enters the timeline, and only a rise notifies.
/// - A resolve of an open incident resolves it, as of `ends_at` if that lies between the start and now.
/// - Nothing changes (`none`, `current` as it was) by a resolve of nothing, of an older firing or of what is not open,
///   or by a firing older than the one an open incident is about, or not newer than one that was resolved: late and
///   repeated messages come in any order and by several paths, and do not undo what an operator resolved.
/// A `starts_at` ahead of `now` comes from a wrong clock and is taken as `now`.
[[nodiscard]] Change apply_alert(const Alert& alert, const std::optional<Incident>& current, const IncidentRules& rules,
                                 WallTime now);

/// Why a requested change is not allowed; HTTP answers 409.
struct TransitionRefused {
    std::string message;  ///< "an incident that is closed cannot be acknowledged"
};
/// An operator's change of state: forward along the life cycle, where open states may be skipped but only what is
/// resolved can be closed. Acknowledge is detected → triaged. `note` may be empty.
[[nodiscard]] std::expected<Change, TransitionRefused> move_to(const Incident& incident, IncidentState to,
                                                               std::string_view actor, std::string_view note,
                                                               const IncidentRules& rules, WallTime now);
[[nodiscard]] Change add_note(const Incident& incident, std::string_view actor, std::string_view text,
                              const IncidentRules& rules, WallTime now);

}  // namespace fusebox::incidents
