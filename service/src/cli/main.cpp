// The fusebox command: looks at a running incidentd and gives an operator a hand on it.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

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

Secret read_token(const Options& options) {
    if (options.token_file.empty()) return Secret{variable("FUSEBOX_TOKEN")};
    std::ifstream in{options.token_file};
    std::string token;
    if (!(in >> token)) throw Failure{"cannot read a token from " + options.token_file};
    return Secret{std::move(token)};
}

class Session {
public:
    explicit Session(const Options& options) : options_(options), client_(options.url, read_token(options)) {}

    using View = std::string (*)(const nlohmann::json&, bool colours);

    /// GETs `path`, prints the answer, and returns its JSON. `unhealthy_is_ok`: 503 is an answer, not an error
    /// (/health).
    nlohmann::json show(const std::string& path, View view, bool unhealthy_is_ok = false) {
        auto answer = client_.get(path);
        if (!answer) throw Failure{answer.error()};
        if (!answer->ok() && !(unhealthy_is_ok && answer->status == 503)) throw Failure{describe_problem(*answer)};
        return print(answer->body, view);
    }

    nlohmann::json post(const std::string& path, std::string body, View view) {
        auto answer = client_.post(path, std::move(body));
        if (!answer) throw Failure{answer.error()};
        if (!answer->ok()) throw Failure{describe_problem(*answer)};
        return print(answer->body, view);
    }

private:
    nlohmann::json print(const std::string& body, View view) {
        auto json = nlohmann::json::parse(body);
        fmt::print("{}", options_.json ? body + "\n" : view(json, ::isatty(STDOUT_FILENO) == 1));
        return json;
    }

    const Options& options_;
    ApiClient client_;
};

std::string breaker_path(const std::string& name) { return "/v1/circuit-breakers/" + percent_encode(name); }

int check_config(const std::string& file) {
    const auto config = load_config_file(file, process_environment());
    if (config) {
        fmt::print("{} is good\n", file);
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
                const auto user = variable("USER");
                const nlohmann::json order{{"actor", user.empty() ? "fusebox" : user}, {"reason", *reason}};
                Session session{options};
                for (const auto& name : *names)
                    session.post(breaker_path(name) + "/" + verb, order.dump(), view_breaker);
                return healthy;
            };
        });
    }
}

void add_incidents(CLI::App& app, const Options& options, Action& action) {
    auto limit = std::make_shared<int>(50);
    auto state = std::make_shared<std::string>();
    auto dead = std::make_shared<bool>(false);
    auto id = std::make_shared<std::string>();

    auto* incidents = app.add_subcommand("incidents", "incidents, newest first");
    incidents->add_option("--state", *state, "one or several, comma-separated");
    incidents->add_option("--limit", *limit, "1 to 500");
    incidents->callback([&, limit, state] {
        action = [&options, limit, state] {
            const auto filter = state->empty() ? "" : "&state=" + percent_encode(*state);
            Session{options}.show(fmt::format("/v1/incidents?limit={}{}", *limit, filter), view_incidents);
            return healthy;
        };
    });
    auto* notifications = app.add_subcommand("notifications", "notifications, newest first");
    notifications->add_flag("--dead", *dead, "only those that could not be delivered");
    notifications->add_option("--limit", *limit, "1 to 500");
    notifications->callback([&, limit, dead] {
        action = [&options, limit, dead] {
            const auto* filter = *dead ? "&state=dead" : "";
            Session{options}.show(fmt::format("/v1/notifications?limit={}{}", *limit, filter), view_notifications);
            return healthy;
        };
    });
    auto* replay = app.add_subcommand("replay-notification", "send a dead notification again, under the same id");
    replay->add_option("ID", *id)->required();
    replay->callback([&, id] {
        action = [&options, id] {
            Session{options}.post("/v1/notifications/" + percent_encode(*id) + "/replay", {},
                                  [](const nlohmann::json& notification, bool colours) {
                                      return view_notifications(
                                          {{"notifications", {notification}}, {"next_cursor", nullptr}}, colours);
                                  });
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
    app.add_option("--url", options.url, "where incidentd is; else $FUSEBOX_URL, else http://127.0.0.1:8080");
    app.add_option("--token-file", options.token_file, "file with the admin token; else $FUSEBOX_TOKEN");
    app.add_flag("--json", options.json, "print the API's JSON as it is");
    app.set_version_flag("--version", FUSEBOX_VERSION);
    app.require_subcommand(1);
    app.failure_message(describe_mistake);
    app.fallthrough();
    add_reading(app, options, action);
    add_control(app, options, action);
    add_incidents(app, options, action);
    auto file = std::make_shared<std::string>();
    auto* check = app.add_subcommand("check-config", "check a configuration file of incidentd; needs no server");
    check->add_option("FILE", *file)->required();
    check->callback([&, file] { action = [file] { return check_config(*file); }; });
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
        fmt::print(stderr, "fusebox: the answer is not what incidentd gives: {}\n", error.what());
    }
    return failed;
}

}  // namespace
}  // namespace fusebox::service::cli

int main(int argc, char** argv) { return fusebox::service::cli::run(argc, argv); }
