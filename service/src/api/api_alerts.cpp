// The routes that take alerts, in their three forms.
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/rfc3339.hpp>

#include "api/alert_json.hpp"
#include "api/api.hpp"
#include "logging.hpp"

namespace fusebox::service {
namespace {

using incidents::Alert;
using incidents::ChangeKind;
using incidents::IntakeResult;
using middleware::Request;
using middleware::Response;

const char* status_of(ChangeKind change) {
    switch (change) {
        case ChangeKind::created:
            return "created";
        case ChangeKind::resolved:
            return "resolved";
        case ChangeKind::none:
            return "unchanged";
        default:
            return "updated";
    }
}

nlohmann::ordered_json result_json(const IntakeResult& result) {
    return {{"incident_id",
             result.incident_id.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(result.incident_id)},
            {"status", status_of(result.change)},
            {"degraded", false}};
}

std::expected<std::vector<IntakeResult>, Response> store(const ApiContext& context, IntakeCounters::Input& counters,
                                                         std::span<const Alert> alerts) {
    if (alerts.empty()) return {};
    auto results = context.incident_service.ingest(alerts, request_context());
    if (!results) {
        counters.failed.Increment();
        return std::unexpected(store_problem(results.error()));
    }
    counters.accepted.Increment(static_cast<double>(alerts.size()));
    return std::move(*results);
}

/// What a body says of alerts that do not become incidents: counted, and in the log where nobody else tells of it.
void tell_of(const AlertBatch& batch, const Request& request, IntakeCounters& counters) {
    for (std::size_t i = 0; i < batch.rejected.size(); ++i) {
        if (batch.rejected.at(i) > 0) counters.rejected.at(i)->Increment(static_cast<double>(batch.rejected.at(i)));
    }
    if (batch.truncated > 0) {
        counters.truncated->Increment(static_cast<double>(batch.truncated));
        log(Level::warning, "alerts_truncated", {{"left_out", batch.truncated}, {"peer", request.remote_address}});
    }
}

/// Whoever sends by a clock that is behind ours by more than an alert's lifetime sends ends only: nobody is paged, and
/// nobody would know why.
void tell_of_unknown_ends(std::span<const Alert> alerts, std::span<const IntakeResult> results,
                          const Request& request) {
    const Alert* first = nullptr;
    std::size_t count = 0;
    for (std::size_t i = 0; i < alerts.size(); ++i) {
        if (!results[i].incident_id.empty()) continue;
        ++count;
        if (!first) first = &alerts[i];
    }
    if (!first) return;
    log(Level::warning, "alerts_over_unheard",
        {{"alerts", count},
         {"first", first->title},
         {"ended_at", first->ends_at ? text::to_rfc3339(*first->ends_at) : "not said"},
         {"peer", request.remote_address},
         {"why", "they ended before any message that they fire: such a message was lost, or a clock is wrong"}});
}

void count_refused(const middleware::Problem& problem, IntakeCounters& counters) {
    const auto reason = problem.errors.empty() ? RejectReason::shape : reason_of(problem.errors.front().field);
    counters.rejected.at(static_cast<std::size_t>(reason))->Increment();
}

/// Guards, parses, stores what is valid; `answer` makes the body of the 200 where all were.
/// `is_one`: a body is one alert, so that a body which is refused is an alert that is.
template <class Parse, class Answer>
middleware::Handler intake(const ApiContext& context, IntakeCounters::Input& counters, Parse parse, Answer answer,
                           bool is_one = false) {
    return [context, &counters, parse, answer, is_one](const Request& request) -> Response {
        if (auto refusal = middleware::check_json_body(request)) {
            counters.refused.Increment();
            return std::move(*refusal);
        }
        Parsed<AlertBatch> batch = parse(request.body, context.now());
        if (!batch) {
            counters.refused.Increment();
            if (is_one) count_refused(batch.error(), context.counters);
            return middleware::problem_response(batch.error());
        }
        tell_of(*batch, request, context.counters);
        const auto results = store(context, counters, batch->alerts);
        if (!results) return results.error();
        tell_of_unknown_ends(batch->alerts, *results, request);
        if (!batch->errors.empty()) {
            counters.refused.Increment();
            return middleware::problem_response(rejection_problem(std::move(*batch)));
        }
        return answer(*results);
    };
}

/// One alert is a batch of one, whose mistakes are those of the body.
Parsed<AlertBatch> parse_one(std::string_view body, incidents::WallTime now) {
    auto alert = parse_native_alert(body, now);
    if (!alert) return std::unexpected(std::move(alert.error()));
    AlertBatch batch;
    batch.alerts.push_back(std::move(*alert));
    return batch;
}

}  // namespace

void add_alert_routes(middleware::Router& router, const ApiContext& context) {
    auto& counters = context.counters;
    router.add(
        "POST", "/api/v2/alerts",
        intake(context, counters.alertmanager, parse_alertmanager_alerts, [](const auto&) { return Response{}; }));
    router.add("POST", "/v1/webhooks/alertmanager",
               intake(context, counters.webhook, parse_alertmanager_webhook, [](const auto& results) {
                   auto list = nlohmann::ordered_json::array();
                   for (const auto& result : results) list.push_back(result_json(result));
                   return middleware::json_response(nlohmann::ordered_json{{"results", std::move(list)}}.dump());
               }));
    router.add(
        "POST", "/v1/alerts",
        intake(
            context, counters.native, parse_one,
            [](const auto& results) { return middleware::json_response(result_json(results.front()).dump()); }, true));
}

}  // namespace fusebox::service
