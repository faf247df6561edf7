#include "api/operator_body.hpp"

#include <fmt/format.h>

#include <fusebox/incidents/incident.hpp>
#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/printable.hpp>

#include "api/object_reader.hpp"

namespace fusebox::service {
namespace {

constexpr std::size_t longest_actor = 256;

}  // namespace

std::expected<OperatorBody, middleware::Response> read_operator_body(const middleware::Request& request,
                                                                     NoteRule rule) {
    const bool note_required = rule == NoteRule::required;
    if (auto refusal = middleware::check_json_body(request, !note_required))
        return std::unexpected(std::move(*refusal));
    OperatorBody result;
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
    result.actor = reader.text("actor", {.longest = longest_actor}).value_or("");
    if (text::printable(result.actor) != result.actor)
        reader.error("actor", "must not hold characters that steer a terminal or the direction of text");
    result.note =
        reader
            .text("note",
                  {.longest = incidents::max_note_bytes, .may_be_empty = !note_required, .required = note_required})
            .value_or("");
    if (!errors.empty()) return std::unexpected(middleware::problem_response(field_problem(std::move(errors))));
    return result;
}

}  // namespace fusebox::service
