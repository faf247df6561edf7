// One message from a source: an alert fires, or has stopped firing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <fusebox/incidents/severity_words.hpp>
#include <fusebox/incidents/types.hpp>

namespace fusebox::incidents {

/// Whoever reads alerts from outside checks and bounds them: the domain takes each alert as it is. Texts are UTF-8, and
/// an alert has at least one label, since all alerts without any would be the same alert.
struct Alert {
    std::string source{};  ///< the sender: "prometheus", "alertmanager", "sentinel", a native caller's own word
    std::string title{};   ///< one line for people; an incident shows the title that its newest firing gives now
    Labels labels{};       ///< identity: equal labels are the same alert
    Labels annotations{};  ///< description, runbook …; not part of the identity
    std::optional<Severity> severity{};  ///< none: what `severity_word` means, else the `severity` label
    std::string severity_word{};         ///< the sender's word outside the labels; empty: none
    WallTime starts_at{};                ///< since when the alert fires; start and fingerprint together name a firing
    /// False: the message named no start (`starts_at` is not looked at); it is about whatever fires, else begins now.
    bool start_stated{true};
    std::optional<WallTime> ends_at{};  ///< when the alert stopped, or until when its source vouches for it
    bool resolved{};                    ///< the source said so, or `ends_at` had passed on receipt
    /// The sender merges the firings of several sources into one, as Alertmanager and Grafana do: one voice, whose
    /// resolve ends whatever began before the end that it gives.
    bool merged{};
    std::uint64_t truncated{};  ///< alerts that the message left out beside this one (`truncatedAlerts` of a webhook)
    std::string generator_url{};
};

/// SHA-256 (hex) over the sorted labels, each name and each value as "LENGTH:BYTES", so that no two label sets collide
/// by concatenation.
[[nodiscard]] std::string fingerprint(const Labels& labels);
/// What an alert says of its severity: `alert.severity`, else what its word means, else what its `severity` label
/// means.
struct StatedSeverity {
    std::optional<Severity> severity;  ///< none: the alert says nothing
    std::string_view unknown_word;     ///< where the word means nothing known and so counts as P2; else empty
};
[[nodiscard]] StatedSeverity stated_severity(const Alert& alert, const SeverityWords& words);

}  // namespace fusebox::incidents
