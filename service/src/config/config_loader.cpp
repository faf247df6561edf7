#include "config/config_loader.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <iterator>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include <fusebox/middleware/access.hpp>
#include <fusebox/middleware/origin_guard.hpp>
#include <fusebox/registry/toml_depth.hpp>
#include <fusebox/text/ascii.hpp>
#include <fusebox/text/duration.hpp>
#include <fusebox/text/file.hpp>
#include <fusebox/text/suggestion.hpp>

#include "config/delivery_paths.hpp"
#include "config/store_check.hpp"
#include "config/table_reader.hpp"
#include "config/tls_files.hpp"

namespace fusebox::service {
namespace {

using namespace std::chrono_literals;

constexpr Duration a_day = 24h;
constexpr std::int64_t kibibyte = 1024;
constexpr std::size_t max_config_bytes{1U << 20U};
constexpr std::size_t most_mistakes = 100;

/// A token that is given but empty is a mistake, whether the file names its variable or not: it would open a door that
/// somebody meant to close.
void read_token(TableReader& reader, const std::string& key, const std::string& default_variable,
                const Environment& environment, Secret& token) {
    std::string place = key;
    for (const auto* suffix : {"_env", "_file"}) {
        if (reader.raw().contains(key + suffix)) place = key + suffix;
    }
    auto given = reader.secret(key);
    if (!given && !reader.raw().contains(place)) {
        place = key + "_env";
        const auto value = environment(default_variable);
        if (value && text::trimmed(*value).empty()) {
            reader.mistake(place, fmt::format("the environment variable {} is set but empty; unset it, or give a token",
                                              default_variable));
        } else if (value) {
            given = Secret{std::string{text::trimmed(*value)}};
        }
    }
    if (!given) return;
    token = std::move(*given);
    if (!middleware::is_bearer_token(token.reveal())) {
        reader.mistake(place,
                       "holds characters that a bearer token cannot have (letters, digits and -._~+/= can be sent)");
    }
}

void read_allowed_hosts(TableReader& reader, std::vector<std::string>& hosts) {
    hosts = reader.texts("allowed_hosts").value_or(std::vector<std::string>{});
    for (const auto& host : hosts) {
        if (!middleware::host_of(host)) {
            reader.mistake("allowed_hosts", fmt::format("holds '{}', must be names such as incidents.example or "
                                                        "incidents.example:8443, without a scheme or a path",
                                                        host));
        }
    }
}

void read_tls(TableReader& reader, ServerConfig& server) {
    server.tls_certificate = reader.text("tls_certificate").value_or("");
    server.tls_key = reader.text("tls_key").value_or("");
    bool all_read = true;
    for (const auto& [key, file] : {std::pair{"tls_certificate", server.tls_certificate}, {"tls_key", server.tls_key}})
        all_read = (file.empty() || reader.read_file(key, file, text::max_pem_bytes)) && all_read;
    if (!all_read) return;
    if (server.tls_certificate.empty() != server.tls_key.empty()) {
        reader.mistake(server.tls_key.empty() ? "tls_certificate" : "tls_key",
                       "tls_certificate and tls_key go together");
    } else if (!server.tls_key.empty()) {
        if (auto wrong = check_tls_pair(server.tls_certificate, server.tls_key)) {
            reader.mistake(wrong->of_key ? "tls_key" : "tls_certificate", std::move(wrong->message));
        } else if (auto validity = check_validity(server.tls_certificate)) {
            reader.warning("tls_certificate", std::move(*validity));
        }
    }
}

/// Off loopback everything must need a token. `judged` is the address that the service listens on, or would.
void check_guards(TableReader& reader, const ServerConfig& server, const ListenAddress& judged) {
    const auto open = unguarded(server);
    if (is_loopback(judged) || open.empty()) return;
    std::string needed;
    for (const auto& role : open) {
        std::string variable = role;
        std::ranges::transform(variable, variable.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
        needed += fmt::format("{}{} (INCIDENTD_{}_TOKEN, or server.{}_token_env or _file)", needed.empty() ? "" : ", ",
                              role, variable, role);
    }
    reader.mistake("listen", fmt::format("{} can be reached by others, so tokens are needed that are not there: {}",
                                         to_string(judged), needed));
}

void read_server(const toml::table* table, ReadContext& context, ServerConfig& server,
                 const std::optional<ListenAddress>& listen, const std::optional<ListenAddress>& running) {
    const toml::table none;
    TableReader reader{table ? *table : none, "server.", context};
    if (const auto text = reader.text("listen")) {
        if (const auto address = parse_listen_address(*text)) {
            server.listen = *address;
        } else {
            reader.mistake("listen",
                           fmt::format("is '{}', must be ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080", *text));
        }
    }
    if (listen) server.listen = *listen;
    const auto& environment = context.environment;
    read_token(reader, "admin_token", "INCIDENTD_ADMIN_TOKEN", environment, server.admin_token);
    read_token(reader, "operator_token", "INCIDENTD_OPERATOR_TOKEN", environment, server.operator_token);
    read_token(reader, "read_token", "INCIDENTD_READ_TOKEN", environment, server.read_token);
    read_token(reader, "ingest_token", "INCIDENTD_INGEST_TOKEN", environment, server.ingest_token);
    read_allowed_hosts(reader, server.allowed_hosts);
    check_guards(reader, server, running.value_or(server.listen));
    read_tls(reader, server);
    if (const auto bytes = reader.integer("max_body_bytes", kibibyte, 256 * kibibyte * kibibyte)) {
        server.max_body_bytes = static_cast<std::size_t>(*bytes);
    }
    if (const auto threads = reader.integer("threads", 1, 1024)) server.threads = static_cast<std::size_t>(*threads);
    server.breaker_state = reader.text("breaker_state").value_or("");
    reader.finish();
}

void read_store(const toml::table* table, ReadContext& context, std::string& url, StoreCheck check) {
    const toml::table none;
    TableReader reader{table ? *table : none, "store.", context};
    static_cast<void>(reader.text("spool"));  // for a remote store; those of today are local and need none
    if (const auto given = reader.text("url")) {
        if (given->starts_with("postgresql:") || given->starts_with("postgres:")) {
            reader.mistake("url",
                           "a PostgreSQL store is not supported in this version; use \"sqlite:PATH\" or \"memory:\"");
        } else if (*given != "memory:" &&
                   !(given->starts_with("sqlite:") && given->size() > std::string_view{"sqlite:"}.size())) {
            reader.mistake("url", "must be \"sqlite:PATH\" or \"memory:\"");
        } else {
            url = *given;
        }
    }
    if (check == StoreCheck::yes) {
        if (auto wrong = check_store(url)) reader.mistake("url", std::move(*wrong));
    }
    reader.finish();
}

void read_log(const toml::table& table, ReadContext& context, LogConfig& log) {
    TableReader reader{table, "log.", context};
    if (const auto format = reader.text("format")) {
        if (*format != "text" && *format != "json")
            reader.mistake("format", fmt::format("is '{}', must be text or json", *format));
        log.json = *format == "json";
    }
    if (const auto level = reader.text("level")) {
        const std::vector<std::string> levels{"debug", "info", "warning", "error"};
        if (std::ranges::find(levels, *level) == levels.end()) {
            reader.mistake("level", fmt::format("is '{}', must be debug, info, warning or error", *level));
        }
        log.level = *level;
    }
    reader.finish();
}

/// `WORD = "P0" … "P4"`. What P0 … P4 themselves mean cannot be changed.
std::map<std::string, incidents::Severity, std::less<>> read_severity_map(const toml::table& table,
                                                                          ReadContext& context) {
    TableReader reader{table, "incidents.severity_map.", context};
    std::map<std::string, incidents::Severity, std::less<>> words;
    for (const auto& [key, value] : table) {
        const std::string word{key.str()};
        const auto text = reader.text(word);
        if (!text) continue;
        const auto is_name = [](std::string_view name) {
            const auto severity = incidents::severity_from_string(name);
            return severity && text::equal_without_case(name, to_string(*severity));
        };
        if (is_name(word)) {
            reader.mistake(word, "always means itself");
        } else if (!is_name(*text)) {
            reader.mistake(word, fmt::format("is '{}', must be P0, P1, P2, P3 or P4", *text));
        } else {
            words.emplace(word, *incidents::severity_from_string(*text));
        }
    }
    reader.finish();
    return words;
}

void read_incidents(const toml::table& table, ReadContext& context, incidents::IncidentRules& rules) {
    TableReader reader{table, "incidents.", context};
    if (const auto window = reader.duration("flap_window", 0s, 7 * a_day)) {
        rules.flap_window = std::chrono::floor<std::chrono::seconds>(*window);
    }
    if (const auto events = reader.integer("max_timeline", 10, 100'000))
        rules.max_timeline = static_cast<std::size_t>(*events);
    if (const auto period = reader.duration("resend_period", 1s, a_day)) {
        rules.resend_period = std::chrono::floor<std::chrono::seconds>(*period);
    }
    if (const auto after = reader.duration("close_after", 1s, 365 * a_day)) {
        rules.close_after = std::chrono::floor<std::chrono::seconds>(*after);
    }
    if (const auto* words = reader.table("severity_map")) {
        rules.severity_words = incidents::SeverityWords{read_severity_map(*words, context)};
    }
    reader.finish();
}

void read_retention(const toml::table& table, ReadContext& context, const incidents::IncidentRules& rules,
                    RetentionConfig& retention) {
    TableReader reader{table, "retention.", context};
    constexpr Duration ten_years = 3650 * a_day;
    retention.incidents = reader.duration("incidents", 1h, ten_years).value_or(retention.incidents);
    retention.notifications = reader.duration("notifications", 1h, ten_years).value_or(retention.notifications);
    if (const Duration least = std::max(rules.flap_window, rules.close_after); retention.incidents < least) {
        reader.mistake("incidents",
                       fmt::format("is {}, must not be shorter than incidents.close_after and "
                                   "incidents.flap_window, which is {}",
                                   text::format_duration(retention.incidents), text::format_duration(least)));
    }
    reader.finish();
}

void read_delivery(const toml::table& table, ReadContext& context, DeliveryConfig& delivery) {
    TableReader reader{table, "delivery.", context};
    auto& retry = delivery.retry;
    retry.base = reader.duration("retry_base", 10ms, 1h).value_or(retry.base);
    retry.factor = reader.number("retry_factor", 1.0, 10.0).value_or(retry.factor);
    retry.cap = reader.duration("retry_cap", 10ms, a_day).value_or(std::max(retry.cap, retry.base));
    if (retry.cap < retry.base) reader.mistake("retry_cap", "must not be shorter than retry_base");
    if (const auto attempts = reader.integer("max_attempts", 0, 1'000'000)) {
        retry.max_attempts = static_cast<std::uint32_t>(*attempts);
    }
    retry.max_age = reader.duration("max_age", 1s, 30 * a_day).value_or(retry.max_age);
    delivery.send_timeout = reader.duration("send_timeout", 100ms, 10min).value_or(delivery.send_timeout);
    reader.finish();
}

/// An entry of [breakers] that configures no breaker and that no other entry inherits from has no effect: probably its
/// name is misspelt.
void check_breaker_names(const toml::table& document, ReadContext& context, const ServiceConfig& config) {
    const auto* entries = document.get_as<toml::table>("breakers");
    if (!entries) return;
    std::set<std::string> names{std::string{"notify:"} + builtin_log};  // is there as soon as something leads there
    for (const auto& [name, base] : own_breakers(config)) names.insert(name);
    std::vector<std::string> known{names.begin(), names.end()};
    known.emplace_back("defaults");
    for (const auto& [key, entry] : *entries) {
        const auto* table = entry.as_table();
        if (const auto parent = table ? (*table)["inherits"].value<std::string>() : std::nullopt)
            known.push_back(*parent);
    }
    for (const auto& [key, entry] : *entries) {
        const std::string name{key.str()};
        if (!entry.is_table() || std::ranges::find(known, name) != known.end()) continue;
        const auto guess = text::did_you_mean(name, {names.begin(), names.end()});
        context.mistakes.push_back(
            {.line = key.source().begin.line,
             .field = fmt::format("breakers.\"{}\"", name),
             .message = fmt::format("incidentd has no circuit breaker of this name, and no entry inherits from it{}",
                                    guess.empty() ? fmt::format("; there are {}", fmt::join(names, ", ")) : guess)});
    }
}

/// By line; of very many only the first, and how many more there are.
void in_text_order(std::vector<ConfigMistake>& mistakes) {
    std::ranges::stable_sort(mistakes, {},
                             [](const ConfigMistake& mistake) { return std::tie(mistake.line, mistake.field); });
    if (mistakes.size() <= most_mistakes) return;
    const auto more = mistakes.size() - most_mistakes;
    mistakes.resize(most_mistakes);
    mistakes.push_back(
        {.line = mistakes.back().line, .field = "(more)", .message = fmt::format("{} further mistakes follow", more)});
}

}  // namespace

Environment process_environment() {
    return [](const std::string& name) -> std::optional<std::string> {
        const char* value = std::getenv(name.c_str());
        return value ? std::optional<std::string>{value} : std::nullopt;
    };
}

std::optional<ListenAddress> parse_listen_address(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    auto host = text.substr(0, colon);
    const auto digits = text.substr(colon + 1);
    int port = -1;
    constexpr int largest = 65535;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size() || port < 0 || port > largest) return std::nullopt;
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return std::nullopt;
    }
    const bool plausible = !host.empty() && std::ranges::all_of(host, [](char c) {
        return text::is_letter_or_digit(c) || c == '.' || c == '-' || c == ':' || c == '%';
    });
    if (!plausible) return std::nullopt;
    return ListenAddress{.host = std::string{host}, .port = port};
}

std::expected<ServiceConfig, std::vector<ConfigMistake>> load_config(std::string_view toml_text,
                                                                     const Environment& environment,
                                                                     const std::optional<ListenAddress>& listen,
                                                                     const std::optional<ListenAddress>& running,
                                                                     StoreCheck check) {
    if (auto too_deep = find_too_deep(toml_text)) {
        too_deep->field = "(syntax)";
        return std::unexpected(std::vector{*std::move(too_deep)});
    }
    toml::table document;
    try {
        document = toml::parse(toml_text);
    } catch (const toml::parse_error& error) {
        return std::unexpected(std::vector<ConfigMistake>{
            {.line = error.source().begin.line, .field = "(syntax)", .message = std::string{error.description()}}});
    }
    ReadContext context{.environment = environment};
    ServiceConfig config;
    TableReader root{document, "", context};

    read_server(root.table("server"), context, config.server, listen, running);
    read_store(root.table("store"), context, config.store_url, check);
    if (const auto* table = root.table("log")) read_log(*table, context, config.log);
    if (const auto* table = root.table("incidents")) read_incidents(*table, context, config.rules);
    if (const auto* table = root.table("retention")) read_retention(*table, context, config.rules, config.retention);
    if (const auto* table = root.table("delivery")) read_delivery(*table, context, config.delivery);
    read_delivery_paths(root, context, config);
    root.skip("breakers");
    if (auto breakers = BreakerSet::from_toml(toml_text)) {
        config.breakers = std::move(*breakers);
    } else {
        std::ranges::move(breakers.error(), std::back_inserter(context.mistakes));
    }
    check_breaker_names(document, context, config);
    root.not_supported("cache", "a cache");
    for (const auto* name : {"sentinel", "shield", "edge_agent", "governance"}) root.not_supported(name, "this client");
    root.not_supported("upstreams", "the reverse proxy");
    root.finish();

    in_text_order(context.warnings);
    config.warnings = std::move(context.warnings);
    if (context.mistakes.empty()) return config;
    in_text_order(context.mistakes);
    return std::unexpected(std::move(context.mistakes));
}

std::expected<ServiceConfig, std::vector<ConfigMistake>> load_config_file(const std::string& path,
                                                                          const Environment& environment,
                                                                          const std::optional<ListenAddress>& listen,
                                                                          const std::optional<ListenAddress>& running,
                                                                          StoreCheck check) {
    const auto content = text::read_file(path, max_config_bytes);
    if (content) return load_config(*content, environment, listen, running, check);
    return std::unexpected(
        std::vector<ConfigMistake>{{.line = 0, .field = "(file)", .message = content.error().message}});
}

}  // namespace fusebox::service
