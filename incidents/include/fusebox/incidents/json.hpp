// The one JSON shape of an incident, as the API answers it, webhooks carry it and stores keep it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include <fusebox/incidents/incident.hpp>
#include <fusebox/incidents/notification.hpp>

namespace fusebox::incidents {

/// {"id", "title", "state", "severity", "labels", "annotations", "source", "fingerprint", "created_at", "updated_at",
///  "alert_starts_at", "resolved_at", "last_seen", "alert_count",
///  "firings": [{"starts_at","first_seen","ends_at","ended_at","reported_end","lifetime_seconds","dismissed"}],
///  "dismissed_until", "version", "notified": ["destination"],
///  "timeline": [{"at","kind","actor","detail"}]}
[[nodiscard]] std::string to_json(const Incident& incident);
/// The inverse; the error names the field.
[[nodiscard]] std::expected<Incident, std::string> incident_from_json(std::string_view text);
/// {"id", "incident_id", "destination", "kind", "state", "created_at", "next_attempt_at", "attempts": n,
///  "deferrals": n, "last_error": {"class","message","status"}|null, "delivered_at", "attempt_log": [...]}
[[nodiscard]] std::string to_json(const Notification& notification);

}  // namespace fusebox::incidents
