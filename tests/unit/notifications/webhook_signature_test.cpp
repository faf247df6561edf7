#include <fusebox/notifications/webhook_signature.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using incidents::WallTime;
using notifications::webhook_signature;
using notifications::WebhookSecret;

namespace {

constexpr auto id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
constexpr auto body = R"({"test": 2432232314})";
const WallTime sent_at{std::chrono::seconds{1614265330}};
constexpr auto secret_text = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr auto signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

WebhookSecret secret(const char* text) {
    auto parsed = WebhookSecret::parse(text);
    REQUIRE(parsed);
    return *std::move(parsed);
}

}  // namespace

TEST_CASE("the example of Standard Webhooks gets its signature") {
    const std::vector secrets{secret(secret_text)};
    CHECK(webhook_signature(secrets, id, sent_at, body) == signature);
}

TEST_CASE("the signature holds the id, the whole second and the body") {
    const std::vector secrets{secret(secret_text)};
    CHECK(webhook_signature(secrets, id, sent_at + std::chrono::microseconds{999'999}, body) == signature);
    CHECK(webhook_signature(secrets, id, sent_at + std::chrono::seconds{1}, body) != signature);
    CHECK(webhook_signature(secrets, "msg_2", sent_at, body) != signature);
    CHECK(webhook_signature(secrets, id, sent_at, "{}") != signature);
}

TEST_CASE("while a secret is replaced both sign, in the order given") {
    const char* const other_text = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const std::vector both{secret(other_text), secret(secret_text)};
    const std::vector other{secret(other_text)};
    CHECK(webhook_signature(both, id, sent_at, body) == webhook_signature(other, id, sent_at, body) + " " + signature);
}

TEST_CASE("a secret has 24 to 64 bytes") {
    CHECK(WebhookSecret::parse("whsec_" + std::string(32, 'A')));         // 24 bytes
    CHECK(WebhookSecret::parse("whsec_" + std::string(86, 'A') + "=="));  // 64 bytes
    CHECK(WebhookSecret::parse("whsec_" + std::string(31, 'A') + "=").error() == "holds 23 bytes, must hold 24 to 64");
    CHECK(WebhookSecret::parse("whsec_" + std::string(87, 'A') + "=").error() == "holds 65 bytes, must hold 24 to 64");
    CHECK(WebhookSecret::parse("whsec_").error() == "holds 0 bytes, must hold 24 to 64");
}

TEST_CASE("what is not a secret is refused without showing any of it") {
    const auto [text, error] = GENERATE(table<std::string, std::string>({
        {"", "must begin with whsec_"},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with whsec_"},
        {"whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "must begin with whsec_"},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "what follows whsec_ must be base64, with its padding"},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa w", "what follows whsec_ must be base64, with its padding"},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", "what follows whsec_ must be base64, with its padding"},
        {"whsec_MfKQ9r8GKYqr=wjUPD8ILPZIo2LaLaSw", "what follows whsec_ must be base64, with its padding"},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_", "what follows whsec_ must be base64, with its padding"},
        {"whsec_====", "what follows whsec_ must be base64, with its padding"},
    }));
    const auto secret = WebhookSecret::parse(text);
    REQUIRE_FALSE(secret);
    CHECK(secret.error() == error);
}

}  // namespace fusebox::test
