#include <fusebox/middleware/health_routes.hpp>

#include <algorithm>
#include <memory>

#include <nlohmann/json.hpp>

#include <fusebox/text/rfc3339.hpp>

namespace fusebox::middleware {
namespace {

using Json = nlohmann::ordered_json;

HealthStatus status_of(const BreakerHealth& breaker) {
    if (!is_failure_state(breaker.state)) return HealthStatus::pass;
    const bool critical = breaker.criticality == Criticality::critical && breaker.state != State::half_open;
    return critical ? HealthStatus::fail : HealthStatus::warn;
}

Response health_response(HealthStatus status, const Json& body) {
    return {.status = status == HealthStatus::fail ? 503 : 200,
            .content_type = "application/health+json",
            .body = body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

std::vector<HealthCheck> all_checks(const Registry& registry, const HealthOptions& options) {
    std::vector<HealthCheck> checks;
    if (options.ready) {
        const auto ready = options.ready();
        checks.push_back({.name = "ready",
                          .component_type = "datastore",
                          .status = ready ? HealthStatus::pass : HealthStatus::fail,
                          .output = ready ? std::string{} : ready.error()});
    }
    if (options.checks) std::ranges::move(options.checks(), std::back_inserter(checks));
    for (auto& breaker : registry.health_check().breakers) {
        const auto status = status_of(breaker);
        checks.push_back({.name = "circuit_breaker:" + breaker.name,
                          .component_type = "circuit_breaker",
                          .status = status,
                          .output = status == HealthStatus::pass ? std::string{} : std::move(breaker.why)});
    }
    return checks;
}

Response health(const Registry& registry, const HealthOptions& options, const Request& request) {
    const auto checks = all_checks(registry, options);
    auto worst = HealthStatus::pass;
    for (const auto& check : checks) worst = std::max(worst, check.status);
    Json body{{"status", to_string(worst)}};
    if (!options.may_see_details || !options.may_see_details(request)) return health_response(worst, body);

    body["version"] = options.version;
    const auto now = text::to_rfc3339(steady_clock().wall_now());
    auto& shown = body["checks"] = Json::object();
    for (const auto& check : checks) {
        Json entry{{"status", to_string(check.status)}, {"componentType", check.component_type}, {"time", now}};
        if (!check.output.empty()) entry["output"] = check.output;
        shown[check.name] = Json::array({std::move(entry)});
    }
    return health_response(worst, body);
}

}  // namespace

std::string_view to_string(HealthStatus status) noexcept {
    switch (status) {
        case HealthStatus::pass:
            return "pass";
        case HealthStatus::warn:
            return "warn";
        case HealthStatus::fail:
            return "fail";
    }
    return "fail";
}

void add_health_routes(Router& router, const Registry& registry, HealthOptions chosen) {
    const auto options = std::make_shared<const HealthOptions>(std::move(chosen));
    const auto add = [&router](const char* path, Handler handler) {
        router.add("GET", path, std::move(handler)).always_answered = true;
    };
    add("/livez", [](const Request&) { return health_response(HealthStatus::pass, {{"status", "pass"}}); });
    add("/readyz", [options](const Request& request) {
        const auto ready = options->ready ? options->ready() : std::expected<void, std::string>{};
        if (ready) return health_response(HealthStatus::pass, {{"status", "pass"}});
        Json body{{"status", "fail"}};
        if (options->may_see_details && options->may_see_details(request)) body["output"] = ready.error();
        return health_response(HealthStatus::fail, body);
    });
    add("/health", [&registry, options](const Request& request) { return health(registry, *options, request); });
}

void add_metrics_route(Router& router, std::function<std::string()> text) {
    router.add("GET", "/metrics", [text = std::move(text)](const Request&) {
        return Response{.status = 200, .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = text()};
    });
}

}  // namespace fusebox::middleware
