#include "config/tls_files.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>
#include <memory>
#include <new>

#include <fmt/format.h>

#include <fusebox/text/rfc3339.hpp>

namespace fusebox::service {
namespace {

template <auto free_function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        free_function(object);
    }
};
using Context = std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using File = std::unique_ptr<BIO, Free<BIO_free>>;
using BigNumber = std::unique_ptr<BIGNUM, Free<BN_free>>;
struct FreeText {
    void operator()(char* text) const noexcept { OPENSSL_free(text); }
};
using Text = std::unique_ptr<char, FreeText>;

/// Without it OpenSSL asks for a passphrase on the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*user*/) { return 0; }

Context make_context(const SSL_METHOD* method) {
    ERR_clear_error();
    Context context{SSL_CTX_new(method)};
    if (!context) throw std::bad_alloc{};
    SSL_CTX_set_default_passwd_cb(context.get(), no_passphrase);
    return context;
}

/// The first reason that OpenSSL gave, which is the one nearest to the cause.
std::string reason() {
    const auto code = ERR_get_error();
    ERR_clear_error();
    const char* words = code == 0 ? nullptr : ERR_reason_error_string(code);
    return words ? words : "no reason given";
}

std::string time_text(const ASN1_TIME* time) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(time, &parts) != 1) return "an unreadable time";
    return text::to_rfc3339(std::chrono::sys_seconds{std::chrono::seconds{::timegm(&parts)}});
}

/// The first certificate of the file; none where there is none.
Certificate read_certificate(const std::string& file_name) {
    const File file{BIO_new_file(file_name.c_str(), "r")};
    Certificate certificate{file ? PEM_read_bio_X509_AUX(file.get(), nullptr, no_passphrase, nullptr) : nullptr};
    ERR_clear_error();
    return certificate;
}

}  // namespace

std::optional<TlsMistake> check_tls_pair(const std::string& certificate_file, const std::string& key_file) {
    const auto context = make_context(TLS_server_method());
    if (SSL_CTX_use_certificate_chain_file(context.get(), certificate_file.c_str()) != 1) {
        return TlsMistake{.of_key = false,
                          .message = fmt::format("{} holds no PEM certificate that a server can use ({})",
                                                 certificate_file, reason())};
    }
    if (SSL_CTX_use_PrivateKey_file(context.get(), key_file.c_str(), SSL_FILETYPE_PEM) == 1) return std::nullopt;
    if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH ||
        ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_TYPE_MISMATCH) {
        ERR_clear_error();
        return TlsMistake{
            .of_key = true,
            .message = fmt::format("{} does not belong to the certificate in {}", key_file, certificate_file)};
    }
    return TlsMistake{.of_key = true,
                      .message = fmt::format("{} holds no PEM key without a passphrase ({})", key_file, reason())};
}

std::string identify_certificate(const std::string& certificate_file) {
    const auto certificate = read_certificate(certificate_file);
    if (!certificate) return {};
    const BigNumber serial{ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate.get()), nullptr)};
    const Text digits{serial ? BN_bn2hex(serial.get()) : nullptr};
    return fmt::format("serial {}, valid until {}", digits ? digits.get() : "unreadable",
                       time_text(X509_get0_notAfter(certificate.get())));
}

std::optional<std::string> check_validity(const std::string& certificate_file) {
    const auto certificate = read_certificate(certificate_file);
    if (!certificate) return std::nullopt;
    if (const auto* end = X509_get0_notAfter(certificate.get()); X509_cmp_current_time(end) < 0) {
        return fmt::format("{} expired at {}", certificate_file, time_text(end));
    }
    if (const auto* begin = X509_get0_notBefore(certificate.get()); X509_cmp_current_time(begin) > 0) {
        return fmt::format("{} is not valid before {}", certificate_file, time_text(begin));
    }
    return std::nullopt;
}

std::optional<std::string> check_authorities(const std::string& file) {
    const auto context = make_context(TLS_client_method());
    if (SSL_CTX_load_verify_locations(context.get(), file.c_str(), nullptr) == 1) return std::nullopt;
    return fmt::format("{} holds no PEM certificate of an authority ({})", file, reason());
}

}  // namespace fusebox::service
