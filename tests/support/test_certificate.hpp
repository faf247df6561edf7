// A throw-away key and self-signed certificate, made when the test runs.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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
    TestCertificate(const TestCertificate&) = delete;
    TestCertificate& operator=(const TestCertificate&) = delete;
    ~TestCertificate();

    /// PEM. Being self-signed, the certificate is also the CA file that makes it trusted.
    [[nodiscard]] std::string certificate_file() const { return (folder_ / "certificate.pem").string(); }
    [[nodiscard]] std::string key_file() const { return (folder_ / "key.pem").string(); }

private:
    std::filesystem::path folder_;
};

}  // namespace fusebox::test
