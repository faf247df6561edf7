#include <fusebox/core/manual_clock.hpp>
#include <fusebox/notifications/webhook_sender.hpp>
#include <fusebox/notifications/webhook_signature.hpp>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "support/catch.hpp"
#include "support/http_test_server.hpp"
#include "support/incident_samples.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using incidents::DeliveryError;
using incidents::NextMove;
using nlohmann::json;
using notifications::webhook_signature;
using notifications::WebhookSecret;
using notifications::WebhookSender;
using notifications::WebhookSettings;

namespace {

constexpr auto secret_text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr auto other_secret_text = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
constexpr auto path = "/hook/T0P-SECRET";

WebhookSettings settings_for(std::string url) {
    return {.name = "ops-hook",
            .url = std::move(url),
            .secrets = {secret_text},
            .allow_private_addresses = true,
            .timeout = 5s};
}

/// The error of one send; a delivered one fails the test.
DeliveryError error_from(WebhookSender& sender, const incidents::RequestContext& context = {}) {
    const auto sent = sender.send(sample_notification(), context);
    REQUIRE_FALSE(sent);
    INFO(sent.error().message);
    CHECK_FALSE(sent.error().message.empty());
    CHECK(sent.error().message.find("SECRET") == std::string::npos);
    CHECK(sent.error().message.find("whsec") == std::string::npos);
    return sent.error();
}
DeliveryError error_from(const WebhookSettings& settings) {
    WebhookSender sender{settings};
    return error_from(sender);
}

std::int64_t seconds(std::string_view text) { return std::stoll(std::string{text}); }

}  // namespace

TEST_CASE("a webhook is a signed POST of type, timestamp and incident") {
    HttpTestServer server;
    WebhookSender sender{settings_for(server.url(path))};
    const auto before = steady_clock().wall_now();
    auto notification = sample_notification("msg_7");
    notification.draft.created_at = new_year + 27h;
    REQUIRE(sender.send(notification, {}));
    const auto request = server.requests().at(0);
    CHECK(request.method == "POST");
    CHECK(request.target == path);
    CHECK(request.header("content-type") == "application/json");
    CHECK(request.header("webhook-id") == "msg_7");

    const auto timestamp = seconds(request.header("webhook-timestamp"));
    const auto expected = std::chrono::floor<std::chrono::seconds>(before).time_since_epoch().count();
    CHECK(timestamp >= expected);
    CHECK(timestamp <= expected + 60);
    const std::vector secrets{*WebhookSecret::parse(secret_text)};
    CHECK(request.header("webhook-signature") ==
          webhook_signature(secrets, "msg_7", incidents::WallTime{std::chrono::seconds{timestamp}}, request.body));

    const auto body = json::parse(request.body);
    CHECK(body.size() == 3);
    CHECK(body["type"] == "incident.triggered");
    CHECK(body["timestamp"] == "2026-01-02T03:00:00Z");
    CHECK(body["data"] == json::parse(sample_draft().payload));
}

TEST_CASE("a repeat carries the same id and the same bytes under a new timestamp") {
    HttpTestServer server;
    server.script({reply(500), reply(200)});
    ManualClock clock;
    auto settings = settings_for(server.url());
    settings.clock = &clock;
    WebhookSender sender{settings};
    CHECK_FALSE(sender.send(sample_notification(), {}));
    clock.advance(90s);
    REQUIRE(sender.send(sample_notification(), {}));
    const auto requests = server.requests();
    REQUIRE(requests.size() == 2);
    CHECK(requests[0].header("webhook-id") == requests[1].header("webhook-id"));
    CHECK(requests[0].body == requests[1].body);
    CHECK(seconds(requests[1].header("webhook-timestamp")) - seconds(requests[0].header("webhook-timestamp")) == 90);
    CHECK(requests[0].header("webhook-signature") != requests[1].header("webhook-signature"));
}

TEST_CASE("while a secret is replaced the signature is a list, and without secrets there is none") {
    HttpTestServer server;
    auto settings = settings_for(server.url());
    settings.secrets = {other_secret_text, secret_text};
    REQUIRE(WebhookSender{settings}.send(sample_notification(), {}));
    settings.secrets.clear();
    REQUIRE(WebhookSender{settings}.send(sample_notification(), {}));
    const auto requests = server.requests();
    const std::string list{requests.at(0).header("webhook-signature")};
    CHECK(list.size() == 2 * 47 + 1);
    CHECK(list.find(" v1,") == 47);
    CHECK_FALSE(requests.at(1).has_header("webhook-signature"));
}

TEST_CASE("every 2xx is delivered, whatever its body") {
    const auto status = GENERATE(200, 201, 202, 204);
    HttpTestServer server{reply(status, status == 204 ? "" : "thanks")};
    CHECK(WebhookSender{settings_for(server.url())}.send(sample_notification(), {}));
}

TEST_CASE("a 2xx is delivered though its body is endless, slow or cut off") {
    const auto answer = GENERATE(endless(), drip(20ms), truncated("half"));
    HttpTestServer server{answer};
    CHECK(WebhookSender{settings_for(server.url())}.send(sample_notification(), {}));
}

TEST_CASE("each status asks for its next move and counts for the breaker as the table says") {
    const auto [status, move, counts, error_class] = GENERATE(table<int, NextMove, bool, std::string>({
        {301, NextMove::retry, true, "http_3xx"},          {304, NextMove::retry, true, "http_3xx"},
        {400, NextMove::give_up, false, "http_4xx"},       {401, NextMove::retry_briefly, false, "http_4xx"},
        {402, NextMove::reconfigure, false, "http_4xx"},   {403, NextMove::retry_briefly, false, "http_4xx"},
        {404, NextMove::retry_briefly, false, "http_4xx"}, {405, NextMove::reconfigure, false, "http_4xx"},
        {407, NextMove::reconfigure, false, "http_4xx"},   {408, NextMove::retry, true, "timeout"},
        {409, NextMove::give_up, false, "http_4xx"},       {410, NextMove::give_up, false, "gone"},
        {413, NextMove::give_up, false, "http_4xx"},       {422, NextMove::give_up, false, "http_4xx"},
        {425, NextMove::retry, false, "http_4xx"},         {429, NextMove::retry_after, false, "rate_limited"},
        {500, NextMove::retry, true, "http_5xx"},          {502, NextMove::retry, true, "http_5xx"},
        {503, NextMove::retry, true, "http_5xx"},          {504, NextMove::retry, true, "http_5xx"},
    }));
    CAPTURE(status);
    HttpTestServer server{reply(status, "why")};
    const auto error = error_from(settings_for(server.url(path)));
    CHECK(error.next_move == move);
    CHECK(error.counts_as_failure == counts);
    CHECK(error.error_class == error_class);
    CHECK(error.status == status);
    CHECK_FALSE(error.retry_after);
    CHECK(error.disable_destination == (status == 410));
    CHECK(error.message.starts_with("127.0.0.1:" + std::to_string(server.port()) + " answered " +
                                    std::to_string(status)));
}

TEST_CASE("429 and 503 with Retry-After name a time, in seconds or as a date") {
    const auto status = GENERATE(429, 503);
    ManualClock clock;  // 2026-01-01T00:00:00Z
    const auto [value, time] = GENERATE(table<std::string, std::optional<std::chrono::milliseconds>>({
        {"3", 3s},
        {"0", 0s},
        {"Thu, 01 Jan 2026 00:01:30 GMT", 90s},
    }));
    HttpTestServer server{reply(status, "", {{"Retry-After", value}})};
    auto settings = settings_for(server.url());
    settings.clock = &clock;
    const auto error = error_from(settings);
    CHECK(error.next_move == NextMove::retry_after);
    CHECK(error.retry_after == time);
    CHECK(error.counts_as_failure == (status == 503));
}

TEST_CASE("a redirect is not followed") {
    HttpTestServer elsewhere;
    HttpTestServer server{redirect(elsewhere.url("/stolen"))};
    CHECK(error_from(settings_for(server.url())).status == 302);
    CHECK(elsewhere.connections() == 0);
}

TEST_CASE("what never answered is tried again and counts for the breaker") {
    const auto check = [](const DeliveryError& error, std::string_view error_class) {
        CHECK(error.next_move == NextMove::retry);
        CHECK(error.counts_as_failure);
        CHECK(error.error_class == error_class);
        CHECK_FALSE(error.status);
    };
    SECTION("refused") {
        const RefusingPort port;
        check(error_from(settings_for(port.url(path))), "connect");
    }
    SECTION("no such host") { check(error_from(settings_for("http://no-such-host.invalid/SECRET")), "dns"); }
    SECTION("hangs") {
        HttpTestServer server{hang()};
        auto settings = settings_for(server.url(path));
        settings.timeout = 100ms;
        check(error_from(settings), "timeout");
    }
    SECTION("the caller's deadline is earlier") {
        HttpTestServer server{hang()};
        WebhookSender sender{settings_for(server.url(path))};
        check(error_from(sender, {.deadline = std::chrono::steady_clock::now() + 100ms, .stop = {}}), "timeout");
    }
    SECTION("closes") {
        HttpTestServer server{close_at_once()};
        check(error_from(settings_for(server.url(path))), "reset");
    }
    SECTION("resets") {
        HttpTestServer server{reset()};
        check(error_from(settings_for(server.url(path))), "reset");
    }
}

TEST_CASE("a private address is a matter of configuration unless it is allowed") {
    HttpTestServer server;
    auto settings = settings_for(server.url(path));
    settings.allow_private_addresses = false;
    const auto error = error_from(settings);
    CHECK(error.next_move == NextMove::reconfigure);
    CHECK(error.error_class == "blocked_address");
    CHECK_FALSE(error.counts_as_failure);
    CHECK(server.requests().empty());
}

TEST_CASE("a certificate that is not trusted is a matter of configuration, and one that is delivers") {
    const auto certificate = std::make_shared<const TestCertificate>();
    HttpTestServer server{[](const ReceivedRequest&) { return reply(200); }, {.certificate = certificate}};
    auto settings = settings_for(server.url(path));
    const auto error = error_from(settings);
    CHECK(error.next_move == NextMove::reconfigure);
    CHECK(error.error_class == "certificate");
    CHECK_FALSE(error.counts_as_failure);
    settings.ca_file = certificate->certificate_file();
    CHECK(WebhookSender{settings}.send(sample_notification(), {}));
}

TEST_CASE("a cancelled send is put off and says nothing about the receiver") {
    std::stop_source source;
    HttpTestServer server{[&](const ReceivedRequest&) {
        source.request_stop();
        return hang();
    }};
    WebhookSender sender{settings_for(server.url(path))};
    const auto error = error_from(sender, {.deadline = {}, .stop = source.get_token()});
    CHECK(error.next_move == NextMove::defer);
    CHECK(error.error_class == "cancelled");
    CHECK_FALSE(error.counts_as_failure);
}

TEST_CASE("a body that is too large loses timeline, annotations and labels, in this order, before it is refused") {
    HttpTestServer server;
    auto settings = settings_for(server.url());
    settings.max_body_bytes = 2048;
    WebhookSender sender{settings};
    auto incident = sample_incident();
    const auto send = [&] {
        auto notification = sample_notification();
        notification.draft = sample_draft("msg_1", incident);
        server.forget_requests();
        return sender.send(notification, {});
    };
    const auto data = [&] { return json::parse(server.requests().at(0).body)["data"]; };

    incident.timeline[0].detail.assign(2048, 'x');
    REQUIRE(send());
    CHECK_FALSE(data().contains("timeline"));
    CHECK(data().contains("annotations"));
    CHECK(data()["trimmed"] == json{"timeline"});
    CHECK(data()["id"] == "inc_1");

    incident.annotations["more"].assign(2048, 'x');
    REQUIRE(send());
    CHECK(data()["trimmed"] == json{"timeline", "annotations"});
    CHECK(data().contains("labels"));

    incident.labels["more"].assign(2048, 'x');
    REQUIRE(send());
    CHECK(data()["trimmed"] == json{"timeline", "annotations", "labels"});
    CHECK(server.requests().at(0).body.size() <= 2048);

    incident.title.assign(2048, 'x');
    const auto refused = send();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().next_move == NextMove::give_up);
    CHECK(refused.error().error_class == "too_large");
    CHECK(server.requests().empty());
}

TEST_CASE("a payload that is no JSON object cannot be sent") {
    const auto* payload = GENERATE("", "{", "[]", "{\"title\":\"\xff\"}");
    HttpTestServer server;
    WebhookSender sender{settings_for(server.url())};
    auto notification = sample_notification();
    notification.draft.payload = payload;
    const auto sent = sender.send(notification, {});
    REQUIRE_FALSE(sent);
    CHECK(sent.error().next_move == NextMove::give_up);
    CHECK(sent.error().error_class == "payload");
    CHECK(server.requests().empty());
}

TEST_CASE("a bad configuration is refused with every field named and nothing secret shown") {
    WebhookSettings settings{.name = "ops-hook",
                             .url = "ftp://user:SECRET@hooks.example/SECRET",
                             .secrets = {secret_text, "whsec_SECRET"},
                             .timeout = 0s,
                             .max_body_bytes = 10,
                             .clock = nullptr};
    try {
        const WebhookSender sender{settings};
        FAIL("accepted");
    } catch (const std::invalid_argument& error) {
        CHECK(std::string{error.what()} ==
              "webhook destination 'ops-hook': url: must begin with http:// or https:// and name a host; "
              "secret 2: what follows whsec_ must be base64, with its padding; timeout: must be more than 0; "
              "max_body_bytes: must be at least 1024; clock: must be set");
    }
}

TEST_CASE("a URL must name a host over http or https") {
    const auto* url =
        GENERATE("", "hooks.example", "http://", "https:///hook", "http://user@/hook", "http://a b/", "file:///etc");
    CHECK_THROWS_AS(WebhookSender{settings_for(url)}, std::invalid_argument);
}

}  // namespace fusebox::test
