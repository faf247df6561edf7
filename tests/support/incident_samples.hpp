// An incident and its notification as a store holds them, and the time at which both begin.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include <fusebox/incidents/incident.hpp>
#include <fusebox/incidents/json.hpp>
#include <fusebox/incidents/notification.hpp>
#include <fusebox/incidents/types.hpp>

namespace fusebox::test {

/// 2026-01-01T00:00:00Z; no test looks at the real calendar.
inline constexpr incidents::WallTime new_year{std::chrono::seconds{1'767'225'600}};

inline incidents::Incident sample_incident(std::string id, std::string fingerprint,
                                           incidents::WallTime created_at = new_year) {
    incidents::Incident incident;
    incident.id = std::move(id);
    incident.title = "The model server answers slowly";
    incident.severity = incidents::Severity::p1;
    incident.labels = {{"alertname", "SlowModel"}, {"team", "llm"}};
    incident.annotations = {{"summary", "p99 above 5 s"}};
    incident.source = "prometheus";
    incident.fingerprint = std::move(fingerprint);
    incident.created_at = created_at;
    incident.updated_at = created_at;
    incident.alert_starts_at = created_at - std::chrono::seconds{30};
    incident.alert_count = 1;
    incident.timeline = {
        {.at = created_at, .kind = "created", .actor = "alert:prometheus", .detail = "SlowModel fires"}};
    return incident;
}
inline incidents::Incident sample_incident(const std::string& id = "inc_1") {
    return sample_incident(id, "fingerprint of " + id);
}

/// Tells a destination of `about`.
inline incidents::NotificationDraft sample_draft(std::string id, const incidents::Incident& about,
                                                 std::string destination = "hook",
                                                 incidents::WallTime created_at = new_year) {
    return {.id = std::move(id),
            .incident_id = about.id,
            .destination = std::move(destination),
            .kind = "incident.triggered",
            .severity = about.severity,
            .payload = incidents::to_json(about),
            .created_at = created_at,
            .fallback_for = {}};
}
/// Tells a destination of `sample_incident(incident_id)`.
inline incidents::NotificationDraft sample_draft(std::string id = "msg_1", const std::string& incident_id = "inc_1",
                                                 std::string destination = "hook",
                                                 incidents::WallTime created_at = new_year) {
    return sample_draft(std::move(id), sample_incident(incident_id), std::move(destination), created_at);
}

inline incidents::Notification sample_notification(const std::string& id = "msg_1") {
    incidents::Notification notification;
    notification.draft = sample_draft(id);
    notification.sequence = 1;
    return notification;
}

}  // namespace fusebox::test
