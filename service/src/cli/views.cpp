#include "cli/views.hpp"

#include <utility>

#include <fmt/format.h>

#include <fusebox/text/printable.hpp>
#include <fusebox/text/utf8.hpp>

#include "cli/table.hpp"

namespace fusebox::service::cli {
namespace {

using nlohmann::json;

std::string text(const json& object, const char* field) { return object.at(field).get<std::string>(); }

std::string text_or(const json& object, const char* field, const char* otherwise) {
    const auto& value = object.at(field);
    return value.is_null() ? otherwise : value.get<std::string>();
}

Cell state_cell(std::string state) {
    const auto colour = colour_of_state(state);
    return {.text = std::move(state), .colour = colour};
}

Colour colour_of_severity(std::string_view severity) {
    return severity == "P0" ? Colour::red : severity == "P1" ? Colour::yellow : Colour::none;
}

std::string percent(const json& object, const char* field) {
    return fmt::format("{:.0f} %", object.at(field).get<double>() * 100);
}

std::string retry_after(const json& breaker) {
    const auto& seconds = breaker.at("retry_after_seconds");
    return seconds.is_null() ? "-" : for_people(seconds.get<double>());
}

std::string why(const json& breaker) {
    const auto& report = breaker.at("last_report");
    return report.is_null() ? "-" : text(report, "description");
}

std::string duration(const json& object, const char* field) { return for_people(object.at(field).get<double>()); }

// Gives "2s before: slow timeout after 10s: no answer (trace 0af7)".
std::string outcome_words(const json& outcome) {
    auto words = fmt::format("{} before: {}{} after {}", duration(outcome, "age_seconds"),
                             outcome.at("slow").get<bool>() ? "slow " : "", text(outcome, "outcome"),
                             duration(outcome, "duration_seconds"));
    if (!outcome.at("message").is_null()) words += ": " + text(outcome, "message");
    if (!outcome.at("trace_id").is_null()) words += fmt::format(" (trace {})", text(outcome, "trace_id"));
    return words;
}

/// `filters`: the options that narrow the list down.
std::string more(const json& page, const char* filters) {
    return page.at("next_cursor").is_null()
               ? ""
               : fmt::format("There are more: {} narrow the list down, --limit shows up to 500.\n", filters);
}

/// One long title must not push the table off the screen.
std::string title_in_list(const json& incident) {
    constexpr std::size_t most = 100;
    const auto title = text(incident, "title");
    return title.size() <= most ? title : std::string{text::cut(title, most)} + "…";
}

/// What the alert itself says by now, which need not be what people made of the incident.
std::string alert_words(const json& incident) {
    const auto state = text(incident, "state");
    const bool ended = state == "resolved" || state == "closed";
    for (const auto& firing : incident.at("firings")) {
        if (!firing.at("ended_at").is_null()) continue;
        const auto words = "fires since " + text(firing, "starts_at");
        if (ended) return words + ", not reported resolved; the incident opens again when it starts anew, or by reopen";
        return firing.at("ends_at").is_null() ? words : fmt::format("{}, expires {}", words, text(firing, "ends_at"));
    }
    return ended ? "has ended" : "has ended; the incident stays open until somebody resolves it";
}

}  // namespace

bool is_degraded(const json& breaker) {
    const auto state = text(breaker, "state");
    return state == "open" || state == "forced_open" || state == "half_open";
}

std::string view_breakers(const json& list, bool colours) {
    Table table{{"NAME", "STATE", "CRITICALITY", "FAILURES", "TRIPS", "RETRY IN", "LAST CHANGE"}};
    for (const auto& breaker : list.at("circuit_breakers")) {
        table.add({{text(breaker, "name")},
                   state_cell(text(breaker, "state")),
                   {text(breaker, "criticality")},
                   {percent(breaker, "failure_rate")},
                   {std::to_string(breaker.at("trip_count").get<std::uint64_t>())},
                   {retry_after(breaker)},
                   {is_degraded(breaker) ? why(breaker) : "-"}});
    }
    return table.empty() ? "There are no circuit breakers.\n" : table.format(colours);
}

std::string view_breaker(const json& breaker, bool colours) {
    const auto state = text(breaker, "state");
    const auto& totals = breaker.at("totals");
    std::string result = fmt::format("{}: {}\n", text::printable(text(breaker, "name")),
                                     paint(text::printable(state), colour_of_state(state), colours));
    const auto line = [&](const char* name, const std::string& value) {
        result += fmt::format("  {:<22}{}\n", name, text::printable(value));
    };
    line("criticality", text(breaker, "criticality"));
    line("failure rate", percent(breaker, "failure_rate"));
    line("slow calls", percent(breaker, "slow_call_rate"));
    line("consecutive failures", std::to_string(breaker.at("consecutive_failures").get<std::uint64_t>()));
    line("calls", fmt::format("{} admitted, {} rejected; {} succeeded, {} failed, {} timed out",
                              totals.at("admitted").get<std::uint64_t>(), totals.at("rejected").get<std::uint64_t>(),
                              totals.at("successes").get<std::uint64_t>(), totals.at("failures").get<std::uint64_t>(),
                              totals.at("timeouts").get<std::uint64_t>()));
    line("trips", std::to_string(breaker.at("trip_count").get<std::uint64_t>()));
    line("open since", text_or(breaker, "opened_at", "-"));
    line("tried again in", retry_after(breaker));
    line("last change", why(breaker));
    if (const auto& report = breaker.at("last_report"); !report.is_null()) {
        line("  at", text(report, "at"));
        if (!report.at("actor").is_null()) line("  by", text(report, "actor"));
        if (!report.at("note").is_null()) line("  note", text(report, "note"));
        const char* name = "  last outcomes";
        for (const auto& outcome : report.at("last_outcomes")) line(std::exchange(name, ""), outcome_words(outcome));
    }
    return result;
}

std::string view_health(const json& health, bool colours) {
    const auto status = text(health, "status");
    std::string result = fmt::format("{}\n", paint(text::printable(status), colour_of_state(status), colours));
    const auto checks = health.find("checks");
    if (checks == health.end()) return result + "(details need the read, operator or admin token)\n";
    Table table{{"CHECK", "STATUS", "WHY"}};
    for (const auto& [name, entries] : checks->items()) {
        for (const auto& entry : entries) {
            table.add({{name}, state_cell(text(entry, "status")), {entry.value("output", "-")}});
        }
    }
    return result + table.format(colours);
}

std::string view_incident(const json& incident, bool colours) {
    const auto severity = text(incident, "severity");
    std::string result = fmt::format("{}: {}, {}\n", text::printable(text(incident, "id")),
                                     paint(text::printable(severity), colour_of_severity(severity), colours),
                                     text::printable(text(incident, "state")));
    const auto line = [&](std::string_view name, const std::string& value) {
        result += fmt::format("  {:<14}{}\n", name, text::printable(value));
    };
    const auto pairs = [&](std::string_view name, const char* field) {
        for (const auto& [key, value] : incident.at(field).items()) {
            line(std::exchange(name, ""), fmt::format("{} = {}", key, value.get<std::string>()));
        }
    };
    line("title", text(incident, "title"));
    line("source", text(incident, "source"));
    line("created", text(incident, "created_at"));
    line("updated", text(incident, "updated_at"));
    if (!incident.at("resolved_at").is_null()) line("resolved", text(incident, "resolved_at"));
    line("alerts", std::to_string(incident.at("alert_count").get<std::uint64_t>()));
    line("last seen", text_or(incident, "last_seen", "-"));
    line("alert", alert_words(incident));
    pairs("labels", "labels");
    pairs("annotations", "annotations");
    for (std::string_view name = "told"; const auto& destination : incident.at("notified"))
        line(std::exchange(name, ""), destination.get<std::string>());
    Table timeline{{"AT", "WHAT", "BY", "DETAIL"}};
    for (const auto& event : incident.at("timeline")) {
        timeline.add({{text(event, "at")}, {text(event, "kind")}, {text(event, "actor")}, {text(event, "detail")}});
    }
    return result + timeline.format(colours);
}

std::string view_incidents(const json& page, bool colours) {
    Table table{{"ID", "SEVERITY", "STATE", "CREATED", "ALERTS", "TITLE"}};
    for (const auto& incident : page.at("incidents")) {
        const auto severity = text(incident, "severity");
        table.add({{text(incident, "id")},
                   {severity, colour_of_severity(severity)},
                   {text(incident, "state")},
                   {text(incident, "created_at")},
                   {std::to_string(incident.at("alert_count").get<std::uint64_t>())},
                   {title_in_list(incident)}});
    }
    return table.empty() ? "No incident matches.\n" : table.format(colours) + more(page, "--severity, --label and --q");
}

std::string view_notifications(const json& page, bool colours) {
    Table table{{"ID", "DESTINATION", "INCIDENT", "TYPE", "STATE", "ATTEMPTS", "NEXT ATTEMPT", "LAST ERROR"}};
    for (const auto& notification : page.at("notifications")) {
        const auto& error = notification.at("last_error");
        table.add({{text(notification, "id")},
                   {text(notification, "destination")},
                   {text(notification, "incident_id")},
                   {text(notification, "kind")},
                   state_cell(text(notification, "state")),
                   {std::to_string(notification.at("attempts").get<std::uint64_t>())},
                   {text_or(notification, "next_attempt_at", "-")},
                   {error.is_null() ? "-" : fmt::format("{}: {}", text(error, "class"), text(error, "message"))}});
    }
    return table.empty() ? "No notification matches.\n"
                         : table.format(colours) + more(page, "--dead and --destination");
}

}  // namespace fusebox::service::cli
