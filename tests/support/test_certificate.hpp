// A throw-away key and self-signed certificate, made when the test runs.
#pragma once

#include <string>
#include <vector>

#include "support/temporary_folder.hpp"

namespace fusebox::test {

/// Files live in a temporary folder of their own and go with the object.
class TestCertificate {
public:
    struct Options {
        std::vector<std::string> names{"localhost", "127.0.0.1"};  ///< DNS names and numeric addresses
        bool expired{false};
    };

    TestCertificate();
    explicit TestCertificate(const Options& options);

    /// PEM. Being self-signed, the certificate is also the CA file that makes it trusted.
    [[nodiscard]] std::string certificate_file() const { return (folder_.path() / "certificate.pem").string(); }
    [[nodiscard]] std::string key_file() const { return (folder_.path() / "key.pem").string(); }

private:
    TemporaryFolder folder_;
};

}  // namespace fusebox::test
