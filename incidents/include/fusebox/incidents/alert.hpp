// One message from a source: an alert fires, or has stopped firing.
#pragma once

#include <optional>
#include <string>

#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

struct Alert {
    std::string source;  ///< the sender: "prometheus", "alertmanager", "sentinel", a native caller's own word
    std::string title;   ///< one line for people
    Labels labels;       ///< identity: equal labels are the same alert
    Labels annotations;  ///< description, runbook …; not part of the identity
    std::optional<Severity> severity{};  ///< none: derived from the `severity` label, else P3
    WallTime starts_at{};  ///< since when the alert fires; start and fingerprint together identify a repeat
    std::optional<WallTime> ends_at{};  ///< when the alert stopped, or will be taken to have stopped
    bool resolved{};                    ///< the source said so, or `ends_at` had passed on receipt
    std::string generator_url;
};

/// SHA-256 (hex) over the sorted labels, each name and each value as "LENGTH:BYTES", so that no two label sets collide
/// by concatenation.
[[nodiscard]] std::string fingerprint(const Labels& labels);
/// `alert.severity`, else by the `severity` label; none when neither is present and understood.
[[nodiscard]] std::optional<Severity> stated_severity(const Alert& alert);
/// `stated_severity`, else P3.
[[nodiscard]] Severity effective_severity(const Alert& alert);

}  // namespace fusebox::incidents
