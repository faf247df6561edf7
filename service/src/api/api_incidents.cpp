// Incidents: lists, one, and what an operator does with it.
#include <algorithm>

#include <fmt/format.h>

#include <fusebox/incidents/json.hpp>
#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>

#include "api/api.hpp"
#include "api/object_reader.hpp"

namespace fusebox::service {
namespace {

using incidents::Incident;
using middleware::Request;
using middleware::Response;

constexpr std::size_t longest_actor = 256;
constexpr std::size_t longest_note = 16384;
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

    const auto page = context.store.list(wanted, request_context());
    if (!page) return store_problem(page.error());
    std::vector<std::string> items;
    for (const auto& incident : page->items) items.push_back(incidents::to_json(incident));
    return page_response("incidents", items, page->next_cursor);
}

struct Operator {
    std::string actor{"api"};
    std::string note;
};

std::expected<Operator, Response> read_operator(const Request& request, bool note_required) {
    if (auto refusal = middleware::check_json_body(request, !note_required))
        return std::unexpected(std::move(*refusal));
    Operator result;
    if (request.body.empty()) return result;
    const auto json = parse_json(request.body);
    if (!json) return std::unexpected(middleware::problem_response(json.error()));
    FieldErrors errors;
    if (!json->is_object()) {
        errors.push_back({"", fmt::format("must be an object, not {}", json->type_name())});
        return std::unexpected(middleware::problem_response(field_problem(std::move(errors))));
    }
    ObjectReader reader{*json, "", errors};
    reader.refuse_fields_but({"actor", "note"});
    if (auto actor = reader.text("actor", {.longest = longest_actor}); actor && !actor->empty()) result.actor = *actor;
    const TextRule note_rule{.longest = longest_note, .may_be_empty = !note_required, .required = note_required};
    result.note = reader.text("note", note_rule).value_or("");
    if (!errors.empty()) return std::unexpected(middleware::problem_response(field_problem(std::move(errors))));
    return result;
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

middleware::Handler operate(const ApiContext& context, Operation operation, bool note_required) {
    return [context, operation, note_required](const Request& request) {
        const auto who = read_operator(request, note_required);
        if (!who) return who.error();
        return answer((context.incident_service.*operation)(request.path_parameter("id"), who->actor, who->note,
                                                            request_context()));
    };
}

}  // namespace

void add_incident_routes(middleware::Router& router, const ApiContext& context) {
    using incidents::IncidentService;
    router.add("GET", "/v1/incidents", [context](const Request& request) { return list_incidents(context, request); });
    router.add("GET", "/v1/incidents/{id}", [context](const Request& request) {
        const auto incident = context.store.get(request.path_parameter("id"), request_context());
        return incident ? middleware::json_response(incidents::to_json(*incident)) : store_problem(incident.error());
    });
    router.add("POST", "/v1/incidents/{id}/acknowledge", operate(context, &IncidentService::acknowledge, false));
    router.add("POST", "/v1/incidents/{id}/resolve", operate(context, &IncidentService::resolve, false));
    router.add("POST", "/v1/incidents/{id}/notes", operate(context, &IncidentService::add_note, true));
}

}  // namespace fusebox::service
