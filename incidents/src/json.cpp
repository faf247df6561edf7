#include <fusebox/incidents/json.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include <fusebox/incidents/ports.hpp>
#include <fusebox/text/ascii.hpp>
#include <fusebox/text/rfc3339.hpp>

#include "payload.hpp"

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

void append_text(std::string& out, std::string_view text) {
    if (text::is_plain_json(text)) {
        out.append(1, '"').append(text).append(1, '"');
    } else {
        out += dump(std::string{text});
    }
}

/// Writes one object member by member, with no tree in between: incidents are written for every message that is stored.
class ObjectWriter {
public:
    explicit ObjectWriter(std::string& out) : out_{out} { out_ += '{'; }

    ObjectWriter& write(std::string_view name, std::string_view text) {
        append_text(member(name), text);
        return *this;
    }
    ObjectWriter& write(std::string_view name, WallTime time) {
        member(name).append(1, '"').append(text::to_rfc3339(time)).append(1, '"');
        return *this;
    }
    ObjectWriter& write(std::string_view name, const std::optional<WallTime>& time) {
        if (time) return write(name, *time);
        member(name) += "null";
        return *this;
    }
    ObjectWriter& write(std::string_view name, std::uint64_t number) {
        member(name) += std::to_string(number);
        return *this;
    }
    ObjectWriter& write(std::string_view name, std::chrono::duration<double> seconds) {
        member(name) += json(seconds.count()).dump();
        return *this;
    }
    ObjectWriter& write(std::string_view name, const Labels& labels) {
        ObjectWriter object{member(name)};
        for (const auto& [label, value] : labels) {
            if (out_.back() != '{') out_ += ',';
            append_text(out_, label);
            out_ += ':';
            append_text(out_, value);
        }
        object.end();
        return *this;
    }
    ObjectWriter& write_flag(std::string_view name, bool flag) {
        member(name) += flag ? "true" : "false";
        return *this;
    }
    /// An array, whose items `append(out, item)` writes.
    template <class Range, class Append>
    ObjectWriter& write_all(std::string_view name, const Range& items, const Append& append) {
        member(name) += '[';
        for (bool first = true; const auto& item : items) {
            if (!std::exchange(first, false)) out_ += ',';
            append(out_, item);
        }
        out_ += ']';
        return *this;
    }
    void end() { out_ += '}'; }

private:
    std::string& member(std::string_view name) {
        if (out_.back() != '{') out_ += ',';
        return out_.append(1, '"').append(name).append("\":");
    }

    std::string& out_;
};

void append_firing(std::string& out, const Firing& firing) {
    ObjectWriter{out}
        .write("starts_at", firing.starts_at)
        .write("first_seen", firing.first_seen)
        .write("ends_at", firing.ends_at)
        .write("ended_at", firing.ended_at)
        .write("reported_end", firing.reported_end)
        .write("lifetime_seconds", firing.lifetime)
        .write_flag("dismissed", firing.dismissed)
        .end();
}

void append_event(std::string& out, const TimelineEvent& event) {
    ObjectWriter{out}
        .write("at", event.at)
        .write("kind", event.kind)
        .write("actor", event.actor)
        .write("detail", event.detail)
        .end();
}

std::string write(const Incident& incident, std::span<const std::string> notified,
                  std::span<const TimelineEvent> timeline) {
    std::string out;
    out.reserve(2048);
    ObjectWriter{out}
        .write("id", incident.id)
        .write("title", incident.title)
        .write("state", to_string(incident.state))
        .write("severity", to_string(incident.severity))
        .write("labels", incident.labels)
        .write("annotations", incident.annotations)
        .write("source", incident.source)
        .write("fingerprint", incident.fingerprint)
        .write("created_at", incident.created_at)
        .write("updated_at", incident.updated_at)
        .write("alert_starts_at", incident.alert_starts_at)
        .write("resolved_at", incident.resolved_at)
        .write("last_seen", incident.last_seen)
        .write("alert_count", incident.alert_count)
        .write_all("firings", incident.firings.all, append_firing)
        .write("dismissed_until", incident.firings.dismissed_until)
        .write("version", incident.version)
        .write_all("notified", notified, append_text)
        .write_all("timeline", timeline, append_event)
        .end();
    return out;
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
    void read(const char* name, bool& out) {
        if (const auto* value = find(name, &json::is_boolean, "true or false")) out = value->get<bool>();
    }
    void read(const char* name, std::chrono::microseconds& out) {
        constexpr double longest = 1e12;  // beyond that microseconds do not fit
        const auto* value = find(name, &json::is_number, "a number of seconds");
        if (value == nullptr) return;
        const auto seconds = value->get<double>();
        if (!(std::abs(seconds) <= longest)) return fail(name, "a number of seconds");
        out = std::chrono::round<std::chrono::microseconds>(std::chrono::duration<double>{seconds});
    }
    void read(const char* name, std::vector<Firing>& out) {
        read_objects(name, out, [](Fields& fields, Firing& firing) {
            fields.read("starts_at", firing.starts_at);
            fields.read("first_seen", firing.first_seen);
            fields.read("ends_at", firing.ends_at);
            fields.read("ended_at", firing.ended_at);
            fields.read("reported_end", firing.reported_end);
            fields.read("lifetime_seconds", firing.lifetime);
            fields.read("dismissed", firing.dismissed);
        });
    }
    void read(const char* name, std::vector<TimelineEvent>& out) {
        read_objects(name, out, [](Fields& fields, TimelineEvent& event) {
            fields.read("at", event.at);
            fields.read("kind", event.kind);
            fields.read("actor", event.actor);
            fields.read("detail", event.detail);
        });
    }

private:
    const json* find(const char* name, bool (json::*is_wanted)() const noexcept, const char* wanted) {
        const auto field = object_.find(name);
        if (field != object_.end() && ((*field).*is_wanted)()) return &*field;
        fail(name, wanted);
        return nullptr;
    }
    template <class T, class Read>
    void read_objects(const char* name, std::vector<T>& out, const Read& read) {
        const auto* array = find(name, &json::is_array, "an array");
        if (array == nullptr) return;
        for (const auto& element : *array) {
            const auto path = std::string{name} + "[" + std::to_string(out.size()) + "]";
            if (!element.is_object()) return fail(path, "an object");
            Fields fields{element, path_ + path + ".", error_};
            read(fields, out.emplace_back());
        }
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

std::string to_json(const Incident& incident) { return write(incident, incident.notified, incident.timeline); }

std::string payload_of(const Incident& incident) {
    constexpr auto most = IncidentStore::latest_events;
    const std::span<const TimelineEvent> timeline{incident.timeline};
    if (timeline.size() <= most) return write(incident, {}, timeline);
    const auto latest = timeline.last(most - 1);
    std::vector<TimelineEvent> shown{{.at = latest.front().at,
                                      .kind = "truncated",
                                      .actor = "system",
                                      .detail = "earlier events are left out here"}};
    shown.insert(shown.end(), latest.begin(), latest.end());
    return write(incident, {}, shown);
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
    fields.read("last_seen", incident.last_seen);
    fields.read("alert_count", incident.alert_count);
    fields.read("firings", incident.firings.all);
    fields.read("dismissed_until", incident.firings.dismissed_until);
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
