// Puts the server together: the loop that accepts connections and reads heads (reception.hpp), the threads that serve
// requests (connection_threads.hpp, exchange.hpp), TLS.
//
// Why no library reads the requests: docs/architecture.md, "Libraries".
#include <fusebox/middleware/http_server.hpp>

#include <stdexcept>
#include <system_error>

#include "connection_threads.hpp"
#include "exchange.hpp"
#include "reception.hpp"

namespace fusebox::middleware {
namespace {

/// For `Route::always_answered`.
constexpr std::size_t urgent_threads = 2;
/// What a request that is under way when the server stops has left for what its peer does.
constexpr std::chrono::milliseconds stop_grace{3000};
/// A thread waits so long for the next head of its connection, then the connection goes back to the reception. Between
/// the requests of a busy connection no other thread is woken.
constexpr std::chrono::milliseconds thread_patience{100};

/// Throws for the first option that is out of range.
void check(const HttpServerOptions& options) {
    using std::chrono::milliseconds;
    constexpr int max_port = 65'535;
    const auto demand = [](bool holds, std::string_view sentence) {
        if (!holds) throw std::invalid_argument("HttpServerOptions::" + std::string{sentence});
    };
    demand(options.port >= 0 && options.port <= max_port, "port must be 0 to 65535");
    demand(options.threads > 0, "threads must be at least 1");
    demand(options.max_waiting > 0, "max_waiting must be at least 1");
    demand(options.keep_alive > milliseconds::zero(), "keep_alive must be more than 0");
    demand(options.io_timeout > milliseconds::zero(), "io_timeout must be more than 0");
    demand(options.head_timeout > milliseconds::zero(), "head_timeout must be more than 0");
    demand(options.request_timeout > milliseconds::zero(), "request_timeout must be more than 0");
    demand(options.thread_timeout >= milliseconds::zero(), "thread_timeout must not be negative");
    demand(options.tls_certificate_file.empty() == options.tls_key_file.empty(),
           "tls_certificate_file and tls_key_file belong together: give both or none");
}

}  // namespace

struct HttpServer::Impl {
    Impl(Router routes, HttpServerOptions chosen)
        : router(std::move(routes)), options(std::move(chosen)), memory(options.max_held_bytes) {}

    std::unique_ptr<Connection> make_connection(Descriptor socket);
    bool is_urgent(const MessageHead& head) const;
    void serve(std::unique_ptr<Connection>& connection);
    void serve_once(std::unique_ptr<Connection>& connection);
    After wait_for_head(Connection& connection) const;
    void leave(std::unique_ptr<Connection>& connection);
    std::expected<TlsContext, std::string> make_tls() const;
    void use_tls(TlsContext context);

    // `router` and `options` are only read. The pointers belong to the thread that starts and stops the server; while
    // the server runs they do not change.
    const Router router;
    const HttpServerOptions options;
    MemoryBudget memory;
    Stopping stopping;
    const Serving serving{
        .router = router, .options = options, .memory = memory, .stopping = stopping, .others_wait = [this] {
            return reception->starved() || memory.was_short();
        }};
    std::mutex tls_mutex;  ///< guards `tls`, which the reception's thread copies and use_tls() replaces
    TlsContext tls;
    std::unique_ptr<ConnectionThreads> threads;
    std::unique_ptr<ConnectionThreads> urgent;
    std::unique_ptr<Reception> reception;
};

std::unique_ptr<Connection> HttpServer::Impl::make_connection(Descriptor socket) {
    TlsContext context;
    {
        const std::lock_guard lock{tls_mutex};
        context = tls;
    }
    return std::make_unique<Connection>(std::move(socket), context, stopping);
}

bool HttpServer::Impl::is_urgent(const MessageHead& head) const {
    Request request{.method = head.method};
    const auto route = router.find(request, head.target);
    return route && (*route)->always_answered && !head.has_body();
}

void HttpServer::Impl::leave(std::unique_ptr<Connection>& connection) {
    connection->leave();
    reception->take_back(std::move(connection));
}

/// Keep: a whole head has come. Leave: the reception shall wait for it, or say what is wrong with it.
After HttpServer::Impl::wait_for_head(Connection& connection) const {
    using Head = Connection::Head;
    const auto until = std::chrono::steady_clock::now() + thread_patience;
    for (;;) {
        const auto head = connection.look_for_head();
        if (head == Head::whole) return After::keep;
        if (head == Head::refused) return After::leave;
        const auto step = connection.receive();
        if (step == Connection::Step::done) continue;
        if (step == Connection::Step::ended) return After::close;
        if (stopping.begun() || reception->crowded() || !connection.wait(step, until)) return After::leave;
    }
}

void HttpServer::Impl::serve(std::unique_ptr<Connection>& connection) {
    for (;;) {
        const auto after = exchange(serving, *connection, false);
        if (after == After::leave) return leave(connection);
        if (after == After::close) return;
        if (reception->starved()) return reception->take_back(std::move(connection));
        const auto next = wait_for_head(*connection);
        if (next == After::leave) return reception->take_back(std::move(connection));
        if (next == After::close) return;
    }
}

void HttpServer::Impl::serve_once(std::unique_ptr<Connection>& connection) {
    if (exchange(serving, *connection, true) == After::leave) leave(connection);
}

/// Null without TLS.
std::expected<TlsContext, std::string> HttpServer::Impl::make_tls() const {
    if (options.tls_certificate_file.empty()) return nullptr;
    return make_tls_context(options.tls_certificate_file, options.tls_key_file);
}

void HttpServer::Impl::use_tls(TlsContext context) {
    const std::lock_guard lock{tls_mutex};
    tls.swap(context);
}

HttpServer::HttpServer(Router router, HttpServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(router), std::move(options))) {
    check(impl_->options);
}

HttpServer::~HttpServer() { stop(); }

std::expected<int, std::string> HttpServer::start() {
    auto& impl = *impl_;
    if (impl.reception) return std::unexpected("the server runs already");
    auto context = impl.make_tls();
    if (!context) return std::unexpected(std::move(context.error()));
    impl.use_tls(std::move(*context));
    auto listener = listen_on(impl.options.host, impl.options.port);
    if (!listener) return std::unexpected(std::move(listener.error()));
    const int port = listener->port;

    impl.stopping.reset();
    const auto on_free = [&impl] { impl.reception->thread_is_free(); };
    impl.threads = std::make_unique<ConnectionThreads>(
        impl.options.threads,
        ConnectionThreads::Hooks{.serve = [&impl](auto& connection) { impl.serve(connection); }, .on_free = on_free});
    impl.urgent = std::make_unique<ConnectionThreads>(
        urgent_threads, ConnectionThreads::Hooks{.serve = [&impl](auto& connection) { impl.serve_once(connection); },
                                                 .on_free = on_free});
    impl.reception = std::make_unique<Reception>(
        std::move(*listener),
        ReceptionLimits{.keep_alive = impl.options.keep_alive,
                        .head_timeout = impl.options.head_timeout,
                        .thread_timeout = impl.options.thread_timeout,
                        .most = impl.options.max_waiting},
        ReceptionHooks{.make = [&impl](Descriptor socket) { return impl.make_connection(std::move(socket)); },
                       .try_serve = [&impl](auto& connection) { return impl.threads->try_take(connection); },
                       .is_urgent = [&impl](const MessageHead& head) { return impl.is_urgent(head); },
                       .try_serve_urgent = [&impl](auto& connection) { return impl.urgent->try_take(connection); },
                       .refuse = [&impl](Connection& connection,
                                         const Refusal& refusal) { refuse(impl.serving, connection, refusal); }});
    try {
        impl.urgent->prepare(urgent_threads);
        impl.threads->prepare(1);
        impl.reception->start();
    } catch (const std::system_error& error) {
        stop();
        return std::unexpected(std::string{"cannot make the server's threads: "} + error.what());
    }
    return port;
}

void HttpServer::stop() {
    auto& impl = *impl_;
    if (!impl.reception) return;
    impl.stopping.begin(stop_grace);
    impl.reception->stop();
    // The threads' hooks use the reception, so it goes last.
    impl.threads->shutdown();
    impl.urgent->shutdown();
    impl.threads.reset();
    impl.urgent.reset();
    impl.reception.reset();
}

std::expected<std::function<void()>, std::string> HttpServer::read_tls() {
    auto context = impl_->make_tls();
    if (!context) return std::unexpected(std::move(context.error()));
    return [impl = impl_.get(), context = std::move(*context)] { impl->use_tls(context); };
}

std::uint64_t HttpServer::connections_turned_away() const noexcept {
    return impl_->reception ? impl_->reception->turned_away() : 0;
}

}  // namespace fusebox::middleware
