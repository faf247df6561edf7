#include "event_log.hpp"

#include <fmt/format.h>

#include <fusebox/text/rfc3339.hpp>

#include "logging.hpp"

namespace fusebox::service {
namespace {

Level level_of(const notifications::DeliveryEvent& event) {
    using enum notifications::DeliveryEvent::Kind;
    switch (event.kind) {
        case delivered:
        case store_recovered:
            return Level::info;
        case deferred:
            return Level::debug;
        case retry:
            // What an operator must mend is told at the first refusal, not when the page is lost.
            return event.error && event.error->next_move == incidents::NextMove::retry_briefly ? Level::error
                                                                                               : Level::warning;
        case fallback:
            return Level::warning;
        case dead:
        case destination_disabled:
        case store_failing:
            return Level::error;
    }
    return Level::error;
}

void log_transition(const CircuitBreaker& breaker, const TransitionReport& report, const char* event) {
    const auto level = report.to == State::open || report.to == State::forced_open ? Level::warning : Level::info;
    log(level, event,
        {{"name", breaker.name()},
         {"from", to_string(report.from)},
         {"to", to_string(report.to)},
         {"reason", to_string(report.reason)},
         {"description", describe(report)},
         {"sequence", report.sequence},
         {"actor", report.actor},
         {"note", report.note}});
}

}  // namespace

void log_change(const incidents::Change& change) {
    const auto& incident = change.incident;
    const bool is_repeat = change.kind == incidents::ChangeKind::updated;
    log(is_repeat ? Level::debug : Level::info, "incident",
        {{"change", incidents::to_string(change.kind)},
         {"id", incident.id},
         {"state", incidents::to_string(incident.state)},
         {"severity", incidents::to_string(incident.severity)},
         {"actor", change.events.empty() ? "" : change.events.back().actor},
         {"title", incident.title}});
    for (const auto& event : change.events) {
        // An alert that expired was not reported resolved: the source may be dead.
        if (event.kind == "resolved" && event.actor == "system")
            log(Level::warning, "incident_expired", {{"id", incident.id}, {"reason", event.detail}});
        if (event.kind == "severity_unknown") {
            log(Level::warning, event.kind,
                {{"id", incident.id},
                 {"reason", event.detail},
                 {"mend", "give the word a meaning in [incidents.severity_map]"}});
        }
    }
}

void log_delivery(const notifications::DeliveryEvent& event) {
    const auto level = level_of(event);
    if (!log_enabled(level)) return;
    const std::string error_class = event.error ? event.error->error_class : "";
    const std::string message = event.error ? event.error->message : event.message;
    // Each kind of event has its own fields: a line has no field without a value.
    const auto name = fmt::format("delivery_{}", notifications::to_string(event.kind));
    if (event.notification_id.empty()) {
        log(level, name, {{"destination", event.destination}, {"reason", message}});
    } else if (event.kind == notifications::DeliveryEvent::Kind::delivered) {
        log(level, name,
            {{"destination", event.destination},
             {"notification", event.notification_id},
             {"incident", event.incident_id},
             {"type", event.notification_kind},
             {"attempt", event.attempt}});
    } else if (event.kind == notifications::DeliveryEvent::Kind::fallback) {
        log(level, name,
            {{"destination", event.destination},
             {"notification", event.notification_id},
             {"incident", event.incident_id},
             {"fallback", event.fallback_destination}});
    } else if (!event.next_attempt_at) {
        log(level, name,
            {{"destination", event.destination},
             {"notification", event.notification_id},
             {"incident", event.incident_id},
             {"attempt", event.attempt},
             {"class", error_class},
             {"reason", message}});
    } else {
        log(level, name,
            {{"destination", event.destination},
             {"notification", event.notification_id},
             {"incident", event.incident_id},
             {"attempt", event.attempt},
             {"class", error_class},
             {"reason", message},
             {"next_attempt", text::to_rfc3339(*event.next_attempt_at)}});
    }
}

void log_breaker_event(const CircuitBreaker& breaker, const BreakerEvent& event) {
    if (const auto* moved = std::get_if<StateTransitionEvent>(&event)) {
        log_transition(breaker, moved->report, "breaker_transition");
    } else if (const auto* would = std::get_if<WouldHaveTrippedEvent>(&event)) {
        log_transition(breaker, would->report, "breaker_would_have_tripped");
    } else if (const auto* changed = std::get_if<ConfigChangedEvent>(&event)) {
        log(Level::info, "breaker_reconfigured",
            {{"name", breaker.name()}, {"version", changed->config_version}, {"actor", changed->actor}});
    }
}

void log_registry_event(const RegistryEvent& event) {
    if (const auto* conflict = std::get_if<ConfigConflictEvent>(&event)) {
        log(Level::warning, "breaker_config_conflict", {{"name", conflict->name}, {"detail", conflict->detail}});
    } else if (const auto* back = std::get_if<BreakerRestoredEvent>(&event)) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(back->restored.time_left);
        log(Level::info, "breaker_restored",
            {{"name", back->breaker->name()},
             {"saved", to_string(back->restored.saved)},
             {"state", to_string(back->restored.state)},
             {"ms_left", left.count()}});
    } else if (const auto* unread = std::get_if<StateLoadFailedEvent>(&event)) {
        log(Level::error, "breaker_state_load_failed", {{"reason", unread->message}});
    } else if (const auto* unsaved = std::get_if<StateSaveFailedEvent>(&event)) {
        log(Level::error, "breaker_state_save_failed", {{"reason", unsaved->message}});
    } else if (std::holds_alternative<StateSaveRecoveredEvent>(event)) {
        log(Level::info, "breaker_state_saved_again");
    }
}

}  // namespace fusebox::service
