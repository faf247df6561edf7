// Notifications: where each message stands, and a second chance for the dead ones.
#include <algorithm>

#include <fusebox/incidents/json.hpp>
#include <fusebox/middleware/problem.hpp>

#include "api/api.hpp"
#include "api/operator_body.hpp"
#include "logging.hpp"

namespace fusebox::service {
namespace {

using middleware::Request;
using middleware::Response;

/// The notification as stored, except that a destination which the dispatcher holds back delays the next attempt.
std::string shown(const ApiContext& context, incidents::Notification notification) {
    if (notification.state == incidents::NotificationState::pending) {
        const auto not_before = context.dispatcher.not_before(notification.draft.destination);
        if (not_before) notification.next_attempt_at = std::max(notification.next_attempt_at, *not_before);
    }
    return incidents::to_json(notification);
}

Response list(const ApiContext& context, const incidents::NotificationQuery& query) {
    const auto page = context.outbox.list_notifications(query, reading_context());
    if (!page) return store_problem(page.error());
    std::vector<std::string> items;
    for (const auto& notification : page->items) items.push_back(shown(context, notification));
    return page_response("notifications", items, page->next_cursor);
}

Response list_all(const ApiContext& context, const Request& request) {
    QueryReader query{request};
    incidents::NotificationQuery wanted;
    if (const auto state = query.text("state"); !state.empty()) {
        wanted.state = incidents::notification_state_from_string(state);
        if (!wanted.state) query.error("state", "must be pending, leased, delivered or dead");
    }
    wanted.destination = query.text("destination");
    wanted.limit = query.limit();
    wanted.cursor = query.text("cursor");
    if (auto refusal = query.finish()) return std::move(*refusal);
    return list(context, wanted);
}

Response list_of_incident(const ApiContext& context, const Request& request) {
    QueryReader query{request};
    incidents::NotificationQuery wanted;
    wanted.incident_id = request.path_parameter("id");
    wanted.limit = query.limit();
    wanted.cursor = query.text("cursor");
    if (auto refusal = query.finish()) return std::move(*refusal);
    if (const auto incident = context.store.get(wanted.incident_id, reading_context()); !incident) {
        return store_problem(incident.error());
    }
    return list(context, wanted);
}

Response replay(const ApiContext& context, const Request& request) {
    const auto body = read_operator_body(request, NoteRule::optional);
    if (!body) return body.error();
    const auto replayed = context.outbox.replay(request.path_parameter("id"), context.now(), request_context());
    if (!replayed) {
        if (replayed.error().kind == incidents::StoreError::Kind::invalid) {
            return middleware::problem_response(409, replayed.error().message);
        }
        return store_problem(replayed.error());
    }
    log(Level::info, "notification_replayed",
        {{"id", replayed->draft.id},
         {"destination", replayed->draft.destination},
         {"actor", context.name_actor(request, body->actor)},
         {"note", body->note}});
    context.dispatcher.notify(replayed->draft.destination);
    return middleware::json_response(shown(context, *replayed));
}

}  // namespace

void add_notification_routes(middleware::Router& router, const ApiContext& context) {
    router.add("GET", "/v1/notifications", [context](const Request& request) { return list_all(context, request); });
    router.add("GET", "/v1/incidents/{id}/notifications",
               [context](const Request& request) { return list_of_incident(context, request); });
    router.add("POST", "/v1/notifications/{id}/replay",
               [context](const Request& request) { return replay(context, request); });
}

}  // namespace fusebox::service
