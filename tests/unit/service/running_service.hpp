// The whole service in the process of the test, on a free loopback port, with a store in memory.
#pragma once

#include <chrono>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include <fusebox/transport/http_client.hpp>

#include "app.hpp"
#include "config/config_loader.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

inline const std::string quiet_config =
    "[server]\nlisten = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n[log]\nlevel = \"error\"\n";

/// The configuration of a text; an empty token is none.
inline service::ServiceConfig configuration(const std::string& toml, const std::string& admin_token = "admin",
                                            const std::string& ingest_token = "") {
    auto config = service::load_config(toml, [&](const std::string& name) -> std::optional<std::string> {
        if (name == "INCIDENTD_ADMIN_TOKEN" && !admin_token.empty()) return admin_token;
        if (name == "INCIDENTD_INGEST_TOKEN" && !ingest_token.empty()) return ingest_token;
        return std::nullopt;
    });
    if (!config) FAIL(describe(config.error().front(), "config"));
    return std::move(*config);
}

struct RunningService {
    service::App app;
    std::string url;
    transport::HttpClient client;

    explicit RunningService(service::ServiceConfig config = configuration(quiet_config)) : app(std::move(config)) {
        url = "http://" + to_string(app.start().value());
    }
    ~RunningService() { app.stop(std::chrono::seconds{1}); }

    transport::HttpResponse ask(std::string method, const std::string& path, std::string body = {},
                                const std::string& token = "", transport::Headers headers = {}) {
        headers.emplace_back("Content-Type", "application/json");
        if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
        auto response = client.send(
            {.method = std::move(method), .url = url + path, .headers = std::move(headers), .body = std::move(body)});
        if (!response) throw std::runtime_error(response.error().message);
        return std::move(*response);
    }
    nlohmann::json get(const std::string& path) { return nlohmann::json::parse(ask("GET", path).body); }
};

}  // namespace fusebox::test
