#include "service_metrics.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <prometheus/gauge.h>

#include <fusebox/registry/prometheus.hpp>

#include "logging.hpp"

namespace fusebox::service {
namespace {

using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;

std::string full(const char* name) { return std::string{"llm_incident_manager_"} + name; }

Family<Counter>& counters(prometheus::Registry& registry, const char* name, const char* help) {
    return prometheus::BuildCounter().Name(full(name)).Help(help).Register(registry);
}

Family<Gauge>& gauges(prometheus::Registry& registry, const char* name, const char* help) {
    return prometheus::BuildGauge().Name(full(name)).Help(help).Register(registry);
}

IntakeCounters add_intake(prometheus::Registry& registry) {
    auto& alerts = counters(registry, "alerts_received_total", "Alerts that were stored, by input.");
    auto& refused = counters(registry, "alert_requests_refused_total",
                             "Requests with alerts that were refused as bad input, by input.");
    auto& failed = counters(registry, "alert_requests_failed_total",
                            "Requests with alerts that the store could not take, by input.");
    const auto input = [&](const char* name) {
        const prometheus::Labels labels{{"input", name}};
        return IntakeCounters::Input{
            .accepted = alerts.Add(labels), .refused = refused.Add(labels), .failed = failed.Add(labels)};
    };
    IntakeCounters all{.alertmanager = input("alertmanager"), .webhook = input("webhook"), .native = input("native")};
    auto& rejected = prometheus::BuildCounter()
                         .Name("incidentd_alerts_rejected_total")
                         .Help("Alerts that were refused, by reason; the others of their request are stored.")
                         .Register(registry);
    for (std::size_t i = 0; i < all.rejected.size(); ++i) {
        all.rejected.at(i) = &rejected.Add({{"reason", std::string{to_string(static_cast<RejectReason>(i))}}});
    }
    all.truncated = &prometheus::BuildCounter()
                         .Name("incidentd_alerts_truncated_total")
                         .Help("Alerts that webhooks left out of their messages (truncatedAlerts).")
                         .Register(registry)
                         .Add({});
    return all;
}

void add_incidents(prometheus::Registry& registry, incidents::IncidentStore& store) {
    auto counts = store.incident_counts(reading_context());
    if (!counts) return;
    auto& states = gauges(registry, "incidents", "Incidents in the store, by state.");
    for (const auto state : {incidents::IncidentState::detected, incidents::IncidentState::triaged,
                             incidents::IncidentState::investigating, incidents::IncidentState::remediating,
                             incidents::IncidentState::resolved, incidents::IncidentState::closed}) {
        states.Add({{"state", std::string{to_string(state)}}}).Set(static_cast<double>((*counts)[state]));
    }
}

void add_notifications(prometheus::Registry& registry, incidents::Outbox& outbox) {
    const auto counts = outbox.counts(reading_context());
    if (!counts) return;
    auto& rows = gauges(registry, "notifications", "Notifications in the outbox, by destination and state.");
    for (const auto& [destination, states] : *counts) {
        for (const auto& [state, count] : states) {
            rows.Add({{"destination", destination}, {"state", std::string{to_string(state)}}})
                .Set(static_cast<double>(count));
        }
    }
}

void add_deliveries(prometheus::Registry& registry, const notifications::Dispatcher& dispatcher) {
    auto& outcomes =
        counters(registry, "deliveries_total", "What became of deliveries that were begun, by destination.");
    auto& fallbacks =
        counters(registry, "delivery_fallbacks_total", "Notifications that were handed to the fallback as well.");
    auto& in_flight = gauges(registry, "deliveries_in_flight", "Sends under way now, by destination.");
    auto& disabled =
        gauges(registry, "destination_disabled", "1 where the destination has said that it wants no more (410).");
    for (const auto& [name, stats] : dispatcher.stats()) {
        for (const auto& [outcome, count] : {std::pair<const char*, std::uint64_t>{"delivered", stats.delivered},
                                             {"retried", stats.retries},
                                             {"deferred", stats.deferrals},
                                             {"dead", stats.dead},
                                             {"lost_lease", stats.lost_leases}}) {
            outcomes.Add({{"destination", name}, {"outcome", outcome}}).Increment(static_cast<double>(count));
        }
        fallbacks.Add({{"destination", name}}).Increment(static_cast<double>(stats.fallbacks));
        in_flight.Add({{"destination", name}}).Set(static_cast<double>(stats.in_flight));
        disabled.Add({{"destination", name}}).Set(stats.disabled ? 1 : 0);
    }
}

}  // namespace

ServiceMetrics::ServiceMetrics() : intake_(add_intake(own_)) {
    auto& changes = counters(own_, "incident_changes_total", "Stored changes of incidents, by what happened.");
    for (std::size_t i = 2; i < changes_.size(); ++i) {  // 0 is none, 1 repeated: neither is a change
        changes_[i] = &changes.Add({{"change", std::string{to_string(static_cast<incidents::ChangeKind>(i))}}});
    }
    unknown_severities_ = &prometheus::BuildCounter()
                               .Name("incidentd_alerts_unknown_severity_total")
                               .Help("Incidents that began with a severity that means nothing known, and so are P2.")
                               .Register(own_)
                               .Add({});
    auto& responses = counters(own_, "http_responses_total", "Answered HTTP requests, by class of status.");
    for (std::size_t i = 2; i < responses_.size(); ++i) {
        responses_[i] = &responses.Add({{"code", std::to_string(i) + "xx"}});
    }
    auto& reloads = counters(own_, "configuration_reloads_total", "Reloads of the configuration (SIGHUP), by result.");
    reloads_applied_ = &reloads.Add({{"result", "applied"}});
    reloads_refused_ = &reloads.Add({{"result", "refused"}});
    upkeep_done_ =
        &counters(own_, "upkeep_total", "What upkeep has dealt with, by job: rows stored, ended or deleted.");
    upkeep_failures_ =
        &counters(own_, "upkeep_failures_total", "Runs of upkeep that failed and are tried again, by job.");
    gauges(own_, "build_info", "1; its label says which version runs.").Add({{"version", FUSEBOX_VERSION}}).Set(1);
}

void ServiceMetrics::count_change(const incidents::Change& change) {
    if (auto* const counter = changes_[static_cast<std::size_t>(change.kind)]) counter->Increment();
    if (std::ranges::find(change.events, "severity_unknown", &incidents::TimelineEvent::kind) != change.events.end()) {
        unknown_severities_->Increment();
    }
}

void ServiceMetrics::count_response(int status) {
    const auto status_class = static_cast<std::size_t>(status / 100);
    if (status_class >= responses_.size()) return;
    if (auto* const counter = responses_[status_class]) counter->Increment();
}

void ServiceMetrics::count_reload(bool applied) { (applied ? reloads_applied_ : reloads_refused_)->Increment(); }

void ServiceMetrics::count_upkeep(const std::string& job, std::uint64_t done) {
    upkeep_done_->Add({{"job", job}}).Increment(static_cast<double>(done));
    upkeep_failures_->Add({{"job", job}});  // 0 is shown, so that an alert on its growth finds a first value
}

void ServiceMetrics::count_upkeep_failure(const std::string& job) {
    upkeep_done_->Add({{"job", job}});
    upkeep_failures_->Add({{"job", job}}).Increment();
}

std::string ServiceMetrics::text(const Registry& breakers, storage::Store& store,
                                 const notifications::Dispatcher& dispatcher) const {
    // What others count is read for this scrape alone: a destination or a state that is gone leaves no series behind.
    prometheus::Registry now;
    add_incidents(now, store);
    add_notifications(now, store);
    add_deliveries(now, dispatcher);
    counters(now, "log_lines_dropped_total", "Lines of the log that found no room, because nobody read them in time.")
        .Add({})
        .Increment(static_cast<double>(dropped_log_lines()));

    auto families = RegistryCollectable{breakers}.Collect();
    std::ranges::move(own_.Collect(), std::back_inserter(families));
    std::ranges::move(now.Collect(), std::back_inserter(families));
    return prometheus_text(families);
}

}  // namespace fusebox::service
