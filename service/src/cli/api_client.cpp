#include "cli/api_client.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <fusebox/text/printable.hpp>

namespace fusebox::service::cli {
namespace {

std::string text_of(const nlohmann::json& object, const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_string() ? text::printable(found->get_ref<const std::string&>())
                                                       : std::string{};
}

}  // namespace

ApiClient::ApiClient(std::string url, Secret token, std::string ca_file)
    : url_(std::move(url)),
      token_(std::move(token)),
      client_(transport::HttpClientConfig{
          .max_response_bytes = 64U << 20U, .ca_file = std::move(ca_file), .user_agent = "fusebox-cli"}) {
    while (url_.ends_with('/')) url_.pop_back();
}

std::expected<Answer, std::string> ApiClient::get(const std::string& path) { return send("GET", path, {}); }

std::expected<Answer, std::string> ApiClient::post(const std::string& path, std::string body) {
    return send("POST", path, std::move(body));
}

std::expected<Answer, std::string> ApiClient::send(const char* method, const std::string& path, std::string body) {
    transport::HttpRequest request{.method = method, .url = url_ + path, .headers = {}, .body = std::move(body)};
    if (request.method == "POST") request.headers.emplace_back("Content-Type", "application/json");
    if (!token_.empty()) request.headers.emplace_back("Authorization", "Bearer " + token_.reveal());
    auto response = client_.send(request);
    if (!response) return std::unexpected(describe_failure(url_, response.error()));
    return Answer{.status = response->status, .body = std::move(response->body)};
}

std::string describe_failure(std::string_view url, const transport::HttpError& error) {
    using enum transport::HttpError::Kind;
    auto text = fmt::format("cannot reach {}: {}", text::printable(url), text::printable(error.message));
    if (error.kind == certificate)
        text += "\nGive the authority that signed its certificate with --ca-file FILE or in FUSEBOX_CA_FILE.";
    if (error.kind == reset && url.starts_with("http://"))
        text += "\nWhere incidentd has a certificate, the URL begins with https://.";
    if (error.kind == bad_request && url.find("://") == std::string_view::npos)
        text += fmt::format("\nGive it whole: http://{} or https://{}.", text::printable(url), text::printable(url));
    return text;
}

std::string percent_encode(std::string_view text) {
    constexpr std::string_view unreserved = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    std::string result;
    for (const char c : text) {
        if (unreserved.find(c) != std::string_view::npos) {
            result += c;
        } else {
            result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    return result;
}

std::string describe_problem(const Answer& answer) {
    const auto problem = nlohmann::json::parse(answer.body, nullptr, false);
    std::string text = std::to_string(answer.status);
    if (problem.is_object()) {
        text += fmt::format(" {}: {}", text_of(problem, "title"), text_of(problem, "detail"));
        if (const auto errors = problem.find("errors"); errors != problem.end() && errors->is_array()) {
            for (const auto& error : *errors) {
                if (error.is_object())
                    text += fmt::format("\n  {}: {}", text_of(error, "field"), text_of(error, "message"));
            }
        }
    } else {
        text += ": the answer is not incidentd's; is the URL right?";
    }
    if (answer.status == 401) text += "\nGive the token with --token-file FILE or in FUSEBOX_TOKEN.";
    return text;
}

}  // namespace fusebox::service::cli
