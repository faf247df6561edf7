#include "support/http_test_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <list>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace fusebox::test {

namespace {

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

bool same_name(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

struct Address {
    sockaddr_storage storage{};
    socklen_t size{};
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

Address make_address(const std::string& text, int port) {
    Address address;
    auto& v4 = reinterpret_cast<sockaddr_in&>(address.storage);
    auto& v6 = reinterpret_cast<sockaddr_in6&>(address.storage);
    if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
        v4.sin_family = AF_INET;
        v4.sin_port = htons(static_cast<std::uint16_t>(port));
        address.size = sizeof v4;
    } else if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(static_cast<std::uint16_t>(port));
        address.size = sizeof v6;
    } else {
        throw std::invalid_argument("not a numeric address: " + text);
    }
    return address;
}

/// A socket bound to `port` (0: any free one), not yet listening.
int bound_socket(const std::string& text, int port) {
    Address address = make_address(text, port);
    const int fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket");
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address.get(), address.size) != 0) {
        close(fd);
        fail("bind");
    }
    return fd;
}

int port_of(int fd) {
    Address address;
    address.size = sizeof address.storage;
    if (getsockname(fd, address.get(), &address.size) != 0) fail("getsockname");
    return ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
}

std::string loopback_url(int port, std::string_view path) {
    return "http://127.0.0.1:" + std::to_string(port) + std::string(path);
}

/// One connection's bytes, in the clear or through TLS.
class Stream {
public:
    Stream(int fd, SSL_CTX* tls) : fd_(fd) {
        if (tls) {
            ssl_ = SSL_new(tls);
            SSL_set_fd(ssl_, fd);
        }
    }
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    ~Stream() { SSL_free(ssl_); }

    bool handshake() { return !ssl_ || SSL_accept(ssl_) == 1; }

    /// Bytes read; 0 or less when the connection is over.
    ssize_t read(char* to, std::size_t size) {
        return ssl_ ? SSL_read(ssl_, to, static_cast<int>(size)) : recv(fd_, to, size, 0);
    }

    bool write(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ssl_ ? SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()))
                                      : send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    /// Says a proper goodbye in TLS, so that the client sees an end and not a broken stream.
    void finish() {
        if (ssl_) SSL_shutdown(ssl_);
    }

    /// Blocks until the client has closed (or `HttpTestServer::stop` has broken) the connection.
    void wait_until_closed() {
        char ignored[4096];
        while (read(ignored, sizeof ignored) > 0) {
        }
    }

    /// False if the connection ended while waiting.
    bool wait(std::chrono::milliseconds time) const {
        pollfd waiting{fd_, POLLRDHUP, 0};
        return poll(&waiting, 1, static_cast<int>(time.count())) == 0;
    }

    /// The close that follows sends RST instead of FIN.
    void make_close_reset() const {
        const linger at_once{1, 0};
        setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }

private:
    int fd_;
    SSL* ssl_{nullptr};
};

std::optional<ReceivedRequest> read_request(Stream& stream, std::string& buffer) {
    const auto more = [&] {
        char bytes[16384];
        const ssize_t count = stream.read(bytes, sizeof bytes);
        if (count > 0) buffer.append(bytes, static_cast<std::size_t>(count));
        return count > 0;
    };
    std::size_t end{};
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
        if (!more()) return std::nullopt;
        if (!std::isalpha(static_cast<unsigned char>(buffer.front()))) {
            stream.write("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");  // TLS, or worse
            return std::nullopt;
        }
    }
    ReceivedRequest request{};
    std::size_t line = buffer.find("\r\n");
    const std::string first = buffer.substr(0, line);
    const std::size_t space = first.find(' ');
    const std::size_t last_space = first.rfind(' ');
    if (space == std::string::npos || space == last_space) return std::nullopt;
    request.method = first.substr(0, space);
    request.target = first.substr(space + 1, last_space - space - 1);
    while (line < end) {
        const std::size_t begin = line + 2;
        line = buffer.find("\r\n", begin);
        const std::string text = buffer.substr(begin, line - begin);
        const std::size_t colon = text.find(':');
        if (colon == std::string::npos) continue;
        const std::size_t value = text.find_first_not_of(" \t", colon + 1);
        request.headers.emplace_back(text.substr(0, colon), value == std::string::npos ? "" : text.substr(value));
    }
    buffer.erase(0, end + 4);
    const std::string length{request.header("Content-Length")};
    const std::size_t size = length.empty() ? 0 : std::stoul(length);
    while (buffer.size() < size) {
        if (!more()) return std::nullopt;
    }
    request.body = buffer.substr(0, size);
    buffer.erase(0, size);
    return request;
}

std::string head_of(const ScriptedReply& reply) {
    std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " Scripted\r\n";
    for (const auto& [name, value] : reply.headers) head += name + ": " + value + "\r\n";
    return head;
}

/// Plays the reply; true if the connection can serve another request.
bool play(const ScriptedReply& reply, const ReceivedRequest& request, Stream& stream) {
    using Mode = ScriptedReply::Mode;
    switch (reply.mode) {
        case Mode::answer: {
            const auto given = [&](std::string_view name) {
                return std::ranges::any_of(reply.headers,
                                           [&](const auto& field) { return same_name(field.first, name); });
            };
            std::string answer = head_of(reply);
            const bool without_body = reply.status == 204 || reply.status == 304;
            if (!without_body && !given("Content-Length") && !given("Transfer-Encoding")) {
                answer += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
            }
            answer += "\r\n";
            if (request.method != "HEAD" && !without_body) answer += reply.body;
            return stream.write(answer) && !same_name(request.header("Connection"), "close");
        }
        case Mode::hang:
            stream.wait_until_closed();
            return false;
        case Mode::close:
            return false;
        case Mode::reset:
            stream.make_close_reset();
            return false;
        case Mode::drip:
            if (!stream.write(head_of(reply) + "\r\n")) return false;
            while (stream.write(".") && stream.wait(reply.interval)) {
            }
            return false;
        case Mode::endless: {
            const std::string block(65536, '.');
            if (!stream.write(head_of(reply) + "\r\n")) return false;
            while (stream.write(block)) {
            }
            return false;
        }
        case Mode::raw:
            stream.write(reply.body);
            stream.finish();
            return false;
    }
    return false;
}

SSL_CTX* make_tls(const HttpTestServer::Options& options) {
    if (!options.certificate) return nullptr;
    SSL_CTX* tls = SSL_CTX_new(TLS_server_method());
    if (!tls ||
        SSL_CTX_use_certificate_file(tls, options.certificate->certificate_file().c_str(), SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, options.certificate->key_file().c_str(), SSL_FILETYPE_PEM) != 1) {
        throw std::runtime_error("test server: TLS set-up");
    }
    if (options.client_certificate) {
        SSL_CTX_set_verify(tls, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        if (SSL_CTX_load_verify_locations(tls, options.client_certificate->certificate_file().c_str(), nullptr) != 1) {
            throw std::runtime_error("test server: the client's certificate");
        }
    }
    return tls;
}

}  // namespace

std::string_view ReceivedRequest::header(std::string_view name) const {
    for (const auto& [field, value] : headers) {
        if (same_name(field, name)) return value;
    }
    return {};
}

bool ReceivedRequest::has_header(std::string_view name) const {
    return std::ranges::any_of(headers, [&](const auto& field) { return same_name(field.first, name); });
}

ScriptedReply reply(int status, std::string body, HeaderList headers) {
    return {.status = status, .headers = std::move(headers), .body = std::move(body)};
}
ScriptedReply redirect(std::string location, int status) {
    return reply(status, {}, {{"Location", std::move(location)}});
}
ScriptedReply hang() { return {.mode = ScriptedReply::Mode::hang}; }
ScriptedReply close_at_once() { return {.mode = ScriptedReply::Mode::close}; }
ScriptedReply reset() { return {.mode = ScriptedReply::Mode::reset}; }
ScriptedReply drip(std::chrono::milliseconds interval) {
    return {.mode = ScriptedReply::Mode::drip, .interval = interval};
}
ScriptedReply endless() { return {.mode = ScriptedReply::Mode::endless}; }
ScriptedReply truncated(std::string body) {
    return raw("HTTP/1.1 200 Scripted\r\nContent-Length: " + std::to_string(body.size() + 1) + "\r\n\r\n" + body);
}
ScriptedReply raw(std::string bytes) { return {.mode = ScriptedReply::Mode::raw, .body = std::move(bytes)}; }

struct HttpTestServer::Impl {
    struct Connection {
        int fd{-1};
        bool over{false};
        std::thread thread;
    };

    Impl(Handler first_handler, Options chosen)
        : options(std::move(chosen)), tls(make_tls(options)), handler(std::move(first_handler)) {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() { SSL_CTX_free(tls); }

    void accept_connections() {
        int fd{};
        while ((fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0) {
            const std::lock_guard lock{mutex};
            if (stopping) {
                close(fd);
                return;
            }
            // Joining here cannot deadlock: `over` is the last thing that a connection's thread writes under the mutex.
            std::erase_if(connections, [](Connection& connection) {
                if (connection.over) connection.thread.join();
                return connection.over;
            });
            const std::size_t number = ++accepted;
            Connection& connection = connections.emplace_back();
            connection.fd = fd;
            connection.thread = std::thread([this, &connection, fd, number] { serve(connection, fd, number); });
            changed.notify_all();
        }
    }

    void serve(Connection& connection, int fd, std::size_t number) {
        // OpenSSL writes to its socket without MSG_NOSIGNAL.
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
        {
            Stream stream{fd, options.mute ? nullptr : tls};
            if (options.mute) {
                stream.wait_until_closed();
            } else if (stream.handshake()) {
                converse(stream, number);
            } else {
                // Closing with bytes unread would send a reset, which may overtake the alert that says why.
                shutdown(fd, SHUT_WR);
                Stream{fd, nullptr}.wait_until_closed();
            }
        }
        const std::lock_guard lock{mutex};
        close(fd);
        connection.fd = -1;
        connection.over = true;
    }

    void converse(Stream& stream, std::size_t number) {
        std::string buffer;
        while (std::optional<ReceivedRequest> request = read_request(stream, buffer)) {
            request->connection = number;
            Handler current;
            {
                const std::lock_guard lock{mutex};
                received.push_back(*request);
                current = handler;
                changed.notify_all();
            }
            if (!play(current(*request), *request, stream)) return;
        }
    }

    Options options;
    SSL_CTX* tls;
    int port{0};
    int listener{-1};
    std::thread acceptor;

    mutable std::mutex mutex;  // guards what follows
    mutable std::condition_variable changed;
    Handler handler;
    bool stopping{false};
    std::list<Connection> connections;
    std::vector<ReceivedRequest> received;
    std::size_t accepted{0};
};

HttpTestServer::HttpTestServer(ScriptedReply always)
    : HttpTestServer([always = std::move(always)](const ReceivedRequest&) { return always; }) {}

HttpTestServer::HttpTestServer(Handler handler) : HttpTestServer(std::move(handler), Options{}) {}

HttpTestServer::HttpTestServer(Handler handler, Options options)
    : impl_(std::make_unique<Impl>(std::move(handler), std::move(options))) {
    start();
}

HttpTestServer::~HttpTestServer() { stop(); }

void HttpTestServer::start() {
    if (impl_->acceptor.joinable()) return;
    impl_->listener = bound_socket(impl_->options.address, impl_->port);
    impl_->port = port_of(impl_->listener);
    if (listen(impl_->listener, 128) != 0) fail("listen");
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->stopping = false;
    }
    impl_->acceptor = std::thread([impl = impl_.get()] { impl->accept_connections(); });
}

void HttpTestServer::stop() {
    if (!impl_->acceptor.joinable()) return;
    {
        const std::lock_guard lock{impl_->mutex};
        impl_->stopping = true;
    }
    shutdown(impl_->listener, SHUT_RDWR);
    impl_->acceptor.join();
    close(impl_->listener);
    std::list<Impl::Connection> left;
    {
        const std::lock_guard lock{impl_->mutex};
        for (const Impl::Connection& connection : impl_->connections) {
            if (connection.fd >= 0) shutdown(connection.fd, SHUT_RDWR);
        }
        left.swap(impl_->connections);  // a swap of lists moves no element, so the threads' references stay good
    }
    for (Impl::Connection& connection : left) connection.thread.join();
}

void HttpTestServer::set_handler(Handler handler) {
    const std::lock_guard lock{impl_->mutex};
    impl_->handler = std::move(handler);
}

void HttpTestServer::script(std::initializer_list<ScriptedReply> replies) {
    struct Script {
        std::mutex mutex;  // guards next
        std::vector<ScriptedReply> replies;
        std::size_t next{0};
    };
    auto script = std::make_shared<Script>();
    script->replies = replies;
    if (script->replies.empty()) throw std::invalid_argument("an empty script");
    set_handler([script](const ReceivedRequest&) {
        const std::lock_guard lock{script->mutex};
        const std::size_t now = script->next;
        if (now + 1 < script->replies.size()) ++script->next;
        return script->replies[now];
    });
}

int HttpTestServer::port() const { return impl_->port; }

std::string HttpTestServer::url(std::string_view path) const {
    const std::string& address = impl_->options.address;
    const std::string host = address.find(':') == std::string::npos ? address : "[" + address + "]";
    return (impl_->tls ? "https://" : "http://") + host + ":" + std::to_string(port()) + std::string(path);
}

std::vector<ReceivedRequest> HttpTestServer::requests() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->received;
}

std::size_t HttpTestServer::connections() const {
    const std::lock_guard lock{impl_->mutex};
    return impl_->accepted;
}

bool HttpTestServer::wait_for_requests(std::size_t count, std::chrono::milliseconds patience) const {
    std::unique_lock lock{impl_->mutex};
    return impl_->changed.wait_for(lock, patience, [&] { return impl_->received.size() >= count; });
}

bool HttpTestServer::wait_for_connections(std::size_t count, std::chrono::milliseconds patience) const {
    std::unique_lock lock{impl_->mutex};
    return impl_->changed.wait_for(lock, patience, [&] { return impl_->accepted >= count; });
}

void HttpTestServer::forget_requests() {
    const std::lock_guard lock{impl_->mutex};
    impl_->received.clear();
}

RefusingPort::RefusingPort() : socket_(bound_socket("127.0.0.1", 0)), port_(port_of(socket_)) {}
RefusingPort::~RefusingPort() { close(socket_); }
std::string RefusingPort::url(std::string_view path) const { return loopback_url(port_, path); }

SilentPort::SilentPort() {
    sockets_.push_back(bound_socket("127.0.0.1", 0));
    port_ = port_of(sockets_.front());
    if (listen(sockets_.front(), 0) != 0) fail("listen");
    // The queue holds a connection or two; the first that is still not through after 100 ms proves that it is full.
    for (;;) {
        const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0) fail("socket");
        sockets_.push_back(fd);
        Address address = make_address("127.0.0.1", port_);
        if (connect(fd, address.get(), address.size) != 0 && errno != EINPROGRESS) fail("connect");
        pollfd waiting{fd, POLLOUT, 0};
        if (poll(&waiting, 1, 100) == 0) return;
    }
}
SilentPort::~SilentPort() {
    for (const int fd : sockets_) close(fd);
}
std::string SilentPort::url(std::string_view path) const { return loopback_url(port_, path); }

}  // namespace fusebox::test
