// incidentd's API as the fusebox command uses it.
#pragma once

#include <expected>
#include <string>
#include <string_view>

#include <fusebox/transport/http_client.hpp>

#include "config/secret.hpp"

namespace fusebox::service::cli {

struct Answer {
    int status{};
    std::string body;
    [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }
};

class ApiClient {
public:
    /// `url`: "http://127.0.0.1:8080"; an empty token sends none; `ca_file`: PEM of the authorities to trust; empty:
    /// the system's.
    ApiClient(std::string url, Secret token, std::string ca_file);

    /// An answer of any status, or one sentence about why there is none.
    std::expected<Answer, std::string> get(const std::string& path);
    std::expected<Answer, std::string> post(const std::string& path, std::string body);

private:
    std::expected<Answer, std::string> send(const char* method, const std::string& path, std::string body);

    std::string url_;
    Secret token_;
    transport::HttpClient client_;
};

/// Why there was no answer, and what to try where the kind of the failure tells.
[[nodiscard]] std::string describe_failure(std::string_view url, const transport::HttpError& error);
/// Percent-encodes one segment of a path or one value of a query.
[[nodiscard]] std::string percent_encode(std::string_view text);
/// "404 Not Found: there is no circuit breaker named 'x'", with the wrong fields, from a problem; with a hint about
/// tokens where one is missing.
[[nodiscard]] std::string describe_problem(const Answer& answer);

}  // namespace fusebox::service::cli
