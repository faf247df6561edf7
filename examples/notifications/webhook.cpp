// From an alert to a webhook: the outbox, a dispatcher, a signed request, and a receiver that fails once.
#include <array>
#include <atomic>
#include <chrono>
#include <fusebox/core/presets.hpp>
#include <fusebox/incidents/incident_service.hpp>
#include <fusebox/middleware/http_server.hpp>
#include <fusebox/notifications/dispatcher.hpp>
#include <fusebox/notifications/webhook_sender.hpp>
#include <fusebox/storage/memory_store.hpp>
#include <iostream>
#include <semaphore>

namespace incidents = fusebox::incidents;
namespace middleware = fusebox::middleware;
namespace notifications = fusebox::notifications;
using namespace std::chrono_literals;

int main() {
    // Somebody's receiver: 500 for the first request. It verifies webhook-signature with the same secret.
    std::atomic<int> requests{0};
    middleware::Router router;
    router.add("POST", "/hook", [&](const middleware::Request& request) {
        const bool is_signed = request.header("webhook-signature").starts_with("v1,");
        return middleware::Response{.status = !is_signed ? 401 : ++requests == 1 ? 500 : 200};
    });
    middleware::HttpServer receiver{std::move(router), {}};
    const auto port = receiver.start();
    if (!port) return 1;

    // What outlives what: the store the dispatcher and the service, the dispatcher the service that wakes it.
    fusebox::storage::MemoryStore store;  // or SqliteStore, which forgets nothing
    std::counting_semaphore<> delivered{0};

    notifications::DestinationSettings ops;
    ops.name = "ops-hook";
    ops.sender = std::make_shared<notifications::WebhookSender>(
        notifications::WebhookSettings{.name = ops.name,
                                       .url = "http://127.0.0.1:" + std::to_string(*port) + "/hook",
                                       .secrets = {"whsec_c2VjcmV0IG9mIHRoZSBleGFtcGxlLCAyNA=="},
                                       .allow_private_addresses = true});  // for this example only
    ops.breaker =
        std::make_shared<fusebox::CircuitBreaker>("notify:ops-hook", fusebox::preset("notifications").value());
    ops.retry.base = 10ms;  // a second unless said otherwise
    notifications::Dispatcher dispatcher{
        store,
        {ops},
        // From the dispatcher's threads. One row of an incident at a time: its trigger is delivered before its resolve.
        {.on_event = [&](const notifications::DeliveryEvent& event) {
            std::cout << event.notification_kind << ": " << to_string(event.kind)
                      << (event.error ? " after " + event.error->error_class : "") << '\n';
            if (event.kind == notifications::DeliveryEvent::Kind::delivered) delivered.release();
        }}};

    incidents::RoutingTable routing;
    routing.routes = {{.severities = {incidents::Severity::p0, incidents::Severity::p1}, .to = {"ops-hook"}}};
    incidents::IncidentService service{
        store,
        routing,
        {},
        [] { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); },
        [&](const incidents::Change& change) {
            if (change.notify) dispatcher.notify_all();  // else the rows wait for the next poll
        }};

    for (const bool resolved : {false, true}) {
        const incidents::Alert alert{.source = "shop",
                                     .title = "The disk is full",
                                     .labels = {{"alertname", "DiskFull"}},
                                     .severity = incidents::Severity::p1,
                                     .start_stated = false,
                                     .resolved = resolved};
        if (!service.ingest({&alert, 1})) return 1;
    }
    for (int i = 0; i < 2; ++i) {
        if (!delivered.try_acquire_for(10s)) return 1;
    }
    dispatcher.stop(5s);  // what is being sent may end; what waits is the next process's
    std::cout << "delivered " << dispatcher.stats().at("ops-hook").delivered << " in " << requests << " requests\n";
    receiver.stop();
}
