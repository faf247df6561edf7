// A notification to send, as a store would hand it out.
#pragma once

#include <chrono>
#include <string>

#include <fusebox/incidents/json.hpp>
#include <fusebox/incidents/notification.hpp>

namespace fusebox::test {

inline const incidents::WallTime sample_time{std::chrono::sys_days{std::chrono::year{2026} / 1 / 2} +
                                             std::chrono::hours{3}};

inline incidents::Incident sample_incident(const std::string& id = "inc_1") {
    incidents::Incident incident;
    incident.id = id;
    incident.title = "disk is full";
    incident.severity = incidents::Severity::p1;
    incident.labels = {{"alertname", "DiskFull"}, {"host", "db-1"}};
    incident.annotations = {{"description", "no space left on /var"}};
    incident.source = "test";
    incident.fingerprint = "fp-" + id;
    incident.created_at = incident.updated_at = incident.alert_starts_at = sample_time;
    incident.timeline = {{.at = sample_time, .kind = "created", .actor = "alert:test", .detail = "fires"}};
    return incident;
}

inline incidents::NotificationDraft sample_draft(const std::string& id = "msg_1",
                                                 const incidents::Incident& about = sample_incident()) {
    incidents::NotificationDraft draft;
    draft.id = id;
    draft.incident_id = about.id;
    draft.destination = "ops-hook";
    draft.kind = "incident.triggered";
    draft.severity = about.severity;
    draft.payload = incidents::to_json(about);
    draft.created_at = sample_time;
    return draft;
}

inline incidents::Notification sample_notification(const std::string& id = "msg_1") {
    incidents::Notification notification;
    notification.draft = sample_draft(id);
    notification.sequence = 1;
    return notification;
}

}  // namespace fusebox::test
