#include <fusebox/notifications/log_sender.hpp>

#include <stdexcept>
#include <utility>

#include <fusebox/text/printable.hpp>
#include <nlohmann/json.hpp>

namespace fusebox::notifications {

namespace {

std::string title_of(const incidents::NotificationDraft& draft) {
    const auto incident = nlohmann::json::parse(draft.payload, nullptr, false);
    if (!incident.is_object()) return {};
    const auto title = incident.find("title");
    return title != incident.end() && title->is_string() ? title->get<std::string>() : std::string{};
}

// JSON's quoting escapes quotes and ASCII's control characters; text that is not UTF-8 is mended rather than refused.
std::string quoted(const std::string& text) {
    return text::printable(nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

LogSender::LogSender(std::string name, Sink sink) : name_(std::move(name)), sink_(std::move(sink)) {
    if (name_.empty()) throw std::invalid_argument("log destination: name: must not be empty");
    if (!sink_) throw std::invalid_argument("log destination '" + name_ + "': sink: must be set");
}

std::expected<void, incidents::DeliveryError> LogSender::send(const incidents::Notification& notification,
                                                              const incidents::RequestContext& /*context*/) {
    const auto& draft = notification.draft;
    std::string line = "notification id=" + draft.id + " type=" + draft.kind + " incident=" + draft.incident_id;
    line.append(" severity=").append(to_string(draft.severity)).append(" title=").append(quoted(title_of(draft)));
    if (!draft.fallback_for.empty()) line.append(" fallback_for=").append(draft.fallback_for);
    sink_(line);
    return {};
}

}  // namespace fusebox::notifications
