#include <fusebox/notifications/webhook_sender.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <utility>

#include <fusebox/notifications/webhook_signature.hpp>
#include <fusebox/text/ascii.hpp>
#include <fusebox/text/rfc3339.hpp>
#include <fusebox/transport/http_client.hpp>
#include <nlohmann/json.hpp>

namespace fusebox::notifications {

using incidents::DeliveryError;
using incidents::NextMove;
using transport::HttpError;

namespace {

/// "host:port" of an http or https URL, without user and password; empty if `url` is not one.
std::string_view host_of(std::string_view url) {
    const auto scheme_end = url.find("://");
    if (scheme_end == std::string_view::npos) return {};
    const auto scheme = url.substr(0, scheme_end);
    if (!text::equal_without_case(scheme, "http") && !text::equal_without_case(scheme, "https")) return {};
    url.remove_prefix(scheme_end + 3);
    url = url.substr(0, url.find_first_of("/?#"));
    if (const auto at = url.rfind('@'); at != std::string_view::npos) url.remove_prefix(at + 1);
    const bool readable = std::ranges::all_of(url, [](char c) { return c != ' ' && !text::is_control(c); });
    return readable ? url : std::string_view{};
}

DeliveryError error_of(const HttpError& error) {
    DeliveryError result;
    const Outcome outcome = transport::outcome_of(error);
    result.counts_as_failure = outcome == Outcome::failure || outcome == Outcome::timeout;
    result.message = error.message;
    switch (error.kind) {
        case HttpError::Kind::bad_request:
        case HttpError::Kind::blocked_address:
        case HttpError::Kind::certificate:
            result.next_move = NextMove::reconfigure;
            break;
        case HttpError::Kind::cancelled:
            result.next_move = NextMove::defer;
            break;
        default:
            result.next_move = NextMove::retry;
    }
    result.error_class = error.kind == HttpError::Kind::resolve ? "dns" : std::string{to_string(error.kind)};
    return result;
}

/// What an answer other than 2xx asks for; docs/outcomes.md, "Webhooks".
DeliveryError error_of(const transport::HttpResponse& response, std::string_view host, WallTime now) {
    const int status = response.status;
    DeliveryError error;
    error.status = status;
    error.message = std::string{host} + " answered " + std::to_string(status);
    if (const auto hint = transport::parse_retry_after(response.header("retry-after"), now)) {
        error.retry_after = std::chrono::ceil<std::chrono::milliseconds>(*hint);
    }
    if (status == 429) {
        error.next_move = NextMove::retry_after;
        error.error_class = "rate_limited";
    } else if (status == 410) {
        error.next_move = NextMove::give_up;
        error.error_class = "gone";
        error.message += ": it wants nothing more";
        error.disable_destination = true;
    } else if (status == 408) {
        error.next_move = NextMove::retry;
        error.error_class = "timeout";
        error.counts_as_failure = true;
    } else if (status == 425) {
        error.next_move = NextMove::retry;
        error.error_class = "http_4xx";
    } else if (status >= 400 && status < 500) {
        const auto is_one_of = [status](const auto& list) { return std::ranges::find(list, status) != list.end(); };
        // Credentials and address; the rest is about the payload.
        constexpr std::array passing{401, 403, 404};
        constexpr std::array lasting{402, 405, 407};
        error.next_move = is_one_of(passing)   ? NextMove::retry_briefly
                          : is_one_of(lasting) ? NextMove::reconfigure
                                               : NextMove::give_up;
        error.error_class = "http_4xx";
    } else {
        error.counts_as_failure = true;
        error.next_move = status == 503 && error.retry_after ? NextMove::retry_after : NextMove::retry;
        error.error_class = status >= 500 ? "http_5xx" : status >= 300 ? "http_3xx" : "http_unexpected";
        if (status >= 300 && status < 400) error.message += ": a redirect is not followed";
    }
    return error;
}

DeliveryError cannot_render(std::string error_class, std::string message) {
    DeliveryError error;
    error.next_move = NextMove::give_up;
    error.error_class = std::move(error_class);
    error.message = std::move(message);
    return error;
}

/// The body, the same bytes for every attempt: no part of the body depends on the time of sending.
std::expected<std::string, DeliveryError> render(const incidents::NotificationDraft& draft, std::size_t max_bytes) {
    auto incident = nlohmann::json::parse(draft.payload, nullptr, false);
    if (!incident.is_object())
        return std::unexpected(cannot_render("payload", "the stored incident is not a JSON object"));
    nlohmann::ordered_json head{{"type", draft.kind}, {"timestamp", text::to_rfc3339(draft.created_at)}};
    std::string body = head.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    body.back() = ',';
    body.append(R"("data":)");
    const std::size_t head_size = body.size();
    body.append(draft.payload).append("}");

    nlohmann::json trimmed = nlohmann::json::array();
    for (const char* part : {"timeline", "annotations", "labels"}) {
        if (body.size() <= max_bytes) return body;
        if (incident.erase(part) == 0) continue;
        trimmed.push_back(part);
        incident["trimmed"] = trimmed;
        body.resize(head_size);
        body.append(incident.dump()).append("}");
    }
    if (body.size() <= max_bytes) return body;
    return std::unexpected(cannot_render(
        "too_large", "the incident has " + std::to_string(body.size()) +
                         " bytes without timeline, annotations and labels, more than " + std::to_string(max_bytes)));
}

}  // namespace

struct WebhookSender::Impl {
    std::string name;
    std::string url;
    std::string host;
    std::vector<WebhookSecret> secrets;
    std::size_t max_body_bytes;
    const Clock& clock;
    transport::HttpClient client;
};

WebhookSender::WebhookSender(const WebhookSettings& settings) {
    std::string errors;
    const auto bad = [&errors](std::string_view field, std::string_view message) {
        errors.append(errors.empty() ? "" : "; ").append(field).append(": ").append(message);
    };
    if (settings.name.empty()) bad("name", "must not be empty");
    const std::string_view host = host_of(settings.url);
    if (host.empty()) bad("url", "must begin with http:// or https:// and name a host");
    std::vector<WebhookSecret> secrets;
    for (std::size_t i = 0; i < settings.secrets.size(); ++i) {
        auto secret = WebhookSecret::parse(settings.secrets[i]);
        if (secret) {
            secrets.push_back(std::move(*secret));
        } else {
            bad(settings.secrets.size() == 1 ? "secret" : "secret " + std::to_string(i + 1), secret.error());
        }
    }
    if (settings.timeout <= Duration::zero()) bad("timeout", "must be more than 0");
    if (settings.max_body_bytes < 1024) bad("max_body_bytes", "must be at least 1024");
    if (!settings.clock) bad("clock", "must be set");
    if (!errors.empty()) throw std::invalid_argument("webhook destination '" + settings.name + "': " + errors);

    transport::HttpClientConfig config;
    config.timeout = settings.timeout;
    config.connect_timeout = std::min(config.connect_timeout, settings.timeout);
    config.max_idle_handles = settings.max_idle_connections;
    config.addresses.allow_private = settings.allow_private_addresses;
    config.ca_file = settings.ca_file;
    impl_.reset(new Impl{settings.name, settings.url, std::string{host}, std::move(secrets), settings.max_body_bytes,
                         *settings.clock, transport::HttpClient{std::move(config)}});
}

WebhookSender::~WebhookSender() = default;

std::string_view WebhookSender::destination() const noexcept { return impl_->name; }

std::expected<void, DeliveryError> WebhookSender::send(const incidents::Notification& notification,
                                                       const incidents::RequestContext& context) {
    const auto& draft = notification.draft;
    auto body = render(draft, impl_->max_body_bytes);
    if (!body) return std::unexpected(std::move(body.error()));

    const WallTime now = impl_->clock.wall_now();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count();
    transport::HttpRequest request{.method = "POST",
                                   .url = impl_->url,
                                   .headers = {{"content-type", "application/json"},
                                               {"webhook-id", draft.id},
                                               {"webhook-timestamp", std::to_string(seconds)}},
                                   .body = std::move(*body),
                                   .status_decides = true};
    if (!impl_->secrets.empty()) {
        request.headers.emplace_back("webhook-signature",
                                     webhook_signature(impl_->secrets, draft.id, now, request.body));
    }
    const auto response = impl_->client.send(request, CallContext{impl_->clock, context.deadline, context.stop});
    if (!response) return std::unexpected(error_of(response.error()));
    if (response->status >= 200 && response->status < 300) return {};
    return std::unexpected(error_of(*response, impl_->host, now));
}

}  // namespace fusebox::notifications
