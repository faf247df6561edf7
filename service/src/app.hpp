// App puts incidentd together: store, breakers, dispatcher, API and server.
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
#include <fusebox/middleware/health_routes.hpp>
#include <fusebox/middleware/http_server.hpp>
#include <fusebox/notifications/dispatcher.hpp>
#include <fusebox/registry/registry.hpp>
#include <fusebox/storage/store.hpp>

#include "api/access.hpp"
#include "config/config.hpp"
#include "request_log.hpp"
#include "service_metrics.hpp"
#include "shared_check.hpp"
#include "store_file.hpp"
#include "store_lock.hpp"
#include "upkeep.hpp"

namespace fusebox::service {

/// The running incidentd. Its life is: construct, `start`, `reload` as often as wanted, `stop`; all from one thread.
class App {
public:
    explicit App(ServiceConfig config);
    App(const App&) = delete;
    App& operator=(const App&) = delete;
    ~App();

    /// Opens the store, begins to deliver and to listen. Returns the address that was bound, or one sentence that says
    /// why `start` failed.
    std::expected<ListenAddress, std::string> start();

    struct Reloaded {
        std::vector<std::string> kept;     ///< fields that cannot change while incidentd runs, and kept their value
        std::vector<std::string> changed;  ///< as `changed_names` has them, and which certificate is served by now
    };
    /// Replaces destinations, routes, rules, breakers, tokens and the form of the log, and reads the TLS certificate
    /// again. A configuration without a token for what needs one now is an error. After an error nothing has changed.
    std::expected<Reloaded, std::string> reload(ServiceConfig config);

    [[nodiscard]] ServiceMetrics& metrics() noexcept { return metrics_; }

    /// Accepts nothing new, finishes requests and sends within `grace`, and returns when all threads have ended.
    void stop(std::chrono::seconds grace);

private:
    struct MadeSender {
        DestinationConfig destination;  // the sender was made from this and the timeout
        Duration send_timeout{};
        std::shared_ptr<incidents::NotificationSender> sender;
    };
    using Senders = std::map<std::string, MadeSender>;  // by destination

    Senders make_senders(const ServiceConfig& config) const;
    std::vector<notifications::DestinationSettings> destinations(const ServiceConfig& config, const Senders& senders);
    void remove_breakers(const std::vector<DestinationConfig>& of, const std::vector<DestinationConfig>& kept);
    middleware::Router routes();
    std::shared_ptr<const Access> access();
    void guard(middleware::Router& router);
    void on_change(const incidents::Change& change);
    void on_delivery(const notifications::DeliveryEvent& event);
    void log_breakers();
    std::vector<UpkeepJob> upkeep_jobs();
    void on_upkeep(const UpkeepJob& job, const std::expected<UpkeepResult, std::string>& result);
    void take_over_leases();
    /// Whether the store can be written.
    std::expected<void, std::string> check_ready();
    /// What /health says beside readiness and breakers: damage in the store, and destinations that are not told.
    std::vector<middleware::HealthCheck> more_checks();

    // Guards config_ and access_ (the pointer; what it points to never changes). Only start and reload write them;
    // other threads read them.
    std::mutex mutex_;
    ServiceConfig config_;
    std::shared_ptr<const Access> access_;
    std::string certificate_;  // which one is served, as `identify_certificate` has it; only start and reload use it
    ServiceMetrics metrics_;
    Registry registry_;
    std::vector<Subscription> subscriptions_;
    StoreLock store_lock_;
    std::string opened_url_;         // of the store; only start writes it
    StoreFileId opened_store_file_;  // what opened_url_ led to when the store was opened
    std::shared_ptr<storage::Store> store_;
    SharedCheck writable_;  // of store_
    RequestLog request_log_;
    Senders senders_;
    std::unique_ptr<incidents::IncidentService> incident_service_;
    std::unique_ptr<notifications::Dispatcher> dispatcher_;
    std::unique_ptr<middleware::HttpServer> server_;
    std::unique_ptr<Upkeep> upkeep_;
};

}  // namespace fusebox::service
