#include "api/alert_json.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
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

/// Of a text that is mended rather than refused, so that it never costs a page; the body has a limit of its own.
constexpr TextRule any_text{.longest = std::numeric_limits<std::size_t>::max(), .nul_is_replaced = true};

bool has_control(std::string_view text) { return std::ranges::any_of(text, text::is_control); }

/// A text beyond the limit of annotations as its beginning, with a word on what is missing.
std::string shortened(std::string text) {
    const auto bytes = text.size();
    if (bytes <= AlertLimits::annotation) return text;
    const auto mark = fmt::format("… (cut from {} bytes)", bytes);
    text.resize(text::cut(text, AlertLimits::annotation - mark.size()).size());
    return text += mark;
}

/// Labels or annotations. An empty value is the same as no label, as in Prometheus.
Labels read_labels(ObjectReader& reader, const char* field, TextRule rule, FieldErrors& errors) {
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
        } else if (auto text = values.text(name.c_str(), rule); text && !text->empty()) {
            labels.emplace(name, std::move(*text));
        }
    }
    return labels;
}

Labels read_annotations(ObjectReader& reader, FieldErrors& errors) {
    Labels annotations = read_labels(reader, "annotations", any_text, errors);
    for (auto& [name, text] : annotations) text = shortened(std::move(text));
    return annotations;
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
    alert.start_stated = starts_at.has_value();
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

/// What the alerts of a body have in common.
struct Envelope {
    const char* source{};
    std::optional<std::string> status{};  ///< of the webhook, for alerts that state none
    bool is_webhook{};  ///< only a webhook's alerts have a status; in API v2 the end of an alert is all there is
    WallTime now{};
};

/// One alert as Alertmanager, Grafana and Prometheus write it.
Alert read_alertmanager_alert(const json& value, const std::string& path, const Envelope& envelope,
                              FieldErrors& errors) {
    Alert alert;
    if (!value.is_object()) {
        errors.push_back({path, fmt::format("must be an object, not {}", value.type_name())});
        return alert;
    }
    ObjectReader reader{value, path + ".", errors};
    alert.source = envelope.source;
    alert.merged = envelope.is_webhook;
    alert.labels = read_labels(reader, "labels", {.longest = AlertLimits::label_value}, errors);
    if (alert.labels.empty() && errors.empty()) reader.error("labels", "must hold at least one label");
    alert.annotations = read_annotations(reader, errors);
    // A link that is cut leads nowhere.
    alert.generator_url = reader.text("generatorURL", any_text).value_or("");
    if (alert.generator_url.size() > AlertLimits::annotation) alert.generator_url.clear();
    const auto status = envelope.is_webhook ? read_status(reader) : std::nullopt;
    read_span(reader, "startsAt", "endsAt", status ? status : envelope.status, envelope.now, alert);
    alert.title = title_of(alert);
    return alert;
}

Parsed<AlertBatch> read_alerts(const json& array, const std::string& path, const Envelope& envelope) {
    AlertBatch batch;
    if (array.size() > AlertLimits::alerts) {
        return std::unexpected(field_problem(
            {{path, fmt::format("has {} alerts, must have at most {}", array.size(), AlertLimits::alerts)}}));
    }
    batch.alerts.reserve(array.size());
    for (std::size_t i = 0; i < array.size(); ++i) {
        const auto place = fmt::format("{}[{}]", path, i);
        FieldErrors errors;
        auto alert = read_alertmanager_alert(array[i], place, envelope, errors);
        if (errors.empty()) {
            batch.alerts.push_back(std::move(alert));
            continue;
        }
        const auto field = std::string_view{errors.front().field}.substr(place.size());
        ++batch.rejected.at(static_cast<std::size_t>(reason_of(field.substr(field.empty() ? 0 : 1))));
        for (auto& error : errors) {
            if (batch.errors.size() < max_field_errors) batch.errors.push_back(std::move(error));
        }
    }
    return batch;
}

}  // namespace

std::string_view to_string(RejectReason reason) noexcept {
    switch (reason) {
        case RejectReason::shape:
            return "shape";
        case RejectReason::labels:
            return "labels";
        case RejectReason::annotations:
            return "annotations";
        case RejectReason::times:
            return "times";
        case RejectReason::text:
            return "text";
    }
    return "shape";
}

RejectReason reason_of(std::string_view field) noexcept {
    if (field.empty()) return RejectReason::shape;
    if (field.starts_with("labels")) return RejectReason::labels;
    if (field.starts_with("annotations")) return RejectReason::annotations;
    constexpr std::array<std::string_view, 4> times{"startsAt", "endsAt", "starts_at", "ends_at"};
    return std::ranges::find(times, field) != times.end() ? RejectReason::times : RejectReason::text;
}

std::uint64_t AlertBatch::total_rejected() const noexcept {
    return std::accumulate(rejected.begin(), rejected.end(), std::uint64_t{0});
}

middleware::Problem rejection_problem(AlertBatch batch) {
    const auto refused = batch.total_rejected();
    const auto& first = batch.errors.front();
    auto detail = fmt::format("{} of {} alerts {} refused and the others are stored: {} {}", refused,
                              refused + batch.alerts.size(), refused == 1 ? "is" : "are", first.field, first.message);
    return {.status = 400, .detail = std::move(detail), .errors = std::move(batch.errors)};
}

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
    alert.labels = read_labels(reader, "labels", {.longest = AlertLimits::label_value}, errors);
    if (alert.labels.empty()) alert.labels.emplace("alertname", alert.title);
    alert.annotations = read_annotations(reader, errors);
    if (auto description = reader.text("description", any_text); description && !description->empty()) {
        alert.annotations.insert_or_assign("description", shortened(std::move(*description)));
    }
    constexpr std::size_t longest_word = 64;
    alert.severity_word = reader.text("severity", {.longest = longest_word}).value_or("");
    const auto status = read_status(reader);
    read_span(reader, "starts_at", "ends_at", status, now, alert);
    if (!errors.empty()) return std::unexpected(field_problem(std::move(errors)));
    return alert;
}

Parsed<AlertBatch> parse_alertmanager_alerts(std::string_view body, WallTime now) {
    auto json = parse_json(body);
    if (!json) return std::unexpected(std::move(json.error()));
    if (!json->is_array()) {
        return std::unexpected(
            field_problem({{"", fmt::format("must be an array of alerts, not {}", json->type_name())}}));
    }
    return read_alerts(*json, "", {.source = "prometheus", .now = now});
}

Parsed<AlertBatch> parse_alertmanager_webhook(std::string_view body, WallTime now) {
    auto json = parse_json(body);
    if (!json) return std::unexpected(std::move(json.error()));
    FieldErrors errors;
    if (!json->is_object()) {
        errors.push_back({"", fmt::format("must be an object, not {}", json->type_name())});
        return std::unexpected(field_problem(std::move(errors)));
    }
    ObjectReader reader{*json, "", errors};
    constexpr std::size_t longest_word = 64;
    const auto version = reader.text("version", {.longest = longest_word}).value_or("4");
    if (version != "4" && version != "1") reader.error("version", "must be \"4\" (Alertmanager) or \"1\" (Grafana)");
    const auto status = read_status(reader);
    const auto* array = reader.value("alerts");
    if (!array) {
        reader.error("alerts", "is needed");
    } else if (!array->is_array()) {
        reader.error("alerts", fmt::format("must be an array, not {}", array->type_name()));
    }
    if (!errors.empty()) return std::unexpected(field_problem(std::move(errors)));

    auto batch = read_alerts(
        *array, "alerts",
        {.source = version == "1" ? "grafana" : "alertmanager", .status = status, .is_webhook = true, .now = now});
    const auto* truncated = reader.value("truncatedAlerts");
    if (batch && truncated && truncated->is_number_unsigned()) {
        // Nobody leaves out more; an absurd number would spoil the counter for good.
        constexpr std::uint64_t most = 1'000'000;
        batch->truncated = std::min(truncated->get<std::uint64_t>(), most);
        for (auto& alert : batch->alerts) alert.truncated = batch->truncated;
    }
    return batch;
}

}  // namespace fusebox::service
