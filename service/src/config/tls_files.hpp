// Whether the files that TLS needs hold what they should, before anybody needs them.
#pragma once

#include <optional>
#include <string>

namespace fusebox::service {

/// What is wrong with a pair of files, and with which of them.
struct TlsMistake {
    bool of_key{};  ///< of the key file; else of the certificate's
    std::string message;
};

/// Loads both PEM files as a server does: the certificate with its chain, the key, and whether they belong together. A
/// key with a passphrase is refused, since nobody could be asked for it.
[[nodiscard]] std::optional<TlsMistake> check_tls_pair(const std::string& certificate_file,
                                                       const std::string& key_file);
/// "expired at …" or "is not valid before …", where that is so of the first certificate now.
[[nodiscard]] std::optional<std::string> check_validity(const std::string& certificate_file);
/// Which certificate the PEM file begins with: "serial 0A3F, valid until …"; empty where it holds none.
[[nodiscard]] std::string identify_certificate(const std::string& certificate_file);
/// Whether the PEM file holds authorities that a client can trust.
[[nodiscard]] std::optional<std::string> check_authorities(const std::string& file);

}  // namespace fusebox::service
