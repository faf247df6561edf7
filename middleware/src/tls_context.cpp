#include "tls_context.hpp"

#include <array>

#include <openssl/err.h>

#include <fusebox/text/file.hpp>

namespace fusebox::middleware {
namespace {

/// OpenSSL would read a pipe until its end, which need not come.
std::expected<void, std::string> check_file(const std::string& what, const std::string& path) {
    const auto content = text::read_file(path, text::max_pem_bytes);
    if (content) return {};
    return std::unexpected(what + " " + path + " " + content.error().message);
}

std::string last_error() {
    std::array<char, 256> text{};
    const auto code = ERR_peek_last_error();
    ERR_error_string_n(code, text.data(), text.size());
    ERR_clear_error();
    return code == 0 ? std::string{"OpenSSL does not say why"} : std::string{text.data()};
}

/// Without it OpenSSL would ask the terminal for the passphrase of an encrypted key.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*data*/) { return -1; }

}  // namespace

std::expected<TlsContext, std::string> make_tls_context(const std::string& certificate_file,
                                                        const std::string& key_file) {
    if (auto checked = check_file("the TLS certificate", certificate_file); !checked) {
        return std::unexpected(std::move(checked.error()));
    }
    if (auto checked = check_file("the TLS key", key_file); !checked) {
        return std::unexpected(std::move(checked.error()));
    }
    TlsContext context{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
    if (!context) return std::unexpected("cannot begin TLS: " + last_error());
    auto* tls = context.get();
    SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
    SSL_CTX_set_options(tls, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // Tickets resume sessions; a cache here would keep memory for each client that was here once.
    SSL_CTX_set_session_cache_mode(tls, SSL_SESS_CACHE_OFF);
    // All ciphers of TLS 1.3 are AEAD ciphers; these are those of TLS 1.2.
    SSL_CTX_set_cipher_list(tls, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_default_passwd_cb(tls, no_passphrase);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(tls, certificate_file.c_str()) != 1) {
        return std::unexpected("cannot use the TLS certificate " + certificate_file + ": " + last_error());
    }
    if (SSL_CTX_use_PrivateKey_file(tls, key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(tls) != 1) {
        return std::unexpected("cannot use the TLS key " + key_file + " with the certificate " + certificate_file +
                               ": " + last_error());
    }
    return context;
}

}  // namespace fusebox::middleware
