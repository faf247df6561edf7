#include <fusebox/transport/http_client.hpp>

#include "support/catch.hpp"
#include "support/http_test_server.hpp"
#include "unit/transport/fake_dns.hpp"

namespace fusebox::test {

using namespace transport;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<const TestCertificate> certificate_for(std::vector<std::string> names, bool expired = false) {
    return std::make_shared<TestCertificate>(TestCertificate::Options{.names = std::move(names), .expired = expired});
}

ScriptedReply greet(const ReceivedRequest&) { return reply(200, "trusted"); }

HttpError refusal(HttpClient& client, const std::string& url) {
    const auto response =
        client.send({.method = "POST", .url = url, .headers = {{"Authorization", "s3cret"}}, .body = "{}"});
    REQUIRE_FALSE(response);
    CAPTURE(response.error().message);
    CHECK(response.error().message.find("path") == std::string::npos);
    CHECK(response.error().message.find("s3cret") == std::string::npos);
    return response.error();
}

void check_certificate_refused(HttpClient& client, const std::string& url, const std::string& reason) {
    const HttpError error = refusal(client, url);
    CAPTURE(error.message);
    CHECK(to_string(error.kind) == "certificate");
    CHECK(outcome_of(error) == Outcome::ignored);
    CHECK(error.message.find(reason) != std::string::npos);
}

}  // namespace

TEST_CASE("a certificate from an authority in ca_file is trusted") {
    const auto certificate = certificate_for({"localhost", "127.0.0.1"});
    HttpTestServer server{greet, {.certificate = certificate}};
    HttpClient client{{.ca_file = certificate->certificate_file()}};
    for (const std::string host : {"127.0.0.1", "localhost"}) {
        for (int i = 0; i < 3; ++i) {
            const auto response = client.send({.url = "https://" + host + ":" + std::to_string(server.port()) + "/"});
            REQUIRE(response);
            CHECK(response->body == "trusted");
        }
    }
    CHECK(server.connections() == 2);  // one per name
}

TEST_CASE("a self-signed certificate is refused, and nothing is sent") {
    HttpTestServer server{greet, {.certificate = certificate_for({"localhost", "127.0.0.1"})}};
    HttpClient client;
    check_certificate_refused(client, server.url("/path?s3cret"), "self-signed");
    CHECK(server.requests().empty());
}

TEST_CASE("ca_file replaces the system's authorities") {
    const auto other = certificate_for({"localhost", "127.0.0.1"});
    HttpTestServer server{greet, {.certificate = certificate_for({"localhost", "127.0.0.1"})}};
    HttpClient client{{.ca_file = other->certificate_file()}};
    check_certificate_refused(client, server.url("/path"), "certificate");
    CHECK(server.requests().empty());
}

TEST_CASE("a trusted certificate for another host is refused, and nothing is sent") {
    const auto certificate = certificate_for({"hooks.example.test"});
    HttpTestServer server{greet, {.certificate = certificate}};
    HttpClient client{{.ca_file = certificate->certificate_file()}};
    check_certificate_refused(client, server.url("/path"), "127.0.0.1");

    const FakeName right{"hooks.example.test", "127.0.0.1"};
    const FakeName wrong{"evil.example.test", "127.0.0.1"};
    const std::string port = ":" + std::to_string(server.port()) + "/path";
    check_certificate_refused(client, "https://evil.example.test" + port, "evil.example.test");
    CHECK(server.requests().empty());
    CHECK(client.send({.url = "https://hooks.example.test" + port}));
}

TEST_CASE("an expired certificate is refused") {
    const auto certificate = certificate_for({"127.0.0.1"}, true);
    HttpTestServer server{greet, {.certificate = certificate}};
    HttpClient client{{.ca_file = certificate->certificate_file()}};
    check_certificate_refused(client, server.url("/path"), "expired");
    CHECK(server.requests().empty());
}

TEST_CASE("a peer that wants a certificate gets it, and says so when it is missing or wrong") {
    const auto certificate = certificate_for({"127.0.0.1"});
    const auto ours = certificate_for({"client"});
    const auto other = certificate_for({"client"});
    HttpTestServer server{greet, {.certificate = certificate, .client_certificate = ours}};

    HttpClient right{{.ca_file = certificate->certificate_file(),
                      .client_certificate_file = ours->certificate_file(),
                      .client_key_file = ours->key_file()}};
    CHECK(right.send({.url = server.url()}));

    server.forget_requests();
    HttpClient none{{.ca_file = certificate->certificate_file()}};
    check_certificate_refused(none, server.url("/path"), "127.0.0.1");
    HttpClient wrong{{.ca_file = certificate->certificate_file(),
                      .client_certificate_file = other->certificate_file(),
                      .client_key_file = other->key_file()}};
    check_certificate_refused(wrong, server.url("/path"), "127.0.0.1");
    CHECK(server.requests().empty());
}

TEST_CASE("a key that does not belong to the certificate is a matter of configuration") {
    const auto certificate = certificate_for({"127.0.0.1"});
    const auto other = certificate_for({"client"});
    HttpTestServer server{greet, {.certificate = certificate}};
    HttpClient client{{.ca_file = certificate->certificate_file(),
                       .client_certificate_file = certificate->certificate_file(),
                       .client_key_file = other->key_file()}};
    CHECK(to_string(refusal(client, server.url("/path")).kind) == "certificate");
}

TEST_CASE("a peer that does not speak TLS is a tls error") {
    HttpTestServer server;
    HttpClient client;
    const HttpError error = refusal(client, "https://127.0.0.1:" + std::to_string(server.port()) + "/path");
    CHECK(to_string(error.kind) == "tls");
    CHECK(outcome_of(error) == Outcome::failure);
}

TEST_CASE("a peer that resets within TLS is a reset") {
    const auto certificate = certificate_for({"127.0.0.1"});
    HttpTestServer server{[](const ReceivedRequest&) { return reset(); }, {.certificate = certificate}};
    HttpClient client{{.ca_file = certificate->certificate_file()}};
    CHECK(to_string(refusal(client, server.url("/path")).kind) == "reset");
}

TEST_CASE("a guarded client refuses the inside before the TLS handshake") {
    const auto certificate = certificate_for({"127.0.0.1"});
    HttpTestServer server{greet, {.certificate = certificate}};
    HttpClient client{{.addresses = {.allow_private = false}, .ca_file = certificate->certificate_file()}};
    CHECK(to_string(refusal(client, server.url("/path")).kind) == "blocked_address");
    CHECK(server.connections() == 0);
}

}  // namespace fusebox::test
