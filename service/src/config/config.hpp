// What incidentd is told to do: the effective configuration.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include <fusebox/core/clock.hpp>
#include <fusebox/incidents/incident.hpp>
#include <fusebox/incidents/routing.hpp>
#include <fusebox/notifications/dispatcher.hpp>
#include <fusebox/notifications/rate_gate.hpp>
#include <fusebox/registry/breaker_set.hpp>

#include "config/secret.hpp"

namespace fusebox::service {

/// The destination that is there without being configured.
inline constexpr const char* builtin_log = "log";

struct ListenAddress {
    std::string host{"127.0.0.1"};  ///< IPv6 without brackets
    int port{8080};                 ///< 0: any free port
    bool operator==(const ListenAddress&) const = default;
};
/// "127.0.0.1:8080", "[::1]:8080".
[[nodiscard]] std::string to_string(const ListenAddress& address);
/// Whether only this machine can reach it.
[[nodiscard]] bool is_loopback(const ListenAddress& address);

/// docs/access.md says what each token may do, and what is open without it.
struct ServerConfig {
    ListenAddress listen;
    Secret admin_token;
    Secret operator_token;
    Secret read_token;
    Secret ingest_token;
    std::vector<std::string> allowed_hosts;  ///< names that `Host` may have beside loopback names; with or without port
    std::string tls_certificate;             ///< PEM file; with tls_key: https
    std::string tls_key;
    std::size_t max_body_bytes{4U << 20U};  ///< 1 KiB … 256 MiB
    std::size_t threads{256};               ///< 1 … 1024
    std::string breaker_state;              ///< file that keeps the breakers' states; empty: they are not kept
    bool operator==(const ServerConfig&) const = default;
};

/// What no token guards, of "ingest", "read" and "operator"; the admin token guards what the operator token guards.
[[nodiscard]] std::vector<std::string> unguarded(const ServerConfig& server);

struct LogConfig {
    bool json{false};           ///< one JSON object per line; else key=value
    std::string level{"info"};  ///< debug, info, warning, error
    bool operator==(const LogConfig&) const = default;
};

enum class DestinationType : std::uint8_t { log, webhook };
[[nodiscard]] const char* to_string(DestinationType type) noexcept;

struct DestinationConfig {
    std::string name;
    DestinationType type{DestinationType::log};
    Secret url{};                    ///< webhook; its path and credentials are secrets
    std::vector<Secret> secrets{};   ///< webhook; several while one replaces the other; none: unsigned
    bool allow_private_addresses{};  ///< webhook
    std::string ca_file{};           ///< webhook; empty: the system's authorities
    std::string fallback{};
    Duration fallback_after{std::chrono::minutes{2}};
    std::size_t max_in_flight{4};
    notifications::RateLimit rate_limit{};
    bool operator==(const DestinationConfig&) const = default;
};

struct DeliveryConfig {
    notifications::RetryPolicy retry{};
    Duration send_timeout{std::chrono::seconds{15}};
    bool operator==(const DeliveryConfig&) const = default;
};

/// For how long what is over is kept.
struct RetentionConfig {
    Duration incidents{std::chrono::days{90}};      ///< since an incident was resolved or closed, or changed after that
    Duration notifications{std::chrono::days{30}};  ///< since a notification was delivered or became a dead letter
    bool operator==(const RetentionConfig&) const = default;
};

struct ServiceConfig {
    ServerConfig server;
    std::string store_url{"sqlite:data/incidentd.db"};
    LogConfig log;
    incidents::IncidentRules rules;
    RetentionConfig retention;
    DeliveryConfig delivery;
    std::vector<DestinationConfig> destinations;  ///< with the built-in one, where a route leads there
    incidents::RoutingTable routing;
    BreakerSet breakers;
    std::vector<ConfigMistake> warnings{};  ///< what works now, and yet is probably not meant
};

/// What the breaker of the store is, where the configuration says nothing else.
[[nodiscard]] CircuitBreakerConfig store_breaker_defaults();
/// Likewise of the breaker of what people read from the store, "store-reads".
[[nodiscard]] CircuitBreakerConfig store_reads_breaker_defaults();
/// Likewise of a destination's breaker, "notify:NAME". It sets no timeout: `delivery.send_timeout` is the deadline.
[[nodiscard]] CircuitBreakerConfig destination_breaker_defaults();

/// The breakers that incidentd makes: their names, and what each is where the configuration says nothing else.
[[nodiscard]] std::map<std::string, CircuitBreakerConfig> own_breakers(const ServiceConfig& config);

/// As TOML, with the defaults filled in and every secret masked: what `--check` prints. The breakers stand in comments.
[[nodiscard]] std::string describe(const ServiceConfig& config);
/// "https://hooks.example/…": scheme, host and port; the rest is a secret.
[[nodiscard]] std::string masked_url(const std::string& url);

}  // namespace fusebox::service
