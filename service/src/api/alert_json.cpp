#include "api/alert_json.hpp"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include <fusebox/text/ascii.hpp>
#include <fusebox/text/rfc3339.hpp>
#include <fusebox/text/utf8.hpp>

#include "api/object_reader.hpp"

namespace fusebox::service {
namespace {

using incidents::Alert;
using incidents::Labels;
using incidents::WallTime;
using nlohmann::json;

/// Before this, a time means "not given": Go's zero time is 0001-01-01T00:00:00Z.
constexpr WallTime first_real_time = std::chrono::sys_days{std::chrono::year{2} / 1 / 1};

bool has_control(std::string_view text) { return std::ranges::any_of(text, text::is_control); }

/// Labels or annotations. An empty value is the same as no label, as in Prometheus.
Labels read_labels(ObjectReader& reader, const char* field, std::size_t longest_value, FieldErrors& errors) {
    Labels labels;
    const auto* object = reader.value(field);
    if (!object) return labels;
    if (!object->is_object()) {
        reader.error(field, fmt::format("must be an object of strings, not {}", object->type_name()));
        return labels;
    }
    if (object->size() > AlertLimits::labels) {
        reader.error(field, fmt::format("has {} entries, must have at most {}", object->size(), AlertLimits::labels));
        return labels;
    }
    ObjectReader values{*object, fmt::format("{}{}.", reader.path(), field), errors};
    for (const auto& [name, value] : object->items()) {
        if (name.empty() || name.size() > AlertLimits::label_name || has_control(name)) {
            reader.error(field,
                         fmt::format("has a name that is empty, longer than {} bytes or holds control characters",
                                     AlertLimits::label_name));
        } else if (value.is_null()) {
            values.error(name, "must be a string, not null");
        } else if (auto text = values.text(name.c_str(), {.longest = longest_value}); text && !text->empty()) {
            labels.emplace(name, std::move(*text));
        }
    }
    return labels;
}

std::optional<WallTime> read_time(ObjectReader& reader, const char* field) {
    constexpr std::size_t longest = 64;
    const auto text = reader.text(field, {.longest = longest});
    if (!text || text->empty()) return std::nullopt;
    const auto time = text::from_rfc3339(*text);
    if (!time) {
        reader.error(field, "must be an RFC 3339 time such as 2026-01-01T00:00:00Z");
        return std::nullopt;
    }
    return *time < first_real_time ? std::nullopt : time;
}

/// Sets the times, and whether the alert is resolved: its source said so, or its end has passed.
void read_span(ObjectReader& reader, const char* start, const char* end, const std::optional<std::string>& status,
               WallTime now, Alert& alert) {
    const auto starts_at = read_time(reader, start);
    alert.ends_at = read_time(reader, end);
    alert.starts_at = starts_at.value_or(alert.ends_at ? std::min(*alert.ends_at, now) : now);
    if (alert.ends_at && *alert.ends_at < alert.starts_at)
        reader.error(end, fmt::format("must not be before {}", start));
    alert.resolved = status == "resolved" || (alert.ends_at && *alert.ends_at <= now);
}

std::optional<std::string> read_status(ObjectReader& reader) {
    constexpr std::size_t longest = 64;
    auto status = reader.text("status", {.longest = longest});
    if (status && *status != "firing" && *status != "resolved") {
        reader.error("status", "must be firing or resolved");
        return std::nullopt;
    }
    return status;
}

/// The title for people: the text that the rule's author wrote, else the alert's name.
std::string title_of(const Alert& alert) {
    for (const auto* annotation : {"summary", "title"}) {
        if (const auto found = alert.annotations.find(annotation); found != alert.annotations.end()) {
            return std::string{text::cut(found->second, AlertLimits::title)};
        }
    }
    const auto name = alert.labels.find("alertname");
    return std::string{name != alert.labels.end() ? text::cut(name->second, AlertLimits::title)
                                                  : "alert without a name"};
}

/// One alert as Alertmanager and Prometheus write it. `whole_status`: the status of the webhook that carried
/// the alert.
Alert read_alertmanager_alert(const json& value, const std::string& path,
                              const std::optional<std::string>& whole_status, const char* source, WallTime now,
                              FieldErrors& errors) {
    Alert alert;
    if (!value.is_object()) {
        errors.push_back({path, fmt::format("must be an object, not {}", value.type_name())});
        return alert;
    }
    ObjectReader reader{value, path + ".", errors};
    const auto errors_before = errors.size();
    alert.source = source;
    alert.labels = read_labels(reader, "labels", AlertLimits::label_value, errors);
    if (alert.labels.empty() && errors.size() == errors_before) reader.error("labels", "must hold at least one label");
    alert.annotations = read_labels(reader, "annotations", AlertLimits::annotation, errors);
    alert.generator_url = reader.text("generatorURL", {.longest = AlertLimits::annotation}).value_or("");
    // Only the webhook has a status; in API v2 the end of an alert is all there is.
    const bool is_webhook = source == std::string_view{"alertmanager"};
    const auto status = is_webhook ? read_status(reader) : std::nullopt;
    read_span(reader, "startsAt", "endsAt", status ? status : whole_status, now, alert);
    alert.title = title_of(alert);
    return alert;
}

std::vector<Alert> read_alertmanager_array(const json& array, const std::string& path,
                                           const std::optional<std::string>& whole_status, const char* source,
                                           WallTime now, FieldErrors& errors) {
    std::vector<Alert> alerts;
    if (array.size() > AlertLimits::alerts) {
        errors.push_back({path, fmt::format("has {} alerts, must have at most {}", array.size(), AlertLimits::alerts)});
        return alerts;
    }
    alerts.reserve(array.size());
    for (std::size_t i = 0; i < array.size(); ++i) {
        alerts.push_back(
            read_alertmanager_alert(array[i], fmt::format("{}[{}]", path, i), whole_status, source, now, errors));
    }
    return alerts;
}

}  // namespace

Parsed<Alert> parse_native_alert(std::string_view body, WallTime now) {
    auto json = parse_json(body);
    if (!json) return std::unexpected(std::move(json.error()));
    FieldErrors errors;
    if (!json->is_object()) {
        errors.push_back({"", fmt::format("must be an object, not {}", json->type_name())});
        return std::unexpected(field_problem(std::move(errors)));
    }
    ObjectReader reader{*json, "", errors};
    reader.refuse_fields_but(
        {"title", "description", "severity", "status", "labels", "annotations", "source", "starts_at", "ends_at"});
    Alert alert;
    alert.title =
        reader.text("title", {.longest = AlertLimits::title, .may_be_empty = false, .required = true}).value_or("");
    alert.source = reader.text("source", {.longest = AlertLimits::source}).value_or("");
    if (alert.source.empty()) alert.source = "api";
    alert.labels = read_labels(reader, "labels", AlertLimits::label_value, errors);
    if (alert.labels.empty()) alert.labels.emplace("alertname", alert.title);
    alert.annotations = read_labels(reader, "annotations", AlertLimits::annotation, errors);
    if (auto description = reader.text("description", {.longest = AlertLimits::annotation});
        description && !description->empty()) {
        alert.annotations.insert_or_assign("description", std::move(*description));
    }
    constexpr std::size_t longest_word = 64;
    if (const auto severity = reader.text("severity", {.longest = longest_word})) {
        alert.severity = incidents::severity_from_string(*severity);
        if (!alert.severity) {
            reader.error("severity", "must be P0 to P4, or critical, error, high, warning, medium, info, low or none");
        }
    }
    const auto status = read_status(reader);
    read_span(reader, "starts_at", "ends_at", status, now, alert);
    if (!errors.empty()) return std::unexpected(field_problem(std::move(errors)));
    return alert;
}

Parsed<std::vector<Alert>> parse_alertmanager_alerts(std::string_view body, WallTime now) {
    auto json = parse_json(body);
    if (!json) return std::unexpected(std::move(json.error()));
    FieldErrors errors;
    if (!json->is_array()) {
        errors.push_back({"", fmt::format("must be an array of alerts, not {}", json->type_name())});
        return std::unexpected(field_problem(std::move(errors)));
    }
    auto alerts = read_alertmanager_array(*json, "", std::nullopt, "prometheus", now, errors);
    if (!errors.empty()) return std::unexpected(field_problem(std::move(errors)));
    return alerts;
}

Parsed<std::vector<Alert>> parse_alertmanager_webhook(std::string_view body, WallTime now) {
    auto json = parse_json(body);
    if (!json) return std::unexpected(std::move(json.error()));
    FieldErrors errors;
    if (!json->is_object()) {
        errors.push_back({"", fmt::format("must be an object, not {}", json->type_name())});
        return std::unexpected(field_problem(std::move(errors)));
    }
    ObjectReader reader{*json, "", errors};
    constexpr std::size_t longest_word = 64;
    if (const auto version = reader.text("version", {.longest = longest_word}); version && *version != "4") {
        reader.error("version", "must be \"4\"");
    }
    const auto status = read_status(reader);
    std::vector<Alert> alerts;
    if (const auto* array = reader.value("alerts"); !array) {
        reader.error("alerts", "is needed");
    } else if (!array->is_array()) {
        reader.error("alerts", fmt::format("must be an array, not {}", array->type_name()));
    } else {
        alerts = read_alertmanager_array(*array, "alerts", status, "alertmanager", now, errors);
    }
    if (!errors.empty()) return std::unexpected(field_problem(std::move(errors)));
    return alerts;
}

}  // namespace fusebox::service
