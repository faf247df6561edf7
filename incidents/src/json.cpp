#include <fusebox/incidents/json.hpp>

#include <chrono>
#include <nlohmann/json.hpp>
#include <utility>

#include <fusebox/text/rfc3339.hpp>

namespace fusebox::incidents {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// Bytes that are not UTF-8 become U+FFFD: an odd text must never cost a page.
std::string dump(const ordered_json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

template <class T>
ordered_json or_null(const std::optional<T>& value) {
    return value ? ordered_json(*value) : ordered_json(nullptr);
}
ordered_json or_null(const std::optional<WallTime>& time) {
    return time ? ordered_json(text::to_rfc3339(*time)) : ordered_json(nullptr);
}
ordered_json text_or_null(const std::string& text) { return text.empty() ? ordered_json(nullptr) : ordered_json(text); }

ordered_json object_of(const Labels& labels) {
    auto object = ordered_json::object();
    for (const auto& [name, value] : labels) object[name] = value;
    return object;
}

/// Reads typed fields of one object and remembers the first that is wrong.
class Fields {
public:
    Fields(const json& object, std::string path, std::string& error)
        : object_{object}, path_{std::move(path)}, error_{error} {}

    void read(const char* name, std::string& out) {
        if (const auto* value = find(name, &json::is_string, "a string")) out = value->get_ref<const std::string&>();
    }
    void read(const char* name, std::uint64_t& out) {
        if (const auto* value = find(name, &json::is_number_unsigned, "a whole number"))
            out = value->get<std::uint64_t>();
    }
    void read(const char* name, WallTime& out) { read_as(name, out, text::from_rfc3339, "an RFC 3339 time"); }
    void read(const char* name, std::optional<WallTime>& out) {
        if (const auto field = object_.find(name); field != object_.end() && field->is_null()) {
            out.reset();
        } else {
            read(name, out.emplace());
        }
    }
    void read(const char* name, Severity& out) { read_as(name, out, severity_from_string, "a severity"); }
    void read(const char* name, IncidentState& out) {
        read_as(name, out, incident_state_from_string, "a state of an incident");
    }
    void read(const char* name, Labels& out) {
        const auto* object = find(name, &json::is_object, "an object");
        if (object == nullptr) return;
        for (const auto& [label, value] : object->items()) {
            if (!value.is_string()) return fail(std::string{name} + "." + label, "a string");
            out.emplace(label, value.get_ref<const std::string&>());
        }
    }
    void read(const char* name, std::vector<std::string>& out) {
        const auto* array = find(name, &json::is_array, "an array");
        if (array == nullptr) return;
        for (const auto& element : *array) {
            if (!element.is_string())
                return fail(std::string{name} + "[" + std::to_string(out.size()) + "]", "a string");
            out.push_back(element.get_ref<const std::string&>());
        }
    }
    void read(const char* name, std::vector<TimelineEvent>& out) {
        const auto* array = find(name, &json::is_array, "an array");
        if (array == nullptr) return;
        for (const auto& element : *array) {
            const auto path = std::string{name} + "[" + std::to_string(out.size()) + "]";
            if (!element.is_object()) return fail(path, "an object");
            Fields fields{element, path_ + path + ".", error_};
            auto& event = out.emplace_back();
            fields.read("at", event.at);
            fields.read("kind", event.kind);
            fields.read("actor", event.actor);
            fields.read("detail", event.detail);
        }
    }

private:
    const json* find(const char* name, bool (json::*is_wanted)() const noexcept, const char* wanted) {
        const auto field = object_.find(name);
        if (field != object_.end() && ((*field).*is_wanted)()) return &*field;
        fail(name, wanted);
        return nullptr;
    }
    template <class T, class Parse>
    void read_as(const char* name, T& out, Parse parse, const char* wanted) {
        const auto* value = find(name, &json::is_string, wanted);
        if (value == nullptr) return;
        if (const auto parsed = parse(value->get_ref<const std::string&>())) {
            out = *parsed;
        } else {
            fail(name, wanted);
        }
    }
    void fail(const std::string& name, const char* wanted) {
        if (error_.empty()) error_ = path_ + name + " must be " + wanted;
    }

    const json& object_;
    std::string path_;
    std::string& error_;
};

}  // namespace

std::string to_json(const Incident& incident) {
    auto timeline = ordered_json::array();
    for (const auto& event : incident.timeline) {
        timeline.push_back({{"at", text::to_rfc3339(event.at)},
                            {"kind", event.kind},
                            {"actor", event.actor},
                            {"detail", event.detail}});
    }
    return dump({
        {"id", incident.id},
        {"title", incident.title},
        {"state", to_string(incident.state)},
        {"severity", to_string(incident.severity)},
        {"labels", object_of(incident.labels)},
        {"annotations", object_of(incident.annotations)},
        {"source", incident.source},
        {"fingerprint", incident.fingerprint},
        {"created_at", text::to_rfc3339(incident.created_at)},
        {"updated_at", text::to_rfc3339(incident.updated_at)},
        {"alert_starts_at", text::to_rfc3339(incident.alert_starts_at)},
        {"resolved_at", or_null(incident.resolved_at)},
        {"alert_count", incident.alert_count},
        {"version", incident.version},
        {"notified", incident.notified},
        {"timeline", std::move(timeline)},
    });
}

std::expected<Incident, std::string> incident_from_json(std::string_view text) {
    const auto object = json::parse(text, nullptr, false);
    if (object.is_discarded()) return std::unexpected{"an incident must be JSON in UTF-8"};
    if (!object.is_object()) return std::unexpected{"an incident must be an object"};

    Incident incident;
    std::string error;
    Fields fields{object, "", error};
    fields.read("id", incident.id);
    fields.read("title", incident.title);
    fields.read("state", incident.state);
    fields.read("severity", incident.severity);
    fields.read("labels", incident.labels);
    fields.read("annotations", incident.annotations);
    fields.read("source", incident.source);
    fields.read("fingerprint", incident.fingerprint);
    fields.read("created_at", incident.created_at);
    fields.read("updated_at", incident.updated_at);
    fields.read("alert_starts_at", incident.alert_starts_at);
    fields.read("resolved_at", incident.resolved_at);
    fields.read("alert_count", incident.alert_count);
    fields.read("version", incident.version);
    fields.read("notified", incident.notified);
    fields.read("timeline", incident.timeline);
    if (!error.empty()) return std::unexpected{std::move(error)};
    return incident;
}

std::string to_json(const Notification& notification) {
    const auto& draft = notification.draft;
    const bool waits =
        notification.state == NotificationState::pending || notification.state == NotificationState::leased;
    ordered_json last_error = nullptr;
    if (const auto& error = notification.last_error) {
        last_error = {{"class", error->error_class}, {"message", error->message}, {"status", or_null(error->status)}};
    }
    auto attempts = ordered_json::array();
    for (const auto& attempt : notification.attempt_log) {
        attempts.push_back({{"at", text::to_rfc3339(attempt.at)},
                            {"took_seconds", std::chrono::duration<double>(attempt.took).count()},
                            {"delivered", attempt.delivered},
                            {"class", text_or_null(attempt.error_class)},
                            {"message", text_or_null(attempt.message)},
                            {"status", or_null(attempt.status)}});
    }
    return dump({
        {"id", draft.id},
        {"incident_id", draft.incident_id},
        {"destination", draft.destination},
        {"kind", draft.kind},
        {"state", to_string(notification.state)},
        {"severity", to_string(draft.severity)},
        {"created_at", text::to_rfc3339(draft.created_at)},
        {"next_attempt_at",
         waits ? ordered_json(text::to_rfc3339(notification.next_attempt_at)) : ordered_json(nullptr)},
        {"attempts", notification.attempts},
        {"deferrals", notification.deferrals},
        {"last_error", std::move(last_error)},
        {"delivered_at", or_null(notification.delivered_at)},
        {"fallback_for", text_or_null(draft.fallback_for)},
        {"attempt_log", std::move(attempts)},
    });
}

}  // namespace fusebox::incidents
