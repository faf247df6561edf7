#include "support/test_certificate.hpp"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

namespace fusebox::test {

namespace {

template <auto free_function>
struct Free {
    template <class T>
    void operator()(T* object) const {
        free_function(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Free<X509_EXTENSION_free>>;
using File = std::unique_ptr<std::FILE, Free<std::fclose>>;

void require(bool done, const char* what) {
    if (!done) throw std::runtime_error(std::string("test certificate: ") + what);
}

void add_extension(X509* certificate, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
    const Extension extension{X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str())};
    require(extension && X509_add_ext(certificate, extension.get(), -1) == 1, "extension");
}

std::string alternative_names(const std::vector<std::string>& names) {
    std::string value;
    for (const std::string& name : names) {
        unsigned char address[16];
        const bool numeric =
            inet_pton(AF_INET, name.c_str(), address) == 1 || inet_pton(AF_INET6, name.c_str(), address) == 1;
        value += (value.empty() ? "" : ",") + std::string(numeric ? "IP:" : "DNS:") + name;
    }
    return value;
}

}  // namespace

TestCertificate::TestCertificate() : TestCertificate(Options{}) {}

TestCertificate::TestCertificate(const Options& options) {
    const Key key{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")};  // EVP_EC_gen casts const away
    require(key != nullptr, "key");
    const Certificate certificate{X509_new()};
    require(certificate != nullptr, "certificate");
    X509* x509 = certificate.get();
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    constexpr long day = 24L * 60 * 60;
    X509_gmtime_adj(X509_getm_notBefore(x509), -2 * day);
    X509_gmtime_adj(X509_getm_notAfter(x509), options.expired ? -day : day);
    X509_set_pubkey(x509, key.get());
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("fusebox test"), -1, -1,
                               0);
    X509_set_issuer_name(x509, name);
    add_extension(x509, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(x509, NID_subject_alt_name, alternative_names(options.names));
    require(X509_sign(x509, key.get(), EVP_sha256()) != 0, "signature");

    const File certificate_out{std::fopen(certificate_file().c_str(), "w")};
    const File key_out{std::fopen(key_file().c_str(), "w")};
    require(certificate_out && PEM_write_X509(certificate_out.get(), x509) == 1, "writing the certificate");
    require(key_out && PEM_write_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1,
            "writing the key");
}

}  // namespace fusebox::test
