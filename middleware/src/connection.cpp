#include "connection.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <system_error>

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace fusebox::middleware {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often a wait looks whether the server stops.
constexpr milliseconds slice{100};
/// What a request that is under way when the server stops has left to arrive.
constexpr milliseconds stop_grace{3000};

bool may_retry(int error) { return error == EAGAIN || error == EINTR; }

void name_of(const sockaddr_storage& address, socklen_t length, std::string& ip, int& port) {
    std::array<char, NI_MAXHOST> host{};
    std::array<char, NI_MAXSERV> service{};
    if (::getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host.data(), host.size(), service.data(),
                      service.size(), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
        return;
    }
    ip = host.data();
    port = std::atoi(service.data());
}

}  // namespace

void ConnectionThreads::enqueue(std::function<void()> serve) {
    const std::lock_guard lock{mutex_};
    waiting_.push_back(std::move(serve));
    if (waiting_.size() > idle_ && threads_.size() < most_) {
        try {
            threads_.emplace_back([this] { work(); });
        } catch (const std::system_error&) {
            if (threads_.empty()) throw;  // else one of the other threads serves it
        }
    }
    changed_.notify_one();
}

void ConnectionThreads::work() {
    std::unique_lock lock{mutex_};
    for (;;) {
        ++idle_;
        changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
        --idle_;
        if (waiting_.empty()) return;
        auto serve = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        serve();
        serve = nullptr;
        lock.lock();
    }
}

void ConnectionThreads::shutdown() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();  // T2
}

Connection::Connection(socket_t socket, SSL_CTX* tls, const ConnectionLimits& limits,
                       const std::atomic<socket_t>& server_socket)
    : socket_(socket), limits_(limits), server_socket_(server_socket), tls_(tls ? SSL_new(tls) : nullptr) {
    ::fcntl(socket_, F_SETFL, ::fcntl(socket_, F_GETFL) | O_NONBLOCK);
    if (tls_) SSL_set_fd(tls_, socket_);
}

Connection::~Connection() {
    if (!tls_) return;
    SSL_shutdown(tls_);  // one try: the peer may be gone
    SSL_free(tls_);
    ERR_clear_error();
}

bool Connection::wait(short events, Time until) const {
    for (bool was_stopping = false;;) {
        if (stopping() && !was_stopping) {
            was_stopping = true;
            until = std::min(until, Clock::now() + stop_grace);
        }
        const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
        pollfd entry{.fd = socket_, .events = events, .revents = 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(std::clamp(left, milliseconds{0}, slice).count()));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
        if (left <= milliseconds{0}) return false;
    }
}

/// After a TLS call that gave `result`: true when it is to be called again.
bool Connection::retry_tls(int result, Time until) const {
    switch (SSL_get_error(tls_, result)) {
        case SSL_ERROR_WANT_READ:
            return wait(POLLIN, until);
        case SSL_ERROR_WANT_WRITE:
            return wait(POLLOUT, until);
        default:
            return false;
    }
}

bool Connection::begin() {
    if (!tls_) return true;
    const auto until = Clock::now() + limits_.head_timeout;
    for (;;) {
        ERR_clear_error();
        const int result = SSL_accept(tls_);
        if (result == 1) return true;
        if (!retry_tls(result, until)) return false;
    }
}

bool Connection::wait_for_request() {
    in_head_ = true;
    head_bytes_ = 0;
    line_bytes_ = 0;
    const auto until = Clock::now() + limits_.keep_alive;
    while (buffer_begin_ == buffer_end_ && !(tls_ && SSL_pending(tls_) > 0)) {
        if (stopping() || Clock::now() >= until) return false;
        if (wait(POLLIN, std::min(until, Clock::now() + slice))) break;
    }
    began_ = Clock::now();
    return true;
}

bool Connection::is_writable() const { return wait(POLLOUT, Clock::now() + limits_.io_timeout); }

ssize_t Connection::receive(char* data, std::size_t size, Time until) {
    for (;;) {
        if (tls_) {
            ERR_clear_error();
            const int got = SSL_read(tls_, data, static_cast<int>(std::min<std::size_t>(size, INT_MAX)));
            if (got > 0) return got;
            if (!retry_tls(got, until)) return SSL_get_error(tls_, got) == SSL_ERROR_ZERO_RETURN ? 0 : -1;
        } else {
            const auto got = ::recv(socket_, data, size, 0);
            if (got >= 0) return got;
            if (!may_retry(errno)) return -1;
            if (!wait(POLLIN, until)) return -1;
        }
    }
}

/// An empty line ends the head; httplib reads it byte by byte.
void Connection::note_head(char byte) {
    ++head_bytes_;
    if (byte == '\n') {
        const bool request_line_seen = head_bytes_ > 2;
        if (line_bytes_ == 0 && request_line_seen) in_head_ = false;
        line_bytes_ = 0;
    } else if (byte != '\r') {
        ++line_bytes_;
    }
}

ssize_t Connection::read(char* data, std::size_t size) {
    if (in_head_ && head_bytes_ >= limits_.max_head_bytes) return -1;
    if (size == 0) return 0;
    if (buffer_begin_ == buffer_end_) {
        const auto now = Clock::now();
        const auto last = began_ + (in_head_ ? limits_.head_timeout : limits_.request_timeout);
        if (now >= last) return -1;
        const auto got = receive(buffer_.data(), buffer_.size(), std::min(last, now + limits_.io_timeout));
        if (got <= 0) return got;
        buffer_begin_ = 0;
        buffer_end_ = static_cast<std::size_t>(got);
    }
    const auto count = in_head_ ? std::size_t{1} : std::min(size, buffer_end_ - buffer_begin_);
    std::copy_n(buffer_.data() + buffer_begin_, count, data);
    buffer_begin_ += count;
    if (in_head_) note_head(*data);
    return static_cast<ssize_t>(count);
}

ssize_t Connection::write(const char* data, std::size_t size) {
    // All or nothing: httplib does not go on after a part of a head.
    for (std::size_t done = 0; done < size;) {
        const auto until = Clock::now() + limits_.io_timeout;
        const auto left = size - done;
        if (tls_) {
            ERR_clear_error();
            const int sent = SSL_write(tls_, data + done, static_cast<int>(std::min<std::size_t>(left, INT_MAX)));
            if (sent > 0) {
                done += static_cast<std::size_t>(sent);
            } else if (!retry_tls(sent, until)) {
                return -1;
            }
        } else if (const auto sent = ::send(socket_, data + done, left, MSG_NOSIGNAL); sent > 0) {
            done += static_cast<std::size_t>(sent);
        } else if (!may_retry(errno) || !wait(POLLOUT, until)) {
            return -1;
        }
    }
    return static_cast<ssize_t>(size);
}

void Connection::get_remote_ip_and_port(std::string& ip, int& port) const {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getpeername(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0) name_of(address, length, ip, port);
}

void Connection::get_local_ip_and_port(std::string& ip, int& port) const {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0) name_of(address, length, ip, port);
}

}  // namespace fusebox::middleware
