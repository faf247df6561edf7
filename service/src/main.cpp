// incidentd: reads its arguments and configuration, runs the service until a signal says otherwise.
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#ifdef __GLIBC__
#include <malloc.h>
#endif

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <fusebox/storage/open_store.hpp>
#include <fusebox/text/printable.hpp>

#include "app.hpp"
#include "config/config_loader.hpp"
#include "logging.hpp"
#include "signals.hpp"

namespace fusebox::service {
namespace {

constexpr int ok = 0;
constexpr int failed = 1;
constexpr int bad_configuration = 2;

/// SIGTERM must end the process within 10 s, whatever a peer does, and whether or not anybody reads the log.
constexpr std::chrono::seconds send_grace{4};
constexpr std::chrono::milliseconds stop_limit{9300};
constexpr std::chrono::milliseconds last_lines_limit{500};

struct Arguments {
    std::string config_file;
    std::string listen;
    std::string listen_file;
    bool check{};
};

using LoadResult = std::expected<ServiceConfig, std::vector<ConfigMistake>>;

LoadResult load(const Arguments& arguments, const std::optional<ListenAddress>& listen,
                const std::optional<ListenAddress>& running = {}) {
    const auto check = arguments.check ? StoreCheck::yes : StoreCheck::no;
    return arguments.config_file.empty()
               ? load_config("", process_environment(), listen, running, check)
               : load_config_file(arguments.config_file, process_environment(), listen, running, check);
}

std::string file_name(const Arguments& arguments) {
    return arguments.config_file.empty() ? "(no configuration file)" : arguments.config_file;
}

void log_warnings(const ServiceConfig& config, const Arguments& arguments) {
    for (const auto& warning : config.warnings)
        log(Level::warning, "configuration_warning", {{"where", describe(warning, file_name(arguments))}});
}

/// Connections take descriptors, and so do the store and deliveries. The usual soft limit of 1024 is made for
/// select(2), which nothing here uses.
void raise_descriptor_limit() noexcept {
    constexpr rlim_t enough = 16'384;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= enough) return;
    limit.rlim_cur = std::min(limit.rlim_max, enough);
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Whoever waits for the file finds a whole address in it, never a part.
void write_listen_file(const std::string& path, const std::string& address) {
    const auto temporary = path + ".new";
    {
        std::ofstream out{temporary, std::ios::trunc};
        out << address << '\n';
        out.close();
        if (!out) throw std::runtime_error("cannot write " + temporary);
    }
    std::filesystem::rename(temporary, path);
}

/// One line on what needs a token here, and what is open or off without one.
std::string describe_access(const ServerConfig& server) {
    const bool operators = !server.operator_token.empty() || !server.admin_token.empty();
    const auto said = [](bool guarded) { return guarded ? "needs its token" : "open"; };
    return fmt::format("alerts: {}; reading: {}; {}", said(!server.ingest_token.empty()),
                       said(!server.read_token.empty()),
                       operators ? "operating: needs its token"
                                 : "incidents: open; breaker control and replay: off (set INCIDENTD_OPERATOR_TOKEN)");
}

void greet(const ServiceConfig& config, const ListenAddress& address) {
    const auto url =
        fmt::format("{}://{}", config.server.tls_certificate.empty() ? "http" : "https", to_string(address));
    const auto token =
        config.server.ingest_token.empty() ? "" : " -H \"Authorization: Bearer $INCIDENTD_INGEST_TOKEN\"";
    fmt::print(R"(incidentd {} is running.
  API      {}/v1/alerts  (also /v1/incidents, /v1/notifications, /v1/circuit-breakers, /api/v2/alerts)
  health   {}/health
  metrics  {}/metrics
  tokens   {}
A first incident:
  curl -X POST {}/v1/alerts{} -H 'Content-Type: application/json' -d '{{"title": "Checkout fails", "severity": "P1"}}'
)",
               FUSEBOX_VERSION, url, url, url, describe_access(config.server), url, token);
    std::fflush(stdout);
}

void try_reload(App& app, const Arguments& arguments, const std::optional<ListenAddress>& listen,
                const ListenAddress& running) {
    auto& metrics = app.metrics();
    auto config = load(arguments, listen, running);
    if (!config) {
        metrics.count_reload(false);
        for (const auto& mistake : config.error()) {
            log(Level::error, "reload_mistake", {{"where", describe(mistake, file_name(arguments))}});
        }
        log(Level::error, "reload_refused", {{"file", file_name(arguments)}, {"mistakes", config.error().size()}});
        return;
    }
    log_warnings(*config, arguments);
    const auto reloaded = app.reload(std::move(*config));
    if (!reloaded) {
        metrics.count_reload(false);
        log(Level::error, "reload_refused", {{"file", file_name(arguments)}, {"reason", reloaded.error()}});
        return;
    }
    metrics.count_reload(true);
    for (const auto& field : reloaded->kept) {
        log(Level::warning, "reload_needs_restart",
            {{"field", field}, {"reason", "it cannot change while incidentd runs"}});
    }
    log(Level::info, "reloaded",
        {{"file", file_name(arguments)},
         {"changed", reloaded->changed.empty() ? "nothing" : fmt::format("{}", fmt::join(reloaded->changed, ", "))}});
}

/// Whatever a file holds, the service goes on.
void reload(App& app, const Arguments& arguments, const std::optional<ListenAddress>& listen,
            const ListenAddress& running) {
    try {
        try_reload(app, arguments, listen, running);
    } catch (const std::exception& error) {
        app.metrics().count_reload(false);
        log(Level::error, "reload_refused", {{"file", file_name(arguments)}, {"reason", error.what()}});
    }
}

/// As `app.start()`. To open the store may take long (another process has it locked, an older one is upgraded):
/// SIGTERM or SIGINT meanwhile ends the process at once, since nothing was acknowledged yet. SIGHUP meanwhile sets
/// `reload_wanted`: the file may have changed since it was read.
std::expected<ListenAddress, std::string> start(App& app, Signals& signals, bool& reload_wanted) {
    const std::jthread watch{[&](const std::stop_token& started) {  // joined before `reload_wanted` is read
        while (!started.stop_requested()) {
            const auto signal = signals.wait_for(std::chrono::milliseconds{20});
            if (signal == Signals::Kind::reload) reload_wanted = true;
            if (signal != Signals::Kind::stop) continue;
            log(Level::warning, "stopped_before_it_ran");
            flush_log(last_lines_limit);
            std::_Exit(failed);
        }
    }};
    return app.start();
}

/// A second SIGTERM or SIGINT, or a stop that takes too long, ends the process at once: everything acknowledged is
/// stored.
void stop(App& app, Signals& signals) {
    log(Level::info, "stopping");
    std::thread{[&signals] {
        while (signals.wait() != Signals::Kind::stop) {
        }
        flush_log(last_lines_limit);
        std::_Exit(failed);
    }}.detach();
    auto done = std::async(std::launch::async, [&app] { app.stop(send_grace); });
    if (done.wait_for(stop_limit) != std::future_status::ready) {
        log(Level::error, "stop_took_too_long");
        flush_log(last_lines_limit);
        std::_Exit(failed);
    }
    log(Level::info, "stopped");
}

int run(const Arguments& arguments) {
    std::optional<ListenAddress> listen;
    if (!arguments.listen.empty()) {
        listen = parse_listen_address(arguments.listen);
        if (!listen) {
            fmt::print(stderr, "--listen {}: must be ADDRESS:PORT such as 127.0.0.1:8080 or [::1]:8080\n",
                       arguments.listen);
            return bad_configuration;
        }
    }
    auto config = load(arguments, listen);
    if (!config) {
        for (const auto& mistake : config.error()) fmt::print(stderr, "{}\n", describe(mistake, file_name(arguments)));
        return bad_configuration;
    }
    if (arguments.check) {
        for (const auto& warning : config->warnings)
            fmt::print(stderr, "warning: {}\n", describe(warning, file_name(arguments)));
        fmt::print("{}", describe(*config));
        return ok;
    }

    raise_descriptor_limit();
    Signals signals;  // before any thread
    const auto server = *config;
    App app{std::move(*config)};
    bool reload_wanted = false;
    const auto address = start(app, signals, reload_wanted);
    if (!address) {
        fmt::print(stderr, "incidentd: {}\n", text::printable(address.error()));
        return failed;
    }
    log_warnings(server, arguments);
    log(Level::info, "listening",
        {{"address", to_string(*address)}, {"store", server.store_url}, {"version", FUSEBOX_VERSION}});
    greet(server, *address);
    if (!arguments.listen_file.empty()) write_listen_file(arguments.listen_file, to_string(*address));
    if (reload_wanted) reload(app, arguments, listen, *address);
    while (signals.wait() == Signals::Kind::reload) reload(app, arguments, listen, *address);
    stop(app, signals);
    return ok;
}

}  // namespace
}  // namespace fusebox::service

int main(int argc, char** argv) {
    using namespace fusebox::service;
    hold_reload_signal();
    CLI::App options{"incidentd: takes alerts, keeps incidents, delivers notifications", "incidentd"};
    Arguments arguments;
    options.add_option("--config", arguments.config_file, "configuration file (TOML); none: built-in defaults");
    options.add_option("--listen", arguments.listen,
                       "ADDRESS:PORT, before that of the file; port 0 takes any free one");
    options.add_option("--listen-file", arguments.listen_file, "file to write the address to, once it answers");
    options.add_flag("--check", arguments.check,
                     "check the configuration, print what is in effect (secrets masked), end");
    options.set_version_flag("--version", FUSEBOX_VERSION);
    try {
        options.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return options.exit(error) == 0 ? ok : bad_configuration;
    }
    fusebox::storage::own_process();
#ifdef __GLIBC__
    // Without fast bins. With them, each block of more than 1 KiB makes the allocator merge what is in them, and a
    // store allocates pages of 4 KiB all the time; the caches of the threads serve small blocks either way.
    ::mallopt(M_MXFAST, 0);
#endif
    int code = failed;
    try {
        code = run(arguments);
    } catch (const std::invalid_argument& error) {  // of what the checks of the configuration could not see
        fmt::print(stderr, "incidentd: {}\n", fusebox::text::printable(error.what()));
        code = bad_configuration;
    } catch (const std::exception& error) {
        fmt::print(stderr, "incidentd: {}\n", fusebox::text::printable(error.what()));
    }
    flush_log(last_lines_limit);
    return code;
}
