// What a breaker adds to real work: `real_bench redis PORT`, `real_bench postgres CONNECTION`, `real_bench http URL`
// make the same request with and without one, `real_bench serve` is the HTTP server. Prints JSON; run.py starts the
// peers.
#include <hiredis/hiredis.h>
#include <httplib.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <expected>
#include <memory>
#include <pqxx/pqxx>
#include <random>
#include <string>
#include <string_view>
#include <utility>

#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/transport/http_client.hpp>

#include "pin.hpp"

namespace {

using namespace fusebox;
using Nanoseconds = std::chrono::duration<double, std::nano>;

// Few, so that a disturbance of the machine spoils few pairs.
constexpr int calls_per_batch = 4;

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "real_bench: %s\n", why.c_str());
    std::exit(1);
}

template <class Call>
double time_batch(Call&& call) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < calls_per_batch; ++i) {
        if (!call()) give_up("a request failed");
    }
    return Nanoseconds{std::chrono::steady_clock::now() - began}.count() / calls_per_batch;
}

// Pairs of batches, one without and one with the breaker, which of them first is drawn by lot; for `seconds`.
// Prints [[ns per plain call, ns per protected call], …].
template <class Request>
void compare(Request request, double seconds) {
    bench::pin_to_core(0);
    CircuitBreaker breaker{"peer"};
    const auto plain = [&] { return request(CallContext{}).has_value(); };
    const auto with_breaker = [&] {
        return breaker.call([&](const CallContext& context) { return request(context); }).has_value();
    };
    for (int i = 0; i < 50; ++i) {
        time_batch(plain);
        time_batch(with_breaker);
    }
    std::mt19937 random{1};
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>{seconds};
    std::printf("[");
    for (bool first = true; first || std::chrono::steady_clock::now() < end; first = false) {
        double without{};
        double with{};
        if (random() % 2 == 0) {
            without = time_batch(plain);
            with = time_batch(with_breaker);
        } else {
            with = time_batch(with_breaker);
            without = time_batch(plain);
        }
        std::printf("%s[%.1f, %.1f]", first ? "" : ", ", without, with);
    }
    std::printf("]\n");
}

void redis(int port, double seconds) {
    const std::unique_ptr<redisContext, decltype(&redisFree)> connection{redisConnect("127.0.0.1", port), &redisFree};
    if (!connection || connection->err != 0) give_up("no connection to Redis");
    using Reply = std::unique_ptr<redisReply, decltype(&freeReplyObject)>;
    const auto run = [&](const char* command) -> std::expected<std::string, std::string> {
        const Reply reply{static_cast<redisReply*>(redisCommand(connection.get(), command)), &freeReplyObject};
        if (!reply) return std::unexpected{std::string{connection->errstr}};
        if (reply->type == REDIS_REPLY_ERROR) return std::unexpected{std::string{reply->str, reply->len}};
        return std::string{reply->str, reply->len};
    };
    if (!run("SET key value")) give_up("Redis refused SET");
    compare([&](const CallContext&) { return run("GET key"); }, seconds);
}

void postgres(const char* options, double seconds) {
    const auto connection = [&] {
        try {
            return std::make_unique<pqxx::connection>(options);
        } catch (const pqxx::failure& error) {
            give_up(error.what());
        }
    }();
    pqxx::nontransaction session{*connection};
    compare(
        [&](const CallContext&) -> std::expected<int, std::string> {
            try {
                return session.exec("SELECT 1")[0][0].as<int>();
            } catch (const pqxx::failure& error) {
                return std::unexpected{std::string{error.what()}};
            }
        },
        seconds);
}

void http(const char* url, double seconds) {
    transport::HttpClient client;
    const transport::HttpRequest request{.url = url};
    compare([&](const CallContext& context) { return client.send(request, context); }, seconds);
}

// Answers until it is terminated; the port is the first line that it prints.
void serve() {
    httplib::Server server;
    server.Get("/",
               [](const httplib::Request&, httplib::Response& response) { response.set_content("ok", "text/plain"); });
    server.set_tcp_nodelay(true);
    server.set_keep_alive_max_count(std::size_t{1} << 30U);
    const int port = server.bind_to_any_port("127.0.0.1");
    if (port < 0) give_up("no free port on 127.0.0.1");
    std::printf("%d\n", port);
    std::fflush(stdout);
    server.listen_after_bind();
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const double seconds = argc == 4 ? std::atof(argv[3]) : 0;
    if (what == "serve" && argc == 2) {
        serve();
    } else if (what == "redis" && seconds > 0) {
        redis(std::atoi(argv[2]), seconds);
    } else if (what == "postgres" && seconds > 0) {
        postgres(argv[2], seconds);
    } else if (what == "http" && seconds > 0) {
        http(argv[2], seconds);
    } else {
        give_up("usage: serve | redis PORT SECONDS | postgres CONNECTION SECONDS | http URL SECONDS");
    }
}
