// Peers that take what they can get, and give nothing: who is silent, who drips, who sends half a handshake.
#include <fusebox/middleware/http_server.hpp>

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fusebox/middleware/problem.hpp>
#include <fusebox/transport/http_client.hpp>

#include "content_coding.hpp"
#include "raw_client.hpp"
#include "support/awaited_count.hpp"
#include "support/catch.hpp"
#include "support/test_certificate.hpp"

namespace fusebox::test {

using namespace middleware;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

namespace {

/// What an answer of a server that is not held up takes at the most, on a machine that is.
constexpr auto promptly = 1500ms;
/// More than the buffers of two sockets hold.
constexpr std::size_t large_answer = 24U << 20U;

struct Rig {
    std::promise<void> release;
    std::shared_future<void> released = release.get_future().share();
    AwaitedCount inside;
    std::vector<int> refused;  ///< statuses of requests without a path; guarded by the mutex
    std::mutex mutex;
    std::unique_ptr<HttpServer> server;
    int port{};

    explicit Rig(HttpServerOptions options) {
        Router router;
        router.add("GET", "/livez", [](const Request&) { return Response{.body = {}}; }).always_answered = true;
        router.add("GET", "/hello",
                   [](const Request&) { return Response{.content_type = "text/plain", .body = "hello"}; });
        const auto hold = [this](const Request&) {
            inside.raise();
            released.wait();
            return Response{};
        };
        router.add("GET", "/hold", hold);
        router.add("POST", "/hold", hold);
        router.add("POST", "/echo",
                   [](const Request& in) { return Response{.content_type = "text/plain", .body = in.body}; });
        router.add(
            "POST", "/guarded", [](const Request&) { return Response{}; },
            [](const Request&) { return std::optional{problem_response(401, "no")}; });
        router.add("POST", "/small", [](const Request&) { return Response{}; }).max_body_bytes = 100;
        router.add("GET", "/large", [](const Request&) { return Response{.body = std::string(large_answer, 'x')}; });
        options.on_exchange = [this](const Request& request, const Response& response, Duration) {
            const std::lock_guard lock{mutex};
            if (request.path.empty()) refused.push_back(response.status);
        };
        server = std::make_unique<HttpServer>(std::move(router), std::move(options));
        port = server->start().value();
    }
    ~Rig() { let_go(); }

    void let_go() {
        if (released.wait_for(0s) != std::future_status::ready) release.set_value();
    }

    /// Keeps `count` threads inside a handler until let_go().
    std::vector<std::unique_ptr<RawClient>> hold(int count) {
        std::vector<std::unique_ptr<RawClient>> holders;
        for (int i = 0; i < count; ++i) {
            holders.push_back(std::make_unique<RawClient>(port));
            holders.back()->send(request("GET", "/hold"));
        }
        wait_inside(count);
        return holders;
    }

    void wait_inside(int count) {
        REQUIRE(inside.reaches(count));
        REQUIRE(inside.value() == count);
    }

    RawAnswer ask(std::string_view bytes) const {
        RawClient client{port};
        client.send(bytes);
        return client.receive();
    }

    void check_alive() const {
        const auto began = Clock::now();
        CHECK(ask(request("GET", "/livez")).status == 200);
        CHECK(Clock::now() - began < promptly);
    }
};

/// Connections that have sent `bytes` and go on, a byte at a time, from a thread of their own.
class Drip {
public:
    Drip(int port, int count, const std::string& bytes) {
        for (int i = 0; i < count; ++i) {
            clients_.push_back(std::make_unique<RawClient>(port));
            clients_.back()->send(bytes);
        }
        thread_ = std::jthread{[this](const std::stop_token& stop) {
            std::mutex mutex;
            std::condition_variable_any stopped;
            std::unique_lock lock{mutex};
            do {
                for (auto& client : clients_) client->send("a");
            } while (!stopped.wait_for(lock, stop, pace, [&] { return stop.stop_requested(); }));
        }};
    }
    RawClient& at(std::size_t index) { return *clients_.at(index); }
    /// The last of these threads' bytes has been sent.
    void stop() {
        thread_.request_stop();
        thread_.join();
    }

private:
    static constexpr auto pace = 20ms;
    std::vector<std::unique_ptr<RawClient>> clients_;
    std::jthread thread_;  ///< last, so that it ends before what it uses
};

/// Whether there is room for `body` within 5 s.
bool eventually_takes(const Rig& rig, const std::string& body) {
    const auto until = Clock::now() + 5s;
    while (rig.ask(request("POST", "/echo", body)).status != 200) {
        if (Clock::now() > until) return false;
    }
    return true;
}

}  // namespace

TEST_CASE("heads that drip hold no thread") {
    Rig rig{{.threads = 1}};
    const Drip drip{rig.port, 256, "GET /hello HTTP/1.1\r\nHost: x\r\nX-A: a"};
    for (int i = 0; i < 5; ++i) rig.check_alive();
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");
}

TEST_CASE("a second head that drips holds no thread either") {
    Rig rig{{.threads = 2}};
    const Drip drip{rig.port, 8, request("GET", "/hello") + "GET /hello HTTP/1.1\r\nX-A: a"};
    rig.check_alive();
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");
}

TEST_CASE("bodies that drip do not hold up what is always answered") {
    Rig rig{{.threads = 8}};
    const Drip drip{rig.port, 8, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"};
    for (int i = 0; i < 5; ++i) rig.check_alive();
}

TEST_CASE("a refused body costs a second at the most, however it drips") {
    Rig rig{{.threads = 8}};
    const auto* target = GENERATE("/guarded", "/nowhere", "/small");
    CAPTURE(target);
    const auto began = Clock::now();
    Drip drip{rig.port, 8, "POST " + std::string{target} + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"};
    const auto answer = drip.at(7).receive();
    const auto took = Clock::now() - began;
    CHECK(answer.status == (target == std::string_view{"/guarded"} ? 401 : target[1] == 's' ? 413 : 404));
    CHECK(answer.headers.at("connection") == "close");
    CHECK(took > 800ms);
    CHECK(took < 2500ms);
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");  // the threads are free again
    CHECK(drip.at(7).closes_within(5000));
}

TEST_CASE("a request that finds every thread taken gets 503, what is always answered its answer") {
    Rig rig{{.threads = 2, .thread_timeout = 200ms}};
    const auto holders = rig.hold(2);
    const auto answer = rig.ask(request("GET", "/hello"));
    CHECK(answer.status == 503);
    CHECK(answer.headers.at("retry-after") == "1");
    CHECK(answer.body.find("\"retry_after_seconds\":1") != std::string::npos);
    for (int i = 0; i < 10; ++i) rig.check_alive();
    rig.let_go();
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");
}

TEST_CASE("a request that waits for a thread gets it when one is free") {
    Rig rig{{.threads = 1, .thread_timeout = 10s}};
    const auto holders = rig.hold(1);
    RawClient waiting{rig.port};
    waiting.send(request("GET", "/hello"));
    CHECK_FALSE(waiting.closes_within(100));
    const auto began = Clock::now();
    rig.let_go();
    CHECK(waiting.receive().body == "hello");
    CHECK(Clock::now() - began < promptly);
}

TEST_CASE("a connection that idles between requests gives its thread to who waits") {
    Rig rig{{.threads = 1, .keep_alive = 60s, .thread_timeout = 10s}};
    RawClient first{rig.port};
    first.send(request("GET", "/hello"));
    CHECK(first.receive().body == "hello");
    const auto began = Clock::now();
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");
    CHECK(Clock::now() - began < promptly);
    first.send(request("GET", "/hello"));  // and is served again
    CHECK(first.receive().body == "hello");
}

TEST_CASE("connections that wait are bounded: one more costs the longest silent its place") {
    Rig rig{{.threads = 1, .max_waiting = 16, .keep_alive = 60s}};
    std::vector<std::unique_ptr<RawClient>> silent;
    for (int i = 0; i < 40; ++i) silent.push_back(std::make_unique<RawClient>(rig.port));
    rig.check_alive();
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");
    CHECK(silent.front()->closes_within(1000));
    CHECK_FALSE(silent.back()->closes_within(50));
    CHECK(rig.server->connections_turned_away() >= 40 - 16);
    CHECK(rig.server->connections_turned_away() <= 40 - 16 + 4);
    const std::lock_guard lock{rig.mutex};
    CHECK(rig.refused.size() == rig.server->connections_turned_away());
    for (const auto status : rig.refused) CHECK(status == 503);
}

TEST_CASE("a head that comes too slowly is told so") {
    Rig rig{{.head_timeout = 200ms}};
    RawClient client{rig.port};
    client.send("GET /hello HTTP/1.1\r\nHost: x\r\n");
    CHECK(client.receive().status == 408);
    CHECK(client.closes_within(3000));
}

TEST_CASE("a silent connection is closed without a word") {
    Rig rig{{.keep_alive = 1s}};
    RawClient client{rig.port};
    CHECK_FALSE(client.closes_within(500));
    CHECK(client.closes_within(3000));
    CHECK(client.receive().status == 0);
}

TEST_CASE("half handshakes hold no thread") {
    const TestCertificate certificate;
    Rig rig{
        {.threads = 2, .tls_certificate_file = certificate.certificate_file(), .tls_key_file = certificate.key_file()}};
    std::vector<std::unique_ptr<RawClient>> half;
    for (int i = 0; i < 64; ++i) {
        half.push_back(std::make_unique<RawClient>(rig.port));
        half.back()->send(std::string{"\x16\x03\x01\x02\x00\x01\x00", 7});
    }
    fusebox::transport::HttpClient client{{.ca_file = certificate.certificate_file()}};
    for (const auto* path : {"/livez", "/hello"}) {
        const auto began = Clock::now();
        const auto answer = client.send({.method = "GET",
                                         .url = "https://127.0.0.1:" + std::to_string(rig.port) + path,
                                         .headers = {},
                                         .body = {}});
        REQUIRE(answer);
        CHECK(answer->status == 200);
        CHECK(Clock::now() - began < promptly);
    }
}

TEST_CASE("a route has its own limit of a body, judged before the body is read") {
    Rig rig{{.max_body_bytes = 1000}};
    CHECK(rig.ask(request("POST", "/small", std::string(100, 'x'))).status == 200);
    const auto over = rig.ask(request("POST", "/small", std::string(101, 'x')));
    CHECK(over.status == 413);
    CHECK(over.body.find("larger than 100 bytes") != std::string::npos);
    CHECK(rig.ask("POST /small HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" +
                  std::string(101, 'x') + "\r\n0\r\n\r\n")
              .status == 413);
    const auto asked =
        rig.ask("POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n");
    CHECK(asked.status == 413);
    CHECK(rig.ask(request("POST", "/echo", std::string(101, 'x'))).status == 200);
    const auto guarded =
        rig.ask("POST /guarded HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999\r\n\r\n");
    CHECK(guarded.status == 401);  // the guard speaks before the length
}

TEST_CASE("what all bodies hold together is bounded") {
    Rig rig{{.max_held_bytes = 600'000, .threads = 8}};
    const std::string body(60'000, 'x');
    RawClient first{rig.port};
    first.send(request("POST", "/hold", body));
    rig.wait_inside(1);  // its body and what may be built from it are held until its handler returns
    const auto second = rig.ask(request("POST", "/echo", body));
    CHECK(second.status == 503);
    CHECK(second.headers.at("retry-after") == "1");
    CHECK(rig.ask(request("POST", "/echo", std::string(1000, 'x'))).status == 200);
    rig.let_go();
    CHECK(first.receive().status == 200);
    CHECK(eventually_takes(rig, body));  // the first one's share goes a moment after its answer
}

TEST_CASE("what would be built from JSON counts before it is built") {
    Rig rig{{.max_held_bytes = 100'000}};
    std::string values = "[1";
    for (int i = 0; i < 1000; ++i) values += ",1";
    const auto answer = rig.ask(request("POST", "/echo", values + "]"));  // 2 kB, and 1002 values
    CHECK(answer.status == 503);
    CHECK(rig.ask(request("POST", "/echo", std::string(2000, '1'))).status == 200);
}

TEST_CASE("a connection that sends request upon request gives its thread to who waits") {
    Rig rig{{.threads = 1, .thread_timeout = 5s}};
    RawClient busy{rig.port};
    std::string many;
    for (int i = 0; i < 100; ++i) many += request("GET", "/hello");
    std::atomic<int> answered{0};
    std::jthread sends{[&](const std::stop_token& stop) {
        while (!stop.stop_requested() && busy.send(many)) {
        }
        busy.finish();
    }};
    std::jthread reads{[&] {
        while (busy.receive().status == 200) ++answered;
    }};
    while (answered < 100) std::this_thread::yield();
    for (int i = 0; i < 3; ++i) {
        const auto began = Clock::now();
        CHECK(rig.ask(request("GET", "/hello")).body == "hello");
        CHECK(Clock::now() - began < promptly);
    }
    const int before = answered;
    while (answered == before) std::this_thread::yield();  // the busy one is served too
    sends.request_stop();
}

TEST_CASE("a body that drips has its thread while nobody waits for one, and then gives it up") {
    Rig rig{{.threads = 4, .thread_timeout = 2s}};
    Drip drip{rig.port, 4, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"};
    CHECK_FALSE(drip.at(0).closes_within(1500));  // longer than half of thread_timeout
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");
    // One thread is enough: whichever of the four sees first that somebody waits.
    std::optional<std::size_t> cut_off;
    for (const auto until = Clock::now() + 5s; !cut_off && Clock::now() < until;) {
        for (std::size_t i = 0; i < 4 && !cut_off; ++i) {
            if (drip.at(i).answers_within(10)) cut_off = i;
        }
    }
    REQUIRE(cut_off);
    const auto refused = drip.at(*cut_off).receive();
    CHECK(refused.status == 503);
    CHECK(refused.headers.at("retry-after") == "1");
    CHECK(refused.body.find("others waited") != std::string::npos);
}

TEST_CASE("an answer that is read slowly gives its thread to who waits") {
    Rig rig{{.threads = 1, .thread_timeout = 2s}};
    RawClient slow{rig.port};
    slow.send(request("GET", "/large"));
    std::array<char, 4096> some{};
    REQUIRE(::recv(slow.socket(), some.data(), some.size(), 0) > 0);
    const auto began = Clock::now();
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");
    CHECK(Clock::now() - began < 2s);
    CHECK(slow.receive().body.size() < large_answer);  // what is missing tells the client that it was cut off
}

TEST_CASE("large bodies that drip leave room for small ones, and give theirs to other large ones") {
    Rig rig{{.max_body_bytes = 24U << 20U, .max_held_bytes = 32U << 20U, .threads = 8, .thread_timeout = 400ms}};
    const std::string most_of_it(20'000'000, 'x');
    Drip drip{rig.port, 1, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 22000000\r\n\r\n" + most_of_it};
    const std::string large(3'500'000, 'x');
    const auto second = rig.ask(request("POST", "/echo", large));  // three quarters of 32 MiB do not hold both
    CHECK(second.status == 503);
    CHECK(rig.ask(request("POST", "/echo", std::string(100'000, 'x'))).status == 200);
    CHECK(drip.at(0).receive().status == 503);
    CHECK(eventually_takes(rig, large));  // the dripping one's share goes a moment after its answer
}

TEST_CASE("what is built from a body's text counts as well as its values") {
    Rig rig{{.max_held_bytes = 100'000}};
    CHECK(rig.ask(request("POST", "/echo", '"' + std::string(15'000, 'x') + '"')).status == 200);
    CHECK(rig.ask(request("POST", "/echo", '"' + std::string(25'000, 'x') + '"')).status == 503);
}

TEST_CASE("what decompressing needs counts as well") {
    const auto gzip = [](std::size_t most) {
        Rig rig{{.max_held_bytes = most}};
        return rig.ask(request("POST", "/echo", to_gzip("hello").value(), "Content-Encoding: gzip\r\n")).status;
    };
    CHECK(gzip(ContentDecoder::most_bytes) == 503);
    CHECK(gzip(ContentDecoder::most_bytes + 1000) == 200);
}

TEST_CASE("large answers count as bodies do; small ones always go out") {
    Rig rig{{.max_held_bytes = large_answer, .threads = 4}};
    CHECK(rig.ask(request("GET", "/large")).status == 503);
    CHECK(rig.ask(request("GET", "/hello")).body == "hello");
}

TEST_CASE("a stop waits for peers that drip, and not longer than 3 s in all") {
    Rig rig{{.threads = 8}};
    Drip bodies{rig.port, 2, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n"};
    RawClient slow{rig.port};
    slow.send(request("GET", "/large"));
    std::jthread reads{[&](const std::stop_token& stop) {
        std::vector<char> some(1U << 20U);
        std::mutex mutex;
        std::condition_variable_any stopped;
        std::unique_lock lock{mutex};
        do {
            if (::recv(slow.socket(), some.data(), some.size(), MSG_DONTWAIT) == 0) return;
        } while (!stopped.wait_for(lock, stop, 400ms, [&] { return stop.stop_requested(); }));
    }};
    RawClient late{rig.port};
    late.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nl");
    RawClient half_a_head{rig.port};
    half_a_head.send("GET /hello HTTP/1.1\r\nX-A: a");
    CHECK_FALSE(late.closes_within(200));
    const auto began = Clock::now();
    auto stopped = std::async(std::launch::async, [&] { rig.server->stop(); });
    CHECK_FALSE(late.closes_within(1000));
    late.send("ate");
    CHECK(late.receive().body == "late");
    CHECK(stopped.wait_for(10s) == std::future_status::ready);
    CHECK(Clock::now() - began < 4500ms);
    CHECK(bodies.at(0).receive().status == 503);
}

}  // namespace fusebox::test
