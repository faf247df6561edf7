#include "app.hpp"

#include <algorithm>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include <fusebox/middleware/breaker_routes.hpp>
#include <fusebox/middleware/health_routes.hpp>
#include <fusebox/notifications/log_sender.hpp>
#include <fusebox/notifications/webhook_sender.hpp>
#include <fusebox/storage/circuit_breaker_store.hpp>
#include <fusebox/storage/open_store.hpp>

#include "config/changes.hpp"
#include "config/tls_files.hpp"
#include "delivery_health.hpp"
#include "event_log.hpp"
#include "incident_jobs.hpp"
#include "logging.hpp"

namespace fusebox::service {
namespace {

incidents::WallTime wall_now() { return steady_clock().wall_now(); }

std::shared_ptr<incidents::NotificationSender> make_sender(const DestinationConfig& destination,
                                                           const DeliveryConfig& delivery) {
    if (destination.type == DestinationType::log) {
        return std::make_shared<notifications::LogSender>(destination.name,
                                                          [](std::string_view line) { log_line(Level::info, line); });
    }
    notifications::WebhookSettings settings;
    settings.name = destination.name;
    settings.url = destination.url.reveal();
    for (const auto& secret : destination.secrets) settings.secrets.push_back(secret.reveal());
    settings.allow_private_addresses = destination.allow_private_addresses;
    settings.timeout = delivery.send_timeout;
    settings.max_idle_connections = destination.max_in_flight;
    settings.ca_file = destination.ca_file;
    return std::make_shared<notifications::WebhookSender>(settings);
}

/// Well below a second, because whoever asks for health does not wait for longer.
constexpr std::chrono::milliseconds longest_check{700};
constexpr std::chrono::milliseconds longest_count{200};

SharedCheck::Answer check_writable(storage::Store& store) {
    const auto writable =
        store.check_writable({.deadline = std::chrono::steady_clock::now() + longest_check, .stop = {}});
    if (writable) return {};
    return std::unexpected("the store cannot be written: " + writable.error().message);
}

}  // namespace

App::App(ServiceConfig config)
    : config_(std::move(config)),
      writable_(
          [this]() -> SharedCheck::Answer {
              if (identify_store_file(opened_url_) == opened_store_file_) return check_writable(*store_);
              return std::unexpected(
                  "the file of the store was moved, deleted or replaced while incidentd runs, so that "
                  "what it takes now may be lost: see docs/operations.md");
          },
          std::chrono::seconds{1}) {}

App::~App() { stop(std::chrono::seconds{0}); }

void App::log_breakers() {
    subscriptions_.push_back(registry_.subscribe_breakers(log_breaker_event));
    subscriptions_.push_back(registry_.subscribe(log_registry_event));
}

/// Those that there are serve on where their destination and the send timeout, which they hold, have not changed.
App::Senders App::make_senders(const ServiceConfig& config) const {
    Senders senders;
    const auto timeout = config.delivery.send_timeout;
    for (const auto& destination : config.destinations) {
        const auto old = senders_.find(destination.name);
        const bool serves =
            old != senders_.end() && old->second.destination == destination && old->second.send_timeout == timeout;
        senders.emplace(destination.name,
                        MadeSender{.destination = destination,
                                   .send_timeout = timeout,
                                   .sender = serves ? old->second.sender : make_sender(destination, config.delivery)});
    }
    return senders;
}

std::vector<notifications::DestinationSettings> App::destinations(const ServiceConfig& config, const Senders& senders) {
    std::vector<notifications::DestinationSettings> result;
    for (const auto& destination : config.destinations) {
        notifications::DestinationSettings settings;
        settings.name = destination.name;
        settings.sender = senders.at(destination.name).sender;
        settings.breaker = registry_.get_or_create("notify:" + destination.name, destination_breaker_defaults(),
                                                   Criticality::degraded);
        settings.max_in_flight = destination.max_in_flight;
        settings.rate_limit = destination.rate_limit;
        settings.fallback = destination.fallback;
        settings.fallback_after = destination.fallback_after;
        settings.retry = config.delivery.retry;
        settings.send_timeout = config.delivery.send_timeout;
        result.push_back(std::move(settings));
    }
    return result;
}

/// The breakers of the destinations in `of` that do not stand in `kept`.
void App::remove_breakers(const std::vector<DestinationConfig>& of, const std::vector<DestinationConfig>& kept) {
    for (const auto& destination : of) {
        if (std::ranges::find(kept, destination.name, &DestinationConfig::name) == kept.end())
            registry_.remove("notify:" + destination.name);
    }
}

void App::on_change(const incidents::Change& change) {
    metrics_.count_change(change);
    log_change(change);
    if (change.notify) dispatcher_->notify_all();  // else no notification was stored
}

void App::on_delivery(const notifications::DeliveryEvent& event) {
    if (event.kind == notifications::DeliveryEvent::Kind::delivered) {
        // A notification that a log destination took stands in the log already.
        const std::lock_guard lock{mutex_};
        const auto destination = std::ranges::find(config_.destinations, event.destination, &DestinationConfig::name);
        if (destination != config_.destinations.end() && destination->type == DestinationType::log) return;
    }
    log_delivery(event);
}

std::shared_ptr<const Access> App::access() {
    const std::lock_guard lock{mutex_};
    return access_;
}

/// Gives each route the guard that the table of who may do what asks for, and what people send its limit. A route
/// without a row, and a row without a route, are mistakes of the program.
void App::guard(middleware::Router& router) {
    std::size_t routes = 0;
    router.for_each([&](middleware::Route& route) {
        const auto* row = find_access(route.method, route.pattern);
        if (!row) throw std::logic_error(fmt::format("no access is defined for {} {}", route.method, route.pattern));
        route.guard = [this, row](const middleware::Request& request) { return access()->check(*row, request); };
        if (row->role >= Role::operate) route.max_body_bytes = middleware::operator_body_bytes;
        ++routes;
    });
    if (routes != access_table().size()) throw std::logic_error("access is defined for a route that is not there");
}

std::expected<void, std::string> App::check_ready() {
    // What the breaker knows is never a second old. Once its retry time is over, somebody must ask the store (R3).
    const auto breaker = registry_.get("store");
    const bool refuses = breaker && !allows_requests(breaker->state()) &&
                         (breaker->state() == State::forced_open || breaker->metrics().retry_after > Duration::zero());
    if (refuses) return std::unexpected("the store cannot be written: its circuit breaker is open");
    return writable_.ask();
}

std::vector<middleware::HealthCheck> App::more_checks() {
    // A store that gives no counts in time adds nothing here: readiness and breakers speak of it.
    const auto counts =
        store_->counts({.deadline = std::chrono::steady_clock::now() + longest_count, .stop = {}, .for_people = true});
    auto checks = delivery_health(counts.value_or(NotificationCounts{}), dispatcher_->stats());
    if (const auto damage = store_->damage()) {
        checks.push_back({.name = "store:damage",
                          .component_type = "datastore",
                          .status = middleware::HealthStatus::warn,
                          .output = *damage + "; save what can be read, or restore a backup (docs/operations.md)"});
    }
    return checks;
}

middleware::Router App::routes() {
    middleware::Router router;
    const auto who = [this](const middleware::Request& request, std::string_view said) {
        return name_actor(access()->caller(request), said);
    };
    const ApiContext context{
        .incident_service = *incident_service_,
        .store = *store_,
        .outbox = *store_,
        .dispatcher = *dispatcher_,
        .counters = metrics_.intake(),
        .now = wall_now,
        .name_actor = who,
    };
    add_alert_routes(router, context);
    add_incident_routes(router, context);
    add_notification_routes(router, context);
    middleware::add_breaker_routes(router, registry_, {}, who);
    middleware::add_health_routes(
        router, registry_,
        {.version = FUSEBOX_VERSION,
         .ready = [this] { return check_ready(); },
         .checks = [this] { return more_checks(); },
         .may_see_details = [this](const middleware::Request& request) { return access()->may_see_details(request); }});
    middleware::add_metrics_route(router, [this] { return metrics_.text(registry_, *store_, *dispatcher_); });
    guard(router);
    return router;
}

std::vector<UpkeepJob> App::upkeep_jobs() {
    using namespace std::chrono_literals;
    auto jobs = incident_jobs(*incident_service_, *store_, [this] {
        const std::lock_guard lock{mutex_};
        return config_.retention;
    });
    jobs.push_back({.name = "count_refused", .every = 10s, .first = 10s, .at_stop = true, .run = [this] {
                        request_log_.say_left_out();
                        return UpkeepResult{};
                    }});
    return jobs;
}

void App::on_upkeep(const UpkeepJob& job, const std::expected<UpkeepResult, std::string>& result) {
    if (result) {
        metrics_.count_upkeep(job.name, result->done);
        if (result->done > 0) log(Level::info, "upkeep", {{"job", job.name}, {"done", result->done}});
    } else {
        metrics_.count_upkeep_failure(job.name);
        log(Level::error, "upkeep_failed", {{"job", job.name}, {"reason", result.error()}});
    }
}

/// A process that was killed in the middle of a send has left its pages leased for as long as a send may take. Nobody
/// sends them any more where this process alone has the store.
void App::take_over_leases() {
    if (!store_lock_.held()) return;
    const auto released = store_->release_leases(wall_now(), request_context());
    if (!released) {
        log(Level::warning, "leases_not_released", {{"reason", released.error().message}});
    } else if (*released > 0) {
        log(Level::info, "leases_released", {{"notifications", *released}});
    }
}

std::expected<ListenAddress, std::string> App::start() {
    const bool on_loopback = is_loopback(config_.server.listen);
    if (const auto open = unguarded(config_.server); !on_loopback && !open.empty()) {
        return std::unexpected(fmt::format("{} can be reached by others, and no token guards: {}",
                                           to_string(config_.server.listen), fmt::join(open, ", ")));
    }
    access_ = std::make_shared<const Access>(config_.server, on_loopback);
    // Before anything of the store's is read: the saved states of the breakers belong to it too.
    auto lock = StoreLock::take(config_.store_url);
    if (!lock) return std::unexpected(std::move(lock.error()));
    store_lock_ = std::move(*lock);
    configure_log(config_.log);
    log_breakers();
    registry_.load(config_.breakers);
    // The saved state must be known before a breaker is made, so that each breaker goes on where it was.
    if (const auto& file = config_.server.breaker_state; !file.empty()) {
        registry_.keep_state(std::make_shared<FileStateStore>(file));
    }

    auto opened = storage::open_store(config_.store_url);
    if (!opened)
        return std::unexpected(fmt::format("cannot open the store {}: {}", config_.store_url, opened.error().message));
    store_ = std::make_shared<storage::CircuitBreakerStore>(
        std::move(*opened), registry_.get_or_create("store", store_breaker_defaults(), Criticality::critical),
        registry_.get_or_create("store-reads", store_reads_breaker_defaults(), Criticality::degraded));
    opened_url_ = config_.store_url;
    opened_store_file_ = identify_store_file(opened_url_);
    for (const auto& upgrade : store_->upgrades())
        log(Level::info, "store_upgraded", {{"store", config_.store_url}, {"what", upgrade}});
    take_over_leases();

    incident_service_ =
        std::make_unique<incidents::IncidentService>(*store_, config_.routing, config_.rules, wall_now,
                                                     [this](const incidents::Change& change) { on_change(change); });
    notifications::DispatcherOptions options;
    options.on_event = [this](const notifications::DeliveryEvent& event) { on_delivery(event); };
    senders_ = make_senders(config_);
    dispatcher_ =
        std::make_unique<notifications::Dispatcher>(*store_, destinations(config_, senders_), std::move(options));

    middleware::HttpServerOptions server;
    server.host = config_.server.listen.host;
    server.port = config_.server.listen.port;
    server.max_body_bytes = config_.server.max_body_bytes;
    server.max_held_bytes = std::max(server.max_held_bytes, 10 * server.max_body_bytes);
    server.threads = config_.server.threads;
    server.tls_certificate_file = config_.server.tls_certificate;
    server.tls_key_file = config_.server.tls_key;
    server.on_exchange = [this](const middleware::Request& request, const middleware::Response& response,
                                Duration took) {
        metrics_.count_response(response.status);
        request_log_.add(request, response, took);
    };
    server.on_exception = [](const middleware::Request& request, std::string_view what) {
        log(Level::error, "request_threw", {{"method", request.method}, {"path", request.path}, {"what", what}});
    };
    server_ = std::make_unique<middleware::HttpServer>(routes(), std::move(server));
    if (!config_.server.tls_certificate.empty()) certificate_ = identify_certificate(config_.server.tls_certificate);
    const auto port = server_->start();
    if (!port) return std::unexpected(port.error());
    auto jobs = upkeep_jobs();
    for (const auto& job : jobs) metrics_.count_upkeep(job.name, 0);
    upkeep_ = std::make_unique<Upkeep>(
        UpkeepOptions{.jobs = std::move(jobs),
                      .on_run = [this](const UpkeepJob& job, const std::expected<UpkeepResult, std::string>& result) {
                          on_upkeep(job, result);
                      }});
    upkeep_->start();
    return ListenAddress{.host = config_.server.listen.host, .port = *port};
}

std::expected<App::Reloaded, std::string> App::reload(ServiceConfig config) {
    // What needs a token stays so while incidentd runs, whatever address and tokens the file names by now.
    const auto open_now = unguarded(config_.server);
    for (const auto& role : unguarded(config.server)) {
        if (std::ranges::find(open_now, role) != open_now.end()) continue;
        return std::unexpected(fmt::format(
            "there is no {} token any more, so that what was closed would be open; a restart may open it", role));
    }
    Reloaded reloaded;
    auto& kept = reloaded.kept;
    const auto keep = [&](auto& fresh, const auto& running, const char* field) {
        if (fresh != running) kept.emplace_back(field);
        fresh = running;
    };
    keep(config.server.listen, config_.server.listen, "server.listen");
    keep(config.server.tls_certificate, config_.server.tls_certificate, "server.tls_certificate");
    keep(config.server.tls_key, config_.server.tls_key, "server.tls_key");
    keep(config.server.max_body_bytes, config_.server.max_body_bytes, "server.max_body_bytes");
    keep(config.server.threads, config_.server.threads, "server.threads");
    keep(config.server.breaker_state, config_.server.breaker_state, "server.breaker_state");
    keep(config.store_url, config_.store_url, "store.url");
    reloaded.changed = changed_names(config_, config);

    // What can fail comes before what is seen from outside.
    const auto use_tls = server_->read_tls();
    if (!use_tls) return std::unexpected(use_tls.error());
    Senders senders;
    try {
        senders = make_senders(config);
        // Destinations are replaced before routes, so that no route leads to a destination that does not exist yet.
        dispatcher_->update(destinations(config, senders));
    } catch (const std::exception& error) {
        remove_breakers(config.destinations, config_.destinations);
        return std::unexpected(error.what());
    }
    senders_ = std::move(senders);
    (*use_tls)();
    if (!config.server.tls_certificate.empty()) {
        auto served = identify_certificate(config.server.tls_certificate);
        if (served != certificate_) reloaded.changed.push_back(fmt::format("server.tls_certificate ({})", served));
        certificate_ = std::move(served);
    }
    configure_log(config.log);
    registry_.load(config.breakers);
    incident_service_->reconfigure(config.routing, config.rules);
    remove_breakers(config_.destinations, config.destinations);
    auto fresh = std::make_shared<const Access>(config.server, is_loopback(config.server.listen));
    const std::lock_guard lock{mutex_};
    config_ = std::move(config);
    access_ = std::move(fresh);
    return reloaded;
}

void App::stop(std::chrono::seconds grace) {
    // The server stops on a thread of its own, so that requests and sends finish at the same time.
    std::thread server{[&] {
        if (server_) server_->stop();
    }};
    if (dispatcher_) dispatcher_->stop(grace);
    server.join();
    upkeep_.reset();  // its last runs see all requests
    server_.reset();
    dispatcher_.reset();
    incident_service_.reset();
    store_.reset();
    store_lock_ = {};
    registry_.keep_state(nullptr);  // saves the states a last time
    subscriptions_.clear();
}

}  // namespace fusebox::service
