#include "service_metrics.hpp"

#include <string>
#include <utility>

namespace fusebox::service {
namespace {

using Kind = MetricFamily::Kind;

MetricFamily family(const char* name, const char* help, Kind kind) {
    return {.name = std::string{"llm_incident_manager_"} + name, .help = help, .kind = kind, .samples = {}};
}

void add(MetricFamily& to, std::vector<std::pair<std::string, std::string>> labels, std::uint64_t value) {
    to.samples.push_back({.labels = std::move(labels), .value = static_cast<double>(value)});
}

void add_intake(std::vector<MetricFamily>& families, const IntakeCounters& intake) {
    auto alerts = family("alerts_received_total", "Alerts that were stored, by input.", Kind::counter);
    auto refused = family("alert_requests_refused_total",
                          "Requests with alerts that were refused as bad input, by input.", Kind::counter);
    auto failed = family("alert_requests_failed_total", "Requests with alerts that the store could not take, by input.",
                         Kind::counter);
    for (const auto& [name, input] :
         {std::pair<const char*, const IntakeCounters::Input&>{"alertmanager", intake.alertmanager},
          {"webhook", intake.webhook},
          {"native", intake.native}}) {
        add(alerts, {{"input", name}}, input.accepted);
        add(refused, {{"input", name}}, input.refused);
        add(failed, {{"input", name}}, input.failed);
    }
    families.push_back(std::move(alerts));
    families.push_back(std::move(refused));
    families.push_back(std::move(failed));
}

void add_incident_changes(std::vector<MetricFamily>& families, const ServiceCounters& counters) {
    auto changes = family("incident_changes_total", "Stored changes of incidents, by what happened.", Kind::counter);
    for (std::size_t i = 1; i < counters.incident_changes.size(); ++i) {  // 0 is none
        add(changes, {{"change", std::string{to_string(static_cast<incidents::ChangeKind>(i))}}},
            counters.incident_changes[i]);
    }
    families.push_back(std::move(changes));
}

void add_incidents(std::vector<MetricFamily>& families, incidents::IncidentStore& store) {
    auto counts = store.incident_counts(request_context());
    if (!counts) return;
    auto states = family("incidents", "Incidents in the store, by state.", Kind::gauge);
    for (const auto state : {incidents::IncidentState::detected, incidents::IncidentState::triaged,
                             incidents::IncidentState::investigating, incidents::IncidentState::remediating,
                             incidents::IncidentState::resolved, incidents::IncidentState::closed}) {
        add(states, {{"state", std::string{to_string(state)}}}, (*counts)[state]);
    }
    families.push_back(std::move(states));
}

void add_notifications(std::vector<MetricFamily>& families, incidents::Outbox& outbox) {
    const auto counts = outbox.counts(request_context());
    if (!counts) return;
    auto rows = family("notifications", "Notifications in the outbox, by destination and state.", Kind::gauge);
    for (const auto& [destination, states] : *counts) {
        for (const auto& [state, count] : states) {
            add(rows, {{"destination", destination}, {"state", std::string{to_string(state)}}}, count);
        }
    }
    families.push_back(std::move(rows));
}

void add_deliveries(std::vector<MetricFamily>& families, const notifications::Dispatcher& dispatcher) {
    auto outcomes =
        family("deliveries_total", "What became of deliveries that were begun, by destination.", Kind::counter);
    auto fallbacks =
        family("delivery_fallbacks_total", "Notifications that were handed to the fallback as well.", Kind::counter);
    auto in_flight = family("deliveries_in_flight", "Sends under way now, by destination.", Kind::gauge);
    auto disabled =
        family("destination_disabled", "1 where the destination has said that it wants no more (410).", Kind::gauge);
    for (const auto& [name, stats] : dispatcher.stats()) {
        for (const auto& [outcome, count] : {std::pair<const char*, std::uint64_t>{"delivered", stats.delivered},
                                             {"retried", stats.retries},
                                             {"deferred", stats.deferrals},
                                             {"dead", stats.dead},
                                             {"lost_lease", stats.lost_leases}}) {
            add(outcomes, {{"destination", name}, {"outcome", outcome}}, count);
        }
        add(fallbacks, {{"destination", name}}, stats.fallbacks);
        add(in_flight, {{"destination", name}}, stats.in_flight);
        add(disabled, {{"destination", name}}, stats.disabled ? 1 : 0);
    }
    families.push_back(std::move(outcomes));
    families.push_back(std::move(fallbacks));
    families.push_back(std::move(in_flight));
    families.push_back(std::move(disabled));
}

void add_service(std::vector<MetricFamily>& families, const ServiceCounters& counters) {
    auto responses = family("http_responses_total", "Answered HTTP requests, by class of status.", Kind::counter);
    for (std::size_t i = 2; i < counters.http_responses.size(); ++i) {
        add(responses, {{"code", std::to_string(i) + "xx"}}, counters.http_responses[i]);
    }
    families.push_back(std::move(responses));
    auto reloads =
        family("configuration_reloads_total", "Reloads of the configuration (SIGHUP), by result.", Kind::counter);
    add(reloads, {{"result", "applied"}}, counters.reloads);
    add(reloads, {{"result", "refused"}}, counters.failed_reloads);
    families.push_back(std::move(reloads));
    auto build = family("build_info", "1; its label says which version runs.", Kind::gauge);
    add(build, {{"version", FUSEBOX_VERSION}}, 1);
    families.push_back(std::move(build));
}

}  // namespace

std::vector<MetricFamily> service_metrics(const ServiceCounters& counters, storage::Store& store,
                                          const notifications::Dispatcher& dispatcher) {
    std::vector<MetricFamily> families;
    add_intake(families, counters.intake);
    add_incident_changes(families, counters);
    add_incidents(families, store);
    add_notifications(families, store);
    add_deliveries(families, dispatcher);
    add_service(families, counters);
    return families;
}

}  // namespace fusebox::service
