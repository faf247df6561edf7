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
    std::string kind;    ///< created, updated, acknowledged, state_changed, severity_changed, resolved, reopened, note
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
    WallTime alert_starts_at{};  ///< of the newest firing seen
    std::optional<WallTime> resolved_at{};
    std::uint64_t alert_count{};          ///< firings and resolves received, repeats included
    std::uint64_t version{};              ///< grows by one with each stored change; 0 = never stored
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
};

struct IncidentRules {
    /// A new firing this soon after resolution reopens the incident; later it makes a new one.
    std::chrono::seconds flap_window{std::chrono::minutes{10}};
    /// A timeline keeps its first event and at most this many in all; older ones between are dropped with a mark.
    std::size_t max_timeline{500};
};

/// The rule of service.md "Domain". Pure: `current` is the newest incident of this fingerprint, if any.
/// A firing with no open incident creates one (or reopens within the flap window); a repeat updates; a resolve resolves;
/// a resolve of nothing, or a firing not newer than the one that was already resolved, changes nothing (`none`).
[[nodiscard]] Change apply_alert(const Alert& alert, const std::optional<Incident>& current, const IncidentRules& rules,
                                 WallTime now);

/// Why a requested change is not allowed; HTTP answers 409.
struct TransitionRefused {
    std::string message;  ///< "an incident that is closed cannot be acknowledged"
};
/// An operator's change of state. Forward along the life cycle (skipping is allowed), any open state → resolved,
/// resolved → closed. Acknowledge is detected → triaged.
[[nodiscard]] std::expected<Change, TransitionRefused> move_to(const Incident& incident, IncidentState to,
                                                               std::string_view actor, std::string_view note,
                                                               const IncidentRules& rules, WallTime now);
[[nodiscard]] Change add_note(const Incident& incident, std::string_view actor, std::string_view text,
                              const IncidentRules& rules, WallTime now);

}  // namespace fusebox::incidents
