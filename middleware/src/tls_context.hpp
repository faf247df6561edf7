// The server's side of TLS: versions, ciphers, certificate and key.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include <openssl/ssl.h>

namespace fusebox::middleware {

/// Connections that were made from a context keep what they need of it.
using TlsContext = std::shared_ptr<SSL_CTX>;

/// TLS 1.2 or newer, with AEAD ciphers and forward secrecy only. One sentence if a file is no regular one, is larger
/// than `text::max_pem_bytes`, or has not what it should: PEM, the certificate first in its chain, a key that is its
/// own and not encrypted.
[[nodiscard]] std::expected<TlsContext, std::string> make_tls_context(const std::string& certificate_file,
                                                                      const std::string& key_file);

}  // namespace fusebox::middleware
