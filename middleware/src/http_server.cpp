// What cpp-httplib 0.11 does that this file works around: it binds with SO_REUSEPORT (two servers share a port
// unnoticed), slices any answer by a Range header, reads a POST without a length until the peer hangs up, skips bodies
// of any size, does not limit chunked ones, and goes on reading requests after a body that it has not read. So this
// file routes every request before httplib would. Limits of connections and of heads are in connection.hpp.
#include <fusebox/middleware/http_server.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <variant>

#include <httplib.h>

#include <fusebox/middleware/problem.hpp>
#include <fusebox/text/ascii.hpp>

#include "connection.hpp"

namespace fusebox::middleware {
namespace {

/// Read and thrown away beyond the limit, so that a client that sends first and reads later sees its 413.
constexpr std::uint64_t max_discarded_bytes = 16U << 20U;

constexpr std::size_t max_head_bytes = 64U << 10U;

enum class Close { no, yes };

/// The declared body of a request: none, of a length, or chunked (length unknown).
struct Framing {
    bool has_body{};
    std::optional<std::uint64_t> length{};
};

/// Refuses what two readers could understand differently (RFC 9112 §6.3): that is how requests are smuggled.
std::expected<Framing, Response> framing_of(const httplib::Request& request) {
    const auto lengths = request.get_header_value_count("Content-Length");
    if (const auto encodings = request.get_header_value_count("Transfer-Encoding"); encodings > 0) {
        if (lengths > 0) return std::unexpected(problem_response(400, "Content-Length and Transfer-Encoding together"));
        if (encodings > 1 || !text::equal_without_case(request.get_header_value("Transfer-Encoding"), "chunked")) {
            return std::unexpected(problem_response(400, "the only Transfer-Encoding taken is chunked"));
        }
        return Framing{.has_body = true};
    }
    if (lengths == 0) return Framing{};
    const auto text = request.get_header_value("Content-Length");
    std::uint64_t length{};
    const auto* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, length);
    if (lengths > 1 || text.empty() || end != last || error != std::errc{}) {
        return std::unexpected(problem_response(400, "Content-Length is not one number"));
    }
    return Framing{.has_body = length > 0, .length = length};
}

bool has_content_reader(const std::string& method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

/// Media and content types that httplib would handle itself, badly.
std::optional<Response> check_encoding(const httplib::Request& request) {
    if (request.get_header_value("Content-Type").starts_with("multipart/")) {
        return problem_response(415, "multipart bodies are not taken");
    }
    const auto encoding = request.get_header_value("Content-Encoding");
    if (!encoding.empty() && encoding != "identity" && encoding != "gzip" && encoding != "deflate" &&
        encoding != "br") {
        return problem_response(415, "the Content-Encodings taken are gzip, deflate and br");
    }
    return std::nullopt;
}

void fill(httplib::Response& out, const Response& response, Close close) {
    out.status = response.status;
    out.set_header("X-Content-Type-Options", "nosniff");
    out.set_header("Cache-Control", "no-store");
    for (const auto& [name, value] : response.headers) out.set_header(name, value);
    if (close == Close::no) {
        if (!response.content_type.empty()) out.set_content(response.body, response.content_type);
        return;
    }
    // The connection may hold the rest of a body, which must not be read as a request. The only way to make httplib
    // close it is a content provider that fails after it has written everything.
    out.set_header("Connection", "close");
    const auto size = response.body.size();
    out.set_content_provider(size, response.content_type,
                             [body = response.body](std::size_t, std::size_t, httplib::DataSink& sink) {
                                 sink.write(body.data(), body.size());
                                 return false;
                             });
}

/// httplib hands out its own, non-const request as const; these two fields decide how it writes the answer.
httplib::Request& writable(const httplib::Request& request) {
    return const_cast<httplib::Request&>(request);
}  // NOLINT

}  // namespace

struct HttpServer::Impl {
    Impl(Router routes, HttpServerOptions chosen) : router(std::move(routes)), options(std::move(chosen)) {}

    void prepare();
    Request translate(const httplib::Request& in) const;
    std::optional<Response> check_before_body(const httplib::Request& in, Request& request, const Route*& route) const;
    bool before_body(const httplib::Request& in, httplib::Response& out);
    void with_body(const httplib::Request& in, httplib::Response& out, const httplib::ContentReader& read);
    int on_expect(const httplib::Request& in, httplib::Response& out);
    void on_error(const httplib::Request& in, httplib::Response& out);
    Response run(const Route& route, const Request& request) const;
    void answer(const Request& request, httplib::Response& out, const Response& response, Close close,
                TimePoint began) const;

    // httplib calls the functions above from several threads at once, so they only read `router` and `options`.
    // `server` and `thread` belong to the thread that starts and stops the server.
    Router router;
    HttpServerOptions options;
    std::unique_ptr<httplib::Server> server;
    std::thread thread;
};

Request HttpServer::Impl::translate(const httplib::Request& in) const {
    Request request;
    request.method = in.method;
    request.remote_address = in.remote_addr;
    for (const auto& [name, value] : in.headers) request.headers.emplace_back(name, value);
    return request;
}

/// What can be said without the body. Sets `route` unless it refuses.
std::optional<Response> HttpServer::Impl::check_before_body(const httplib::Request& in, Request& request,
                                                            const Route*& route) const {
    auto found = router.find(request, in.target);
    if (!found) return std::move(found.error());
    route = *found;
    if (route->guard) {
        if (auto refusal = route->guard(request)) return refusal;
    }
    return std::nullopt;
}

Response HttpServer::Impl::run(const Route& route, const Request& request) const {
    return Router::run(route, request, [&](std::string_view what) {
        if (options.on_exception) options.on_exception(request, what);
    });
}

void HttpServer::Impl::answer(const Request& request, httplib::Response& out, const Response& response, Close close,
                              TimePoint began) const {
    if (options.on_exchange) options.on_exchange(request, response, steady_clock().now() - began);
    fill(out, response, close);
}

/// True when answered; false lets httplib go on to `with_body`.
bool HttpServer::Impl::before_body(const httplib::Request& in, httplib::Response& out) {
    const auto began = steady_clock().now();
    writable(in).ranges.clear();  // RFC 9110 §14.2: a server may ignore Range
    auto request = translate(in);
    const auto refuse = [&](const Response& response) {
        writable(in).method = "GET";  // so that there is a body whose provider can fail
        answer(request, out, response, Close::yes, began);
        return true;
    };
    const auto framing = framing_of(in);
    if (!framing) return refuse(framing.error());
    if (framing->has_body) {
        if (!has_content_reader(in.method))
            return refuse(problem_response(400, "a body is not taken with this method"));
        if (framing->length.value_or(0) > options.max_body_bytes + max_discarded_bytes) {
            return refuse(
                problem_response(413, "the body is larger than " + std::to_string(options.max_body_bytes) + " bytes"));
        }
        if (auto refusal = check_encoding(in)) return refuse(*refusal);
        return false;
    }
    const Route* route = nullptr;
    auto refusal = check_before_body(in, request, route);
    answer(request, out, refusal ? *refusal : run(*route, request), Close::no, began);
    return true;
}

void HttpServer::Impl::with_body(const httplib::Request& in, httplib::Response& out,
                                 const httplib::ContentReader& read) {
    const auto began = steady_clock().now();
    auto request = translate(in);
    const Route* route = nullptr;
    auto refusal = check_before_body(in, request, route);

    // A refused body is still read (and dropped), within bounds: a client that writes first and reads later would else
    // see a broken connection instead of the answer.
    std::uint64_t received = 0;
    const auto limit = options.max_body_bytes;
    const bool complete = read([&](const char* data, std::size_t size) {
        received += size;
        if (!refusal && received <= limit) {
            request.body.append(data, size);
        } else {
            request.body.clear();
        }
        return received <= limit + max_discarded_bytes;
    });
    if (!refusal && received > limit) {
        refusal = problem_response(413, "the body is larger than " + std::to_string(limit) + " bytes");
    }
    if (!refusal && !complete) {
        refusal = problem_response(400, "the body ended early, or is not encoded as its headers say");
    }
    answer(request, out, refusal ? *refusal : run(*route, request), complete ? Close::no : Close::yes, began);
}

int HttpServer::Impl::on_expect(const httplib::Request& in, httplib::Response& out) {
    constexpr int go_on = 100;
    auto request = translate(in);
    const Route* route = nullptr;
    auto refusal = check_before_body(in, request, route);
    if (const auto framing = framing_of(in);
        !refusal && framing && framing->length.value_or(0) > options.max_body_bytes) {
        refusal = problem_response(413, "the body is larger than " + std::to_string(options.max_body_bytes) + " bytes");
    }
    if (!refusal || refusal->body.empty()) return go_on;
    answer(request, out, *refusal, Close::yes, steady_clock().now());
    return refusal->status;
}

/// Errors that httplib makes before it has a request to route.
void HttpServer::Impl::on_error(const httplib::Request& in, httplib::Response& out) {
    if (out.has_header("Content-Type")) return;  // ours already
    const char* detail = "the request could not be handled";
    if (out.status == 400)
        detail = "the request line or a header is malformed, or the head is larger than 64 KiB or came too slowly";
    if (out.status == 414) detail = "the request target is longer than 8192 bytes";
    if (out.status == 416) detail = "the Range header is malformed";
    if (out.status == 500) detail = "too many connections";
    writable(in).ranges.clear();
    writable(in).method = "GET";
    fill(out, problem_response(out.status, detail), Close::yes);
}

void HttpServer::Impl::prepare() {
    const ConnectionLimits limits{.keep_alive = options.keep_alive,
                                  .io_timeout = options.io_timeout,
                                  .head_timeout = options.head_timeout,
                                  .request_timeout = options.request_timeout,
                                  .max_head_bytes = max_head_bytes};
    if (options.tls_certificate_file.empty()) {
        server = std::make_unique<BoundedServer<httplib::Server>>(limits);
    } else {
        server = std::make_unique<BoundedServer<httplib::SSLServer>>(limits, options.tls_certificate_file.c_str(),
                                                                     options.tls_key_file.c_str());
    }
    server->set_socket_options([](socket_t socket) {
        const int yes = 1;
        ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    });
    server->set_tcp_nodelay(true);
    server->set_keep_alive_timeout(options.keep_alive.count());
    server->set_keep_alive_max_count(1000);
    server->set_read_timeout(options.io_timeout);
    server->set_write_timeout(options.io_timeout);
    server->new_task_queue = [threads = options.threads] { return new ConnectionThreads(threads); };

    server->set_pre_routing_handler([this](const httplib::Request& in, httplib::Response& out) {
        using enum httplib::Server::HandlerResponse;
        return before_body(in, out) ? Handled : Unhandled;
    });
    const auto reader = [this](const httplib::Request& in, httplib::Response& out, const httplib::ContentReader& read) {
        with_body(in, out, read);
    };
    const std::string any_path = R"([\s\S]*)";
    server->Post(any_path, reader);
    server->Put(any_path, reader);
    server->Patch(any_path, reader);
    server->set_expect_100_continue_handler(
        [this](const httplib::Request& in, httplib::Response& out) { return on_expect(in, out); });
    server->set_error_handler(
        httplib::Server::HandlerWithResponse{[this](const httplib::Request& in, httplib::Response& out) {
            on_error(in, out);
            return httplib::Server::HandlerResponse::Handled;
        }});
    server->set_exception_handler([](const httplib::Request&, httplib::Response& out, const std::exception_ptr&) {
        fill(out, problem_response(500, "the service could not do its part; its log says why"), Close::yes);
    });
}

HttpServer::HttpServer(Router router, HttpServerOptions options)
    : impl_(std::make_unique<Impl>(std::move(router), std::move(options))) {
    if (impl_->options.threads == 0) throw std::invalid_argument("HttpServerOptions::threads must be at least 1");
}

HttpServer::~HttpServer() { stop(); }

std::expected<int, std::string> HttpServer::start() {
    auto& impl = *impl_;
    if (impl.thread.joinable()) return std::unexpected("the server runs already");
    impl.prepare();
    const auto where = impl.options.host + ":" + std::to_string(impl.options.port);
    if (!impl.server->is_valid()) {
        return std::unexpected("cannot use the TLS certificate " + impl.options.tls_certificate_file +
                               " with the key " + impl.options.tls_key_file);
    }
    errno = 0;
    int port = impl.options.port;
    if (port == 0) {
        port = impl.server->bind_to_any_port(impl.options.host);
    } else if (!impl.server->bind_to_port(impl.options.host, port)) {
        port = -1;
    }
    if (port < 0) {
        const auto reason = errno == 0 ? std::string{"no such address here"} : std::generic_category().message(errno);
        return std::unexpected("cannot listen on " + where + ": " + reason);
    }
    impl.thread = std::thread{[&impl] { impl.server->listen_after_bind(); }};
    // httplib forgets a stop that comes before its loop runs.
    while (!impl.server->is_running()) std::this_thread::sleep_for(std::chrono::milliseconds{1});
    return port;
}

void HttpServer::stop() {
    auto& impl = *impl_;
    if (!impl.thread.joinable()) return;
    impl.server->stop();
    impl.thread.join();
    impl.server.reset();
}

}  // namespace fusebox::middleware
