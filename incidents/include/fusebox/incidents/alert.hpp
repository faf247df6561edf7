// One message from a source: something fires, or it has stopped.
#pragma once

#include <optional>
#include <string>

#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

struct Alert {
    std::string source;  ///< who says so: "prometheus", "alertmanager", "sentinel", a native caller's own word
    std::string title;   ///< one line for people
    Labels labels;       ///< identity: equal labels are the same alert
    Labels annotations;  ///< description, runbook …; not part of the identity
    std::optional<Severity> severity{};  ///< none: derived from the `severity` label, else P3
    WallTime starts_at{};                ///< since when it fires; with the fingerprint this makes a repeat recognisable
    std::optional<WallTime> ends_at{};   ///< when it stopped, or is expected to time out
    bool resolved{};                     ///< said to be resolved, or `ends_at` has passed when it was received
    std::string generator_url;
};

/// SHA-256 (hex) over the sorted labels, each name and each value as "LENGTH:BYTES", so that no two label sets collide
/// by concatenation.
[[nodiscard]] std::string fingerprint(const Labels& labels);
/// `alert.severity`, else by the `severity` label; none when the alert says nothing that is understood.
[[nodiscard]] std::optional<Severity> stated_severity(const Alert& alert);
/// `stated_severity`, else P3.
[[nodiscard]] Severity effective_severity(const Alert& alert);

}  // namespace fusebox::incidents
