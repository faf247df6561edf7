// incidentd put together: store, breakers, dispatcher, API and server.
#pragma once

#include <chrono>
#include <expected>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <fusebox/incidents/incident_service.hpp>
#include <fusebox/middleware/http_server.hpp>
#include <fusebox/notifications/dispatcher.hpp>
#include <fusebox/registry/registry.hpp>
#include <fusebox/storage/store.hpp>

#include "config/config.hpp"
#include "service_metrics.hpp"

namespace fusebox::service {

/// Life: construct, `start`, `reload` as often as wanted, `stop`; from one thread.
class App {
public:
    explicit App(ServiceConfig config);
    App(const App&) = delete;
    App& operator=(const App&) = delete;
    ~App();

    /// Opens the store, begins to deliver and to listen. The address that was bound, or one sentence about why not.
    std::expected<ListenAddress, std::string> start();

    /// Takes over destinations, routes, rules, breakers, tokens and the log's form. What cannot change while it runs is
    /// kept as it was; the answer names those fields. An error: nothing was changed.
    std::expected<std::vector<std::string>, std::string> reload(ServiceConfig config);

    [[nodiscard]] ServiceMetrics& metrics() noexcept { return metrics_; }

    /// Accepts nothing new, finishes requests and sends within `grace`, and returns when all threads have ended.
    void stop(std::chrono::seconds grace);

private:
    std::vector<notifications::DestinationSettings> destinations(const ServiceConfig& config);
    middleware::Router routes();
    bool has_token(const middleware::Request& request, Secret ServerConfig::* token);
    std::optional<middleware::Response> check_token(const middleware::Request& request, Secret ServerConfig::* token);
    void on_change(const incidents::Change& change);
    void on_delivery(const notifications::DeliveryEvent& event);
    void log_breakers();

    std::mutex
        mutex_;  // guards config_ against other threads, which read tokens and destinations; only reload writes it
    ServiceConfig config_;
    ServiceMetrics metrics_;
    Registry registry_;
    std::vector<Subscription> subscriptions_;
    std::shared_ptr<storage::Store> store_;
    struct MadeSender {
        DestinationConfig destination;  // what it was made from
        Duration send_timeout{};
        std::shared_ptr<incidents::NotificationSender> sender;
    };
    std::map<std::string, MadeSender> senders_;  // by destination; what did not change is kept on reload
    std::unique_ptr<incidents::IncidentService> incident_service_;
    std::unique_ptr<notifications::Dispatcher> dispatcher_;
    std::unique_ptr<middleware::HttpServer> server_;
};

}  // namespace fusebox::service
