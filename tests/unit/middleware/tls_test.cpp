#include <fusebox/middleware/http_server.hpp>

#include <arpa/inet.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <memory>

#include <openssl/ssl.h>

#include <fusebox/text/file.hpp>
#include <fusebox/transport/http_client.hpp>

#include "connection.hpp"
#include "raw_client.hpp"
#include "support/catch.hpp"
#include "support/temporary_folder.hpp"
#include "support/test_certificate.hpp"

namespace fusebox::test {

using namespace middleware;

namespace {

std::unique_ptr<HttpServer> tls_server(const std::string& certificate, const std::string& key) {
    Router router;
    router.add("GET", "/hello", [](const Request&) { return Response{.content_type = "text/plain", .body = "hello"}; });
    return std::make_unique<HttpServer>(std::move(router),
                                        HttpServerOptions{.tls_certificate_file = certificate, .tls_key_file = key});
}

/// A client whose versions and ciphers are chosen; trusts everybody.
class TlsClient {
public:
    TlsClient(int port, int version, const char* ciphers) : raw_(port), context_(SSL_CTX_new(TLS_client_method())) {
        block_broken_pipe_signal();  // a refused handshake ends with an alert to who has hung up
        SSL_CTX_set_security_level(context_.get(), 0);
        SSL_CTX_set_min_proto_version(context_.get(), version);
        SSL_CTX_set_max_proto_version(context_.get(), version);
        if (ciphers) SSL_CTX_set_cipher_list(context_.get(), ciphers);
        tls_.reset(SSL_new(context_.get()));
        SSL_set_fd(tls_.get(), raw_.socket());
        connected_ = SSL_connect(tls_.get()) == 1;
    }
    [[nodiscard]] bool connected() const { return connected_; }
    [[nodiscard]] std::string cipher() const { return SSL_get_cipher_name(tls_.get()); }
    std::string ask(const std::string& bytes) {
        SSL_write(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
        std::string answer(4096, '\0');
        const int got = SSL_read(tls_.get(), answer.data(), static_cast<int>(answer.size()));
        answer.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return answer;
    }

private:
    struct Free {
        void operator()(SSL* tls) const { SSL_free(tls); }
        void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    };
    RawClient raw_;
    std::unique_ptr<SSL_CTX, Free> context_;
    std::unique_ptr<SSL, Free> tls_;
    bool connected_{};
};

bool trusts(const TestCertificate& certificate, int port) {
    fusebox::transport::HttpClient client{{.ca_file = certificate.certificate_file()}};
    const auto url = "https://127.0.0.1:" + std::to_string(port) + "/hello";
    return client.send({.method = "GET", .url = url, .headers = {}, .body = {}}).has_value();
}

}  // namespace

TEST_CASE("TLS is 1.2 or newer, with AEAD ciphers only") {
    const TestCertificate certificate;
    const auto server = tls_server(certificate.certificate_file(), certificate.key_file());
    const int port = server->start().value();
    CHECK(TlsClient(port, TLS1_3_VERSION, nullptr).connected());
    for (const auto* cipher :
         {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"}) {
        CAPTURE(cipher);
        const TlsClient client{port, TLS1_2_VERSION, cipher};
        CHECK(client.connected());
        CHECK(client.cipher() == cipher);
    }
    for (const auto* cipher : {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES128-SHA256",
                               "ECDHE-ECDSA-AES128-CCM8:ECDHE-ECDSA-AES128-SHA"}) {
        CAPTURE(cipher);
        CHECK_FALSE(TlsClient(port, TLS1_2_VERSION, cipher).connected());
    }
    CHECK_FALSE(TlsClient(port, TLS1_1_VERSION, nullptr).connected());
}

TEST_CASE("a certificate is loaded again for new connections, and old ones go on") {
    const TestCertificate first;
    const TestCertificate second;
    const TemporaryFolder folder;
    const auto certificate = (folder.path() / "server.pem").string();
    const auto key = (folder.path() / "server.key").string();
    const auto install = [&](const std::string& from_certificate, const std::string& from_key) {
        using enum std::filesystem::copy_options;
        std::filesystem::copy_file(from_certificate, certificate, overwrite_existing);
        std::filesystem::copy_file(from_key, key, overwrite_existing);
    };
    install(first.certificate_file(), first.key_file());
    const auto server = tls_server(certificate, key);
    const int port = server->start().value();
    CHECK(trusts(first, port));
    TlsClient old{port, TLS1_3_VERSION, nullptr};
    REQUIRE(old.connected());

    install(second.certificate_file(), first.key_file());
    const auto mismatch = server->read_tls();
    REQUIRE_FALSE(mismatch);
    CHECK(mismatch.error().find(key) != std::string::npos);
    CHECK(trusts(first, port));

    install(second.certificate_file(), second.key_file());
    const auto use = server->read_tls();
    REQUIRE(use);
    CHECK(trusts(first, port));
    (*use)();
    CHECK(trusts(second, port));
    CHECK_FALSE(trusts(first, port));
    CHECK(old.ask(request("GET", "/hello")).find("hello") != std::string::npos);
}

TEST_CASE("a certificate or key that cannot be used is named, and nobody waits for it") {
    const TestCertificate good;
    const TemporaryFolder folder;
    const auto pipe = (folder.path() / "pipe").string();
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    const auto garbage = (folder.path() / "garbage.pem").string();
    std::ofstream{garbage} << "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n";
    const auto encrypted = (folder.path() / "encrypted.key").string();
    std::ofstream{encrypted} << "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                                "DEK-Info: AES-128-CBC,00000000000000000000000000000000\n\nAAAA\n"
                                "-----END RSA PRIVATE KEY-----\n";
    for (const auto& bad : {pipe, garbage, encrypted, std::string{"/dev/zero"}, std::string{"/nonexistent.pem"},
                            folder.path().string()}) {
        CAPTURE(bad);
        const auto no_certificate = tls_server(bad, good.key_file())->start();
        REQUIRE_FALSE(no_certificate);
        CHECK(no_certificate.error().find(bad) != std::string::npos);
        const auto no_key = tls_server(good.certificate_file(), bad)->start();
        REQUIRE_FALSE(no_key);
        CHECK(no_key.error().find(bad) != std::string::npos);
    }
    const auto without_tls = tls_server("", "");
    const auto nothing = without_tls->read_tls();
    REQUIRE(nothing);
    (*nothing)();
}

TEST_CASE("a file of certificates may be as large as anywhere else") {
    const TestCertificate good;
    const TemporaryFolder folder;
    const auto padded = (folder.path() / "padded.pem").string();
    std::filesystem::copy_file(good.certificate_file(), padded);
    const auto pad_to = [&](std::size_t size) {
        std::ofstream{padded, std::ios::app} << std::string(size - std::filesystem::file_size(padded), '\n');
    };
    pad_to(text::max_pem_bytes);
    CHECK(tls_server(padded, good.key_file())->start());
    pad_to(text::max_pem_bytes + 1);
    const auto too_large = tls_server(padded, good.key_file())->start();
    REQUIRE_FALSE(too_large);
    CHECK(too_large.error().find(padded) != std::string::npos);
}

TEST_CASE("a request in the clear to a server that speaks TLS is closed") {
    const TestCertificate certificate;
    const auto server = tls_server(certificate.certificate_file(), certificate.key_file());
    RawClient client{server->start().value()};
    client.send(request("GET", "/hello"));
    CHECK(client.closes_within(5000));
    CHECK(client.receive().status == 0);
}

}  // namespace fusebox::test
