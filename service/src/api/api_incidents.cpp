// Incidents: lists, one, and what an operator does with it.
#include <algorithm>

#include <fmt/format.h>

#include <fusebox/incidents/json.hpp>
#include <fusebox/middleware/problem.hpp>

#include "api/api.hpp"
#include "api/operator_body.hpp"

namespace fusebox::service {
namespace {

using incidents::Incident;
using middleware::Request;
using middleware::Response;

constexpr std::string_view label_prefix = "label.";

template <class T, class Convert>
std::vector<T> convert_all(QueryReader& query, const char* name, Convert convert, const char* expected) {
    std::vector<T> values;
    for (const auto& word : query.list(name)) {
        if (const auto value = convert(word)) {
            values.push_back(*value);
        } else {
            query.error(name, fmt::format("must be {}", expected));
        }
    }
    return values;
}

Response list_incidents(const ApiContext& context, const Request& request) {
    QueryReader query{request};
    incidents::IncidentQuery wanted;
    wanted.states = convert_all<incidents::IncidentState>(
        query, "state", [](const auto& word) { return incidents::incident_state_from_string(word); },
        "detected, triaged, investigating, remediating, resolved or closed");
    wanted.severities = convert_all<incidents::Severity>(
        query, "severity", [](const auto& word) { return incidents::severity_from_string(word); }, "P0 to P4");
    wanted.text = query.text("q");
    wanted.limit = query.limit();
    wanted.cursor = query.text("cursor");
    const auto is_label = [](std::string_view key) {
        return key.size() > label_prefix.size() && key.starts_with(label_prefix);
    };
    for (const auto& [key, value] : request.query) {
        if (is_label(key) && !wanted.labels.emplace(key.substr(label_prefix.size()), value).second) {
            query.error(key, "is given twice");
        }
    }
    if (auto refusal = query.finish(is_label)) return std::move(*refusal);

    auto page = context.store.list(wanted, reading_context());
    if (!page) return store_problem(page.error());
    std::vector<std::string> items;
    for (auto& incident : page->items) {
        context.incident_service.add_sightings(incident);
        items.push_back(incidents::to_json(incident));
    }
    return page_response("incidents", items, page->next_cursor);
}

Response answer(const std::expected<Incident, incidents::ChangeError>& changed) {
    if (changed) return middleware::json_response(incidents::to_json(*changed));
    if (const auto* refused = std::get_if<incidents::TransitionRefused>(&changed.error())) {
        return middleware::problem_response(409, refused->message);
    }
    return store_problem(std::get<incidents::StoreError>(changed.error()));
}

using Operation = std::expected<Incident, incidents::ChangeError> (incidents::IncidentService::*)(
    std::string_view, std::string_view, std::string_view, const incidents::RequestContext&);

middleware::Handler operate(const ApiContext& context, Operation operation, NoteRule note = NoteRule::optional) {
    return [context, operation, note](const Request& request) {
        const auto body = read_operator_body(request, note);
        if (!body) return body.error();
        const auto actor = context.name_actor(request, body->actor);
        return answer(
            (context.incident_service.*operation)(request.path_parameter("id"), actor, body->note, request_context()));
    };
}

}  // namespace

void add_incident_routes(middleware::Router& router, const ApiContext& context) {
    using incidents::IncidentService;
    router.add("GET", "/v1/incidents", [context](const Request& request) { return list_incidents(context, request); });
    router.add("GET", "/v1/incidents/{id}", [context](const Request& request) {
        auto incident = context.store.get(request.path_parameter("id"), reading_context());
        if (!incident) return store_problem(incident.error());
        context.incident_service.add_sightings(*incident);
        return middleware::json_response(incidents::to_json(*incident));
    });
    const auto change = [&](const char* what, Operation operation) {
        router.add("POST", fmt::format("/v1/incidents/{{id}}/{}", what), operate(context, operation));
    };
    change("acknowledge", &IncidentService::acknowledge);
    change("unacknowledge", &IncidentService::unacknowledge);
    change("investigate", &IncidentService::investigate);
    change("remediate", &IncidentService::remediate);
    change("resolve", &IncidentService::resolve);
    change("reopen", &IncidentService::reopen);
    change("close", &IncidentService::close);
    router.add("POST", "/v1/incidents/{id}/notes", operate(context, &IncidentService::add_note, NoteRule::required));
}

}  // namespace fusebox::service
