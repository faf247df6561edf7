#include "sha256.hpp"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

namespace fusebox::incidents {

Sha256 sha256(std::string_view bytes) {
    // Looking the algorithm up takes longer than hashing an alert, so each thread keeps what it has found.
    using Algorithm = std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)>;
    using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;
    thread_local const Algorithm algorithm{EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free};
    thread_local const Context context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};

    Sha256 digest{};
    unsigned size = 0;
    if (!algorithm || !context || EVP_DigestInit_ex2(context.get(), algorithm.get(), nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), digest.data(), &size) != 1 || size != digest.size()) {
        throw std::runtime_error("libcrypto cannot compute SHA-256");
    }
    return digest;
}

}  // namespace fusebox::incidents
