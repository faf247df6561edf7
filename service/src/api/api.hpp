// What the routes of the API work with, and what their answers have in common.
#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include <prometheus/counter.h>

#include <fusebox/incidents/incident_service.hpp>
#include <fusebox/incidents/ports.hpp>
#include <fusebox/middleware/breaker_routes.hpp>
#include <fusebox/middleware/http.hpp>
#include <fusebox/middleware/problem.hpp>
#include <fusebox/middleware/router.hpp>
#include <fusebox/notifications/dispatcher.hpp>

#include "api/alert_json.hpp"

namespace fusebox::service {

/// Alerts by input and by what became of them.
struct IntakeCounters {
    struct Input {
        prometheus::Counter& accepted;  ///< alerts
        prometheus::Counter& refused;   ///< requests: bad input
        prometheus::Counter& failed;    ///< requests: the store failed
    };
    Input alertmanager;
    Input webhook;
    Input native;
    std::array<prometheus::Counter*, reject_reasons> rejected{};  ///< alerts, by `RejectReason`
    prometheus::Counter* truncated{};                             ///< alerts that webhooks left out
};

/// What the handlers use; every object here outlives the router.
struct ApiContext {
    incidents::IncidentService& incident_service;
    incidents::IncidentStore& store;
    incidents::Outbox& outbox;
    notifications::Dispatcher& dispatcher;
    IntakeCounters& counters;
    std::function<incidents::WallTime()> now;
    /// The actor of a change, from the token that the request brings and from what its body says.
    middleware::NameActor name_actor;
};

void add_alert_routes(middleware::Router& router, const ApiContext& context);
void add_incident_routes(middleware::Router& router, const ApiContext& context);
void add_notification_routes(middleware::Router& router, const ApiContext& context);

/// How long one request may work on the store. Prometheus waits 10 s for an answer.
[[nodiscard]] incidents::RequestContext request_context();
/// The same for what only shows something: stores serve it apart from intake, and it gives up sooner.
[[nodiscard]] incidents::RequestContext reading_context();
/// 503 with Retry-After where the store is to blame, 404, 400 or 409 where the request is.
[[nodiscard]] middleware::Response store_problem(const incidents::StoreError& error);

/// Reads the query of a list: `limit`, `cursor` and the filters.
class QueryReader {
public:
    explicit QueryReader(const middleware::Request& request) : request_(request) {}

    /// The values given under `name`, split at commas.
    std::vector<std::string> list(std::string_view name);
    std::string text(std::string_view name);
    std::size_t limit();
    /// Notes a mistake; after the first twenty it does nothing.
    void error(std::string field, std::string message);
    /// Reports every parameter that no getter asked for and `also_known` does not accept. Returns the 400 if there was
    /// any mistake.
    std::optional<middleware::Response> finish(const std::function<bool(std::string_view)>& also_known = {});

private:
    const middleware::Request& request_;
    std::vector<std::string> known_;
    std::vector<middleware::FieldError> errors_;
};

/// {"key": [items…], "next_cursor": …}; the items are JSON already.
[[nodiscard]] middleware::Response page_response(std::string_view key, const std::vector<std::string>& items,
                                                 const std::optional<std::string>& next_cursor);

}  // namespace fusebox::service
