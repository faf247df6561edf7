// The fusebox command: looks at a running incidentd and gives an operator a hand on it.
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/storage/open_store.hpp>
#include <fusebox/text/ascii.hpp>
#include <fusebox/text/file.hpp>
#include <fusebox/text/printable.hpp>

#include "cli/api_client.hpp"
#include "cli/views.hpp"
#include "config/config_loader.hpp"

namespace fusebox::service::cli {
namespace {

constexpr int healthy = 0;
constexpr int degraded = 1;
constexpr int failed = 2;

struct Options {
    std::string url{"http://127.0.0.1:8080"};
    std::string token_file;
    std::string ca_file;
    bool json{};
};

/// Ends the command with exit code 2.
struct Failure {
    std::string message;
};

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

/// Who asks for a change, for timelines and reports.
std::string user() {
    if (auto name = variable("USER"); !name.empty()) return name;
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 4096> texts{};
    ::getpwuid_r(::geteuid(), &entry, texts.data(), texts.size(), &found);
    return found ? found->pw_name : "fusebox";
}

std::string read_named(const char* option, const std::string& file, std::size_t max_bytes) {
    auto content = text::read_file(file, max_bytes);
    if (!content) throw Failure{fmt::format("{}: {} {}", option, text::printable(file), content.error().message)};
    return std::move(*content);
}

Secret read_token(const Options& options) {
    if (options.token_file.empty()) return Secret{variable("FUSEBOX_TOKEN")};
    const auto content = read_named("--token-file", options.token_file, 64U << 10U);
    const auto token = text::trimmed(content);
    if (token.empty()) throw Failure{fmt::format("--token-file: {} is empty", text::printable(options.token_file))};
    return Secret{std::string{token}};
}

/// A file that can be read; the client itself takes it as it is.
std::string find_authorities(const Options& options) {
    if (!options.ca_file.empty()) read_named("--ca-file", options.ca_file, 4U << 20U);
    return options.ca_file;
}

class Session {
public:
    explicit Session(const Options& options)
        : options_(options), client_(options.url, read_token(options), find_authorities(options)) {}

    using View = std::string (*)(const nlohmann::json&, bool colours);

    /// `unhealthy_is_ok`: 503 is an answer, not an error (/health).
    std::string get(const std::string& path, bool unhealthy_is_ok = false) {
        auto answer = client_.get(path);
        if (!answer) throw Failure{answer.error()};
        if (!answer->ok() && !(unhealthy_is_ok && answer->status == 503)) throw Failure{describe_problem(*answer)};
        return checked(std::move(answer->body));
    }

    /// GETs `path`, prints the answer, and returns its JSON.
    nlohmann::json show(const std::string& path, View view, bool unhealthy_is_ok = false) {
        return print(get(path, unhealthy_is_ok), view);
    }

    std::string post(const std::string& path, std::string body) {
        auto answer = client_.post(path, std::move(body));
        if (!answer) throw Failure{answer.error()};
        if (!answer->ok()) throw Failure{describe_problem(*answer)};
        return checked(std::move(answer->body));
    }

    nlohmann::json post(const std::string& path, std::string body, View view) {
        return print(post(path, std::move(body)), view);
    }

    /// Whoever writes nested JSON again takes a frame of the stack for each level.
    static std::string checked(std::string body) {
        if (middleware::measure_json(body).depth > middleware::max_json_depth)
            throw Failure{"the answer is not what incidentd gives: it is nested too deeply"};
        return body;
    }

    nlohmann::json print(const std::string& body, View view) {
        auto json = nlohmann::json::parse(body);
        const bool terminal = ::isatty(STDOUT_FILENO) == 1;
        fmt::print("{}", options_.json ? as_json(body, terminal) + "\n" : view(json, terminal));
        return json;
    }
    /// The answer as it is for a program. For a terminal line by line with escapes, which leave its values as they are.
    static std::string as_json(const std::string& body, bool terminal) {
        if (!terminal) return body;
        std::string shown;
        std::istringstream lines{body};
        for (std::string line; std::getline(lines, line);) shown += (shown.empty() ? "" : "\n") + text::printable(line);
        return shown;
    }

private:
    const Options& options_;
    ApiClient client_;
};

std::string breaker_path(const std::string& name) { return "/v1/circuit-breakers/" + percent_encode(name); }

int check_config(const std::string& file) {
    const auto config = load_config_file(file, process_environment());
    if (config) {
        for (const auto& warning : config->warnings) fmt::print(stderr, "warning: {}\n", describe(warning, file));
        fmt::print("{} is good\n", text::printable(file));
        return healthy;
    }
    for (const auto& mistake : config.error()) fmt::print(stderr, "{}\n", describe(mistake, file));
    return failed;
}

/// Does what the given command asks for; returns the exit code.
using Action = std::function<int()>;

void add_reading(CLI::App& app, const Options& options, Action& action) {
    app.add_subcommand("list", "all circuit breakers; exit code 1 if one is open or half-open")->callback([&] {
        action = [&options] {
            const auto list = Session{options}.show("/v1/circuit-breakers", view_breakers);
            for (const auto& breaker : list.at("circuit_breakers")) {
                if (is_degraded(breaker)) return degraded;
            }
            return healthy;
        };
    });
    auto* show = app.add_subcommand("show", "one circuit breaker and why it is where it is");
    auto name = std::make_shared<std::string>();
    show->add_option("NAME", *name)->required();
    show->callback([&, name] {
        action = [&options, name] {
            return is_degraded(Session{options}.show(breaker_path(*name), view_breaker)) ? degraded : healthy;
        };
    });
    app.add_subcommand("health", "the service's health; exit code 1 unless all is well")->callback([&] {
        action = [&options] {
            return Session{options}.show("/health", view_health, true).at("status") == "pass" ? healthy : degraded;
        };
    });
}

void add_control(CLI::App& app, const Options& options, Action& action) {
    struct Command {
        const char* name;
        const char* what;
    };
    auto reason = std::make_shared<std::string>();
    auto names = std::make_shared<std::vector<std::string>>();
    for (const auto& command :
         {Command{"reset", "close circuit breakers"}, Command{"open", "force circuit breakers open, until reset"},
          Command{"trip", "open circuit breakers with normal recovery"},
          Command{"disable", "let everything through and judge nothing, until reset"}}) {
        auto* sub = app.add_subcommand(command.name, command.what);
        sub->add_option("NAME", *names)->required();
        sub->add_option("--reason", *reason, "for the breaker's report and the log");
        sub->callback([&, names, reason, verb = std::string{command.name}] {
            action = [&options, names, reason, verb] {
                const nlohmann::json order{{"actor", user()}, {"reason", *reason}};
                Session session{options};
                for (const auto& name : *names)
                    session.post(breaker_path(name) + "/" + verb, order.dump(), view_breaker);
                return healthy;
            };
        });
    }
}

/// What `fusebox incidents` asks for.
struct IncidentFilter {
    int limit{50};
    bool all{};
    std::string state;
    std::string severity;
    std::string text;
    std::vector<std::string> labels;  ///< NAME=VALUE

    [[nodiscard]] std::string path(const std::string& states, std::size_t most) const {
        auto path = fmt::format("/v1/incidents?limit={}&state={}", most, percent_encode(states));
        if (!severity.empty()) path += "&severity=" + percent_encode(severity);
        if (!text.empty()) path += "&q=" + percent_encode(text);
        for (const auto& label : labels) {
            const auto equals = label.find('=');
            if (equals == std::string::npos || equals == 0) throw Failure{"--label needs NAME=VALUE, not " + label};
            path += fmt::format("&label.{}={}", percent_encode(label.substr(0, equals)),
                                percent_encode(label.substr(equals + 1)));
        }
        return path;
    }
};

/// What is said where no incident is open, or none of those that are is wanted.
std::string describe_none(const IncidentFilter& filter) {
    const bool filtered = !filter.severity.empty() || !filter.text.empty() || !filter.labels.empty();
    return fmt::format("{}; --all shows those that have ended too.\n",
                       filtered ? "No open incident matches" : "There are no open incidents");
}

constexpr const char* open_states = "detected,triaged,investigating,remediating";
constexpr const char* ended_states = "resolved,closed";

/// What is open stands first, each part newest first.
int list_incidents(const Options& options, const IncidentFilter& filter) {
    Session session{options};
    const auto most = static_cast<std::size_t>(filter.limit);
    using nlohmann::ordered_json;
    auto page = ordered_json::parse(session.get(filter.path(filter.state.empty() ? open_states : filter.state, most)));
    auto& incidents = page.at("incidents");
    if (filter.all && filter.state.empty() && incidents.size() < most && page.at("next_cursor").is_null()) {
        auto ended = ordered_json::parse(session.get(filter.path(ended_states, most - incidents.size())));
        for (auto& incident : ended.at("incidents")) incidents.push_back(std::move(incident));
        page["next_cursor"] = ended.at("next_cursor");
    }
    if (incidents.empty() && !options.json && !filter.all && filter.state.empty()) {
        fmt::print("{}", describe_none(filter));
        return healthy;
    }
    session.print(page.dump(), view_incidents);
    return healthy;
}

void add_incidents(CLI::App& app, const Options& options, Action& action) {
    auto filter = std::make_shared<IncidentFilter>();
    auto* incidents = app.add_subcommand("incidents", "open incidents, newest first");
    incidents->add_flag("--all", filter->all, "those that are resolved or closed too, after the open ones");
    incidents->add_option("--state", filter->state, "only these, comma-separated, newest first");
    incidents->add_option("--severity", filter->severity, "P0 to P4, comma-separated");
    incidents->add_option("--q", filter->text, "text in the title");
    incidents->add_option("--label", filter->labels, "NAME=VALUE; may be given several times");
    incidents->add_option("--limit", filter->limit, "1 to 500")->check(CLI::Range(1, 500));
    incidents->callback([&, filter] { action = [&options, filter] { return list_incidents(options, *filter); }; });

    auto id = std::make_shared<std::string>();
    auto* show = app.add_subcommand("show-incident", "one incident with its timeline");
    show->add_option("ID", *id)->required();
    show->callback([&, id] {
        action = [&options, id] {
            Session{options}.show("/v1/incidents/" + percent_encode(*id), view_incident);
            return healthy;
        };
    });
}

void add_incident_changes(CLI::App& app, const Options& options, Action& action) {
    struct Command {
        const char* name;
        const char* route;
        const char* what;
    };
    auto id = std::make_shared<std::string>();
    auto note = std::make_shared<std::string>();
    const auto add = [&](const Command& command) {
        auto* sub = app.add_subcommand(command.name, command.what);
        sub->add_option("ID", *id)->required();
        sub->callback([&, id, note, route = std::string{command.route}] {
            action = [&options, id, note, route] {
                nlohmann::json order{{"actor", user()}};
                if (!note->empty()) order["note"] = *note;
                Session{options}.post(fmt::format("/v1/incidents/{}/{}", percent_encode(*id), route), order.dump(),
                                      view_incident);
                return healthy;
            };
        });
        return sub;
    };
    for (const auto& command : {Command{"ack", "acknowledge", "acknowledge an incident"},
                                Command{"unack", "unacknowledge", "take an acknowledgement back"},
                                Command{"investigate", "investigate", "say that an incident is being investigated"},
                                Command{"remediate", "remediate", "say that an incident is being remedied"},
                                Command{"resolve", "resolve", "resolve an incident"},
                                Command{"reopen", "reopen", "open a resolved incident again"},
                                Command{"close", "close", "close a resolved incident"}}) {
        add(command)->add_option("--note", *note, "for the timeline");
    }
    add({"note", "notes", "add a note to an incident's timeline"})->add_option("TEXT", *note)->required();
}

/// One that is refused does not keep the others from going out.
int replay_all(const Options& options, const std::vector<std::string>& ids) {
    Session session{options};
    const auto order = nlohmann::json{{"actor", user()}}.dump();
    auto replayed = nlohmann::json::array();
    std::string refused;
    for (const auto& id : ids) {
        try {
            const auto body = session.post("/v1/notifications/" + percent_encode(id) + "/replay", order);
            if (options.json) {
                session.print(body, view_notifications);
            } else {
                replayed.push_back(nlohmann::json::parse(body));
            }
        } catch (const Failure& failure) {
            refused += (refused.empty() ? "" : "\nfusebox: ") + failure.message;
        }
    }
    if (!replayed.empty()) {
        const nlohmann::json page{{"notifications", std::move(replayed)}, {"next_cursor", nullptr}};
        session.print(page.dump(), view_notifications);
    }
    if (!refused.empty()) throw Failure{std::move(refused)};
    return healthy;
}

void add_notifications(CLI::App& app, const Options& options, Action& action) {
    auto limit = std::make_shared<int>(50);
    auto dead = std::make_shared<bool>(false);
    auto destination = std::make_shared<std::string>();
    auto* notifications = app.add_subcommand("notifications", "notifications, newest first");
    notifications->add_flag("--dead", *dead, "only those that could not be delivered");
    notifications->add_option("--destination", *destination, "only those to this destination");
    notifications->add_option("--limit", *limit, "1 to 500")->check(CLI::Range(1, 500));
    notifications->callback([&, limit, dead, destination] {
        action = [&options, limit, dead, destination] {
            auto path = fmt::format("/v1/notifications?limit={}{}", *limit, *dead ? "&state=dead" : "");
            if (!destination->empty()) path += "&destination=" + percent_encode(*destination);
            Session{options}.show(path, view_notifications);
            return healthy;
        };
    });
    auto ids = std::make_shared<std::vector<std::string>>();
    auto* replay = app.add_subcommand("replay-notification", "send dead notifications again, under the same ids");
    replay->add_option("ID", *ids)->required();
    replay->callback([&, ids] { action = [&options, ids] { return replay_all(options, *ids); }; });
}

void add_backup(CLI::App& app, const Options& options, Action& action) {
    auto file = std::make_shared<std::string>();
    auto store = std::make_shared<std::string>("sqlite:data/incidentd.db");
    auto* backup = app.add_subcommand("backup", "copy the store of incidentd, which may be running, into a new file");
    backup->add_option("FILE", *file)->required();
    backup->add_option("--store", *store, "store.url of incidentd")->capture_default_str();
    backup->callback([&, file, store] {
        action = [&options, file, store] {
            if (const auto copied = storage::back_up_store(*store, *file, {}); !copied)
                throw Failure{fmt::format("{} (--store {}: store.url of incidentd, seen from this folder)",
                                          copied.error().message, *store)};
            if (options.json) {
                fmt::print("{}\n", nlohmann::json{{"file", *file}, {"store", *store}}.dump());
            } else {
                fmt::print("{} holds what {} held\n", *file, *store);
            }
            return healthy;
        };
    });
}

/// Names the unknown command that was typed, and the commands that there are.
std::string describe_mistake(const CLI::App* app, const CLI::Error& mistake) {
    std::string text = mistake.what();
    if (app->get_subcommands().empty() && dynamic_cast<const CLI::RequiredError*>(&mistake) != nullptr) {
        const auto typed = app->remaining();
        const auto* kind = !typed.empty() && typed.front().starts_with('-') ? "option" : "command";
        text = typed.empty() ? "which command?" : fmt::format("there is no {} '{}'.", kind, typed.front());
        text += " Commands:";
        for (const auto* command : app->get_subcommands([](const CLI::App*) { return true; }))
            text += " " + command->get_name();
    }
    return fmt::format("fusebox: {}\nRun with --help for more information.\n", text);
}

int run(int argc, char** argv) {
    CLI::App app{"fusebox: the command line of incidentd", "fusebox"};
    Options options;
    Action action;
    if (const auto url = variable("FUSEBOX_URL"); !url.empty()) options.url = url;
    options.ca_file = variable("FUSEBOX_CA_FILE");
    app.add_option("--url", options.url, "where incidentd is; else $FUSEBOX_URL, else http://127.0.0.1:8080");
    app.add_option("--token-file", options.token_file, "file with the token to use; else $FUSEBOX_TOKEN");
    app.add_option(
        "--ca-file", options.ca_file,
        "PEM of the authority that signed incidentd's certificate; else $FUSEBOX_CA_FILE, else the system's");
    app.add_flag("--json", options.json, "print the API's JSON as it is");
    app.set_version_flag("--version", FUSEBOX_VERSION);
    app.require_subcommand(1);
    app.failure_message(describe_mistake);
    app.fallthrough();
    add_reading(app, options, action);
    add_control(app, options, action);
    add_incidents(app, options, action);
    add_incident_changes(app, options, action);
    add_notifications(app, options, action);
    auto file = std::make_shared<std::string>();
    auto* check = app.add_subcommand("check-config", "check a configuration file of incidentd; needs no server");
    check->add_option("FILE", *file)->required();
    check->callback([&, file] { action = [file] { return check_config(*file); }; });
    add_backup(app, options, action);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? healthy : failed;
    }
    try {
        return action();
    } catch (const Failure& failure) {
        fmt::print(stderr, "fusebox: {}\n", failure.message);
    } catch (const std::exception& error) {
        fmt::print(stderr, "fusebox: the answer is not what incidentd gives: {}\n", text::printable(error.what()));
    }
    return failed;
}

}  // namespace
}  // namespace fusebox::service::cli

int main(int argc, char** argv) { return fusebox::service::cli::run(argc, argv); }
