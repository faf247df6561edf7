#include <fusebox/middleware/breaker_routes.hpp>

#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/printable.hpp>
#include <fusebox/text/rfc3339.hpp>

#include "seconds.hpp"

namespace fusebox::middleware {
namespace {

using Json = nlohmann::ordered_json;

std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

Json outcomes_json(const std::vector<OutcomeRecord>& outcomes) {
    Json result = Json::array();
    for (const auto& outcome : outcomes) {
        result.push_back({{"age_seconds", to_seconds(outcome.age)},
                          {"duration_seconds", to_seconds(outcome.duration)},
                          {"outcome", to_string(outcome.outcome)},
                          {"slow", outcome.slow},
                          {"message", or_null(outcome.message)},
                          {"trace_id", or_null(outcome.trace_id)}});
    }
    return result;
}

Json report_json(const TransitionReport& report) {
    return {{"sequence", report.sequence},
            {"from", to_string(report.from)},
            {"to", to_string(report.to)},
            {"reason", to_string(report.reason)},
            {"description", describe(report)},
            {"threshold", report.threshold},
            {"observed", report.observed},
            {"window",
             {{"total", report.window.total}, {"failures", report.window.failures}, {"slow", report.window.slow}}},
            {"consecutive_failures", report.consecutive_failures},
            {"last_outcomes", outcomes_json(report.last_outcomes)},
            {"open_for_seconds", to_seconds(report.open_for)},
            {"attempt", report.attempt},
            {"config_version", report.config_version},
            {"at", text::to_rfc3339(report.wall_time)},
            {"actor", or_null(report.actor)},
            {"note", or_null(report.note)}};
}

Json totals_json(const LifetimeTotals& totals) {
    return {{"requests", totals.requests},
            {"admitted", totals.admitted},
            {"successes", totals.successes},
            {"failures", totals.failures},
            {"timeouts", totals.timeouts},
            {"ignored", totals.ignored},
            {"abandoned", totals.abandoned},
            {"stale", totals.stale},
            {"slow", totals.slow},
            {"rejected", totals.rejected},
            {"rejected_open", totals.rejected_open},
            {"rejected_probes", totals.rejected_probes},
            {"fallbacks", totals.fallbacks},
            {"probes", totals.probes}};
}

Json breaker_json(const CircuitBreaker& breaker, Criticality criticality) {
    const auto metrics = breaker.metrics();
    const auto reports = breaker.reports();
    const bool is_open = metrics.state == State::open || metrics.state == State::forced_open;
    const auto trip = is_open ? breaker.last_trip() : std::nullopt;
    return {
        {"name", breaker.name()},
        {"state", to_string(metrics.state)},
        {"criticality", to_string(criticality)},
        {"failure_rate", metrics.failure_rate},
        {"slow_call_rate", metrics.slow_call_rate},
        {"consecutive_failures", metrics.consecutive_failures},
        {"totals", totals_json(metrics.totals)},
        {"opened_at", trip ? Json(text::to_rfc3339(trip->wall_time)) : Json(nullptr)},
        {"retry_after_seconds", metrics.state == State::open ? Json(to_seconds(metrics.retry_after)) : Json(nullptr)},
        {"trip_count", metrics.trip_count},
        {"last_report", reports.empty() ? Json(nullptr) : report_json(reports.front())}};
}

Json list_json(const Registry& registry) {
    Json breakers = Json::array();
    for (const auto& breaker : registry.all()) {
        breakers.push_back(breaker_json(*breaker, registry.criticality(breaker->name())));
    }
    return {{"circuit_breakers", std::move(breakers)}};
}

Json health_json(const RegistryHealth& health) {
    Json breakers = Json::array();
    for (const auto& breaker : health.breakers) {
        breakers.push_back({{"name", breaker.name},
                            {"state", to_string(breaker.state)},
                            {"criticality", to_string(breaker.criticality)},
                            {"why", or_null(breaker.why)},
                            {"retry_after_seconds",
                             breaker.state == State::open ? Json(to_seconds(breaker.retry_after)) : Json(nullptr)}});
    }
    return {{"total", health.total},         {"closed", health.closed},   {"open", health.open},
            {"half_open", health.half_open}, {"healthy", health.healthy}, {"circuit_breakers", std::move(breakers)}};
}

Response no_such_breaker(std::string_view name) {
    return problem_response(404, "there is no circuit breaker named '" + std::string{name} + "'");
}

/// What the optional body says: who asks for the change, and the reason.
struct Order {
    std::string actor;
    std::string reason;
};

std::expected<Order, Response> read_order(const Request& request) {
    if (auto refusal = check_json_body(request, true)) return std::unexpected(std::move(*refusal));
    Order order;
    if (request.body.empty()) return order;
    const auto body = Json::parse(request.body, nullptr, false);
    if (body.is_discarded()) return std::unexpected(problem_response(400, "the body is not JSON"));
    Problem problem{.status = 422, .detail = "the body is not as it should be"};
    if (!body.is_object()) {
        problem.errors.push_back({"", "must be an object"});
        return std::unexpected(problem_response(problem));
    }
    constexpr std::size_t max_actor = 256;
    constexpr std::size_t max_reason = 1024;
    for (const auto& [key, value] : body.items()) {
        if (key != "actor" && key != "reason") {
            problem.errors.push_back({key, "is not known here; known are reason and actor"});
            continue;
        }
        const auto longest = key == "actor" ? max_actor : max_reason;
        if (!value.is_string()) {
            problem.errors.push_back({key, "must be a string"});
        } else if (const auto& text = value.get_ref<const std::string&>(); text.size() > longest) {
            problem.errors.push_back({key, "must be at most " + std::to_string(longest) + " bytes"});
        } else if (key == "actor" && text::printable(text) != text) {
            problem.errors.push_back({key, "must not hold characters that steer a terminal or the direction of text"});
        } else {
            (key == "reason" ? order.reason : order.actor) = text;
        }
    }
    if (!problem.errors.empty()) return std::unexpected(problem_response(problem));
    return order;
}

using Action = void (CircuitBreaker::*)(std::string_view, std::string_view);
constexpr std::array<std::pair<const char*, Action>, 5> actions{{
    {"reset", &CircuitBreaker::reset},
    {"open", &CircuitBreaker::force_open},
    {"trip", &CircuitBreaker::trip},
    {"disable", &CircuitBreaker::disable},
    {"metrics-only", &CircuitBreaker::metrics_only},
}};

}  // namespace

std::string breaker_to_json(const CircuitBreaker& breaker, Criticality criticality) {
    return dump(breaker_json(breaker, criticality));
}

void add_breaker_routes(Router& router, Registry& registry, const Guard& admin, NameActor name_actor) {
    if (!name_actor) {
        name_actor = [](const Request&, std::string_view actor) { return std::string{actor.empty() ? "api" : actor}; };
    }
    const std::string root = "/v1/circuit-breakers";
    router.add("GET", root, [&registry](const Request&) { return json_response(dump(list_json(registry))); });
    router.add("GET", root + "/health",
               [&registry](const Request&) { return json_response(dump(health_json(registry.health_check()))); });
    router.add("GET", root + "/{name}", [&registry](const Request& request) {
        const auto name = request.path_parameter("name");
        const auto breaker = registry.get(name);
        return breaker ? json_response(breaker_to_json(*breaker, registry.criticality(name))) : no_such_breaker(name);
    });
    router.add("GET", root + "/{name}/reports", [&registry](const Request& request) {
        const auto name = request.path_parameter("name");
        const auto breaker = registry.get(name);
        if (!breaker) return no_such_breaker(name);
        Json reports = Json::array();
        for (const auto& report : breaker->reports()) reports.push_back(report_json(report));
        return json_response(dump({{"reports", std::move(reports)}}));
    });
    const auto add_control = [&](const std::string& path, Handler handler) {
        router.add("POST", path, std::move(handler), admin).max_body_bytes = operator_body_bytes;
    };
    add_control(root + "/reset", [&registry, name_actor](const Request& request) {
        const auto order = read_order(request);
        if (!order) return order.error();
        registry.reset_all(name_actor(request, order->actor), order->reason);
        return json_response(dump(list_json(registry)));
    });
    for (const auto& [path, action] : actions) {
        add_control(root + "/{name}/" + path, [&registry, name_actor, act = action](const Request& request) {
            const auto name = request.path_parameter("name");
            const auto breaker = registry.get(name);
            if (!breaker) return no_such_breaker(name);
            const auto order = read_order(request);
            if (!order) return order.error();
            ((*breaker).*act)(name_actor(request, order->actor), order->reason);
            return json_response(breaker_to_json(*breaker, registry.criticality(name)));
        });
    }
}

}  // namespace fusebox::middleware
