// An HTTP server of one's own: routes, tokens, bounds on what a peer sends, health, and a stop that lets requests end.
#include <chrono>
#include <expected>
#include <fusebox/middleware/access.hpp>
#include <fusebox/middleware/breaker_routes.hpp>
#include <fusebox/middleware/health_routes.hpp>
#include <fusebox/middleware/http_server.hpp>
#include <fusebox/middleware/json_guard.hpp>
#include <fusebox/middleware/problem.hpp>
#include <fusebox/registry/registry.hpp>
#include <fusebox/transport/http_client.hpp>
#include <iostream>
#include <string>

namespace middleware = fusebox::middleware;
namespace transport = fusebox::transport;

namespace {

// In a service the token comes from its configuration; an empty one would close the routes that it guards.
const std::string token = "a-long-secret";

middleware::Router make_router(fusebox::Registry& breakers) {
    middleware::Router router;
    const auto needs_token = middleware::require_token(token, "start the shop with a token");

    // A {name} is one segment of the path, percent-decoded. An exception of a handler is answered with 500.
    router.add("GET", "/orders/{id}", [](const middleware::Request& request) {
        const auto id = request.path_parameter("id");
        if (id != "7") return middleware::problem_response(404, "there is no order " + std::string{id});
        return middleware::json_response(R"({"id": "7"})");
    });

    // The guard decides before the body is read, and so does the limit.
    router
        .add(
            "POST", "/orders",
            [](const middleware::Request& request) {
                if (auto refusal = middleware::check_json_body(request)) return *std::move(refusal);
                return middleware::json_response(request.body, 201);  // hand request.body to your JSON parser here
            },
            needs_token)
        .max_body_bytes = 64;

    // Answered even while every thread is taken.
    router.add("GET", "/ping", [](const middleware::Request&) { return middleware::json_response("{}"); })
        .always_answered = true;

    middleware::add_health_routes(router, breakers,
                                  {.version = "1.0", .ready = [] { return std::expected<void, std::string>{}; }});
    middleware::add_breaker_routes(router, breakers, needs_token);
    return router;
}

}  // namespace

int main() {
    // The router keeps a reference to it, so it outlives the server.
    fusebox::Registry breakers;
    breakers.get_or_create("payments")->trip();

    middleware::HttpServerOptions options;
    options.port = 0;  // any free one; 127.0.0.1 unless options.host says otherwise
    options.on_exception = [](const middleware::Request&, std::string_view what) { std::cerr << what << '\n'; };
    middleware::HttpServer server{make_router(breakers), options};
    const auto port = server.start();
    if (!port) {
        std::cerr << port.error() << '\n';
        return 1;
    }

    transport::HttpClient client;
    const auto ask = [&](std::string method, const std::string& path, std::string body = {}, std::string bearer = {}) {
        transport::HttpRequest request{.method = std::move(method),
                                       .url = "http://127.0.0.1:" + std::to_string(*port) + path,
                                       .body = std::move(body)};
        if (!request.body.empty()) request.headers.emplace_back("Content-Type", "application/json");
        if (!bearer.empty()) request.headers.emplace_back("Authorization", "Bearer " + bearer);
        std::cout << request.method << ' ' << path << ": ";
        const auto answer = client.send(request, fusebox::CallContext::with_timeout(std::chrono::seconds{10}));
        if (answer)
            std::cout << answer->status << ' ' << answer->body << '\n';
        else
            std::cout << answer.error().message << '\n';
    };
    ask("GET", "/orders/7");
    ask("GET", "/orders/8");
    ask("DELETE", "/orders/7");
    ask("POST", "/orders", R"({"sku": "tea"})");
    ask("POST", "/orders", R"({"sku": "tea"})", token);
    ask("POST", "/orders", R"({"sku": ")" + std::string(64, 'x') + "\"}", token);
    ask("GET", "/ping");
    ask("GET", "/readyz");
    ask("GET", "/health");

    // Here a service waits for its signals: block them before start(), and wait with sigwait().
    server.stop();  // nothing new is taken, and what is being answered ends
    std::cout << "stopped\n";
}
