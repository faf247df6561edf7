#include "connection.hpp"

#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <new>

#include <openssl/err.h>

namespace fusebox::middleware {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

/// How often a wait looks whether it shall end.
constexpr milliseconds slice{100};
/// A refused peer's: how long, and how much, it is listened to after the answer.
constexpr milliseconds leave_timeout{1000};
constexpr std::size_t max_discarded_bytes = 1U << 20U;
/// A TLS record has no more, so that none of one is left inside OpenSSL, where poll(2) does not see it.
constexpr std::size_t receive_bytes = 16384;

}  // namespace

Connection::Connection(Descriptor socket, const TlsContext& tls, const Stopping& stopping)
    : socket_(std::move(socket)), stopping_(stopping), ready_(!tls), waits_since_(Clock::now()) {
    if (!tls) return;
    tls_.reset(SSL_new(tls.get()));
    if (!tls_ || SSL_set_fd(tls_.get(), socket_.get()) != 1) throw std::bad_alloc{};
}

Connection::~Connection() {
    if (tls_ && ready_ && !broken_ && !leaving_) SSL_shutdown(tls_.get());  // one try: the peer may be gone
    ERR_clear_error();
}

Connection::Step Connection::after_tls(int result) {
    switch (SSL_get_error(tls_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return Step::wants_input;
        case SSL_ERROR_WANT_WRITE:
            return Step::wants_output;
        case SSL_ERROR_ZERO_RETURN:
            return Step::ended;
        default:
            broken_ = true;
            return Step::ended;
    }
}

Connection::Step Connection::shake_hands() {
    if (ready_) return Step::done;
    ERR_clear_error();
    const int result = SSL_accept(tls_.get());
    if (result != 1) return after_tls(result);
    ready_ = true;
    waits_since_ = Clock::now();
    return Step::done;
}

Connection::Step Connection::receive() {
    std::array<char, receive_bytes> bytes;  // NOLINT(*-member-init): written before it is read
    std::size_t count{};
    if (tls_) {
        if (broken_) return Step::ended;
        ERR_clear_error();
        const int got = SSL_read(tls_.get(), bytes.data(), static_cast<int>(bytes.size()));
        if (got <= 0) return after_tls(got);
        count = static_cast<std::size_t>(got);
    } else {
        ssize_t got{};
        do {
            got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);
        } while (got < 0 && errno == EINTR);
        if (got < 0 && errno == EAGAIN) return Step::wants_input;
        if (got <= 0) return Step::ended;
        count = static_cast<std::size_t>(got);
    }
    buffer_.append(bytes.data(), count);
    return Step::done;
}

void Connection::consume(std::size_t bytes) {
    begin_ += bytes;
    if (begin_ < buffer_.size()) return;
    buffer_.clear();
    begin_ = 0;
}

Connection::Head Connection::look_for_head() {
    if (head_) return Head::whole;
    if (refusal_.status != 0) return Head::refused;
    if (received().empty()) return Head::none;
    if (!head_begun_) {
        head_begun_ = true;
        head_began_ = Clock::now();
        buffer_.erase(0, begin_);
        begin_ = 0;
    }
    const auto length = scanner_.find_end(received());
    if (length && *length == 0) return Head::begun;
    auto head = length ? parse_head(received().substr(0, *length)) : std::unexpected(length.error());
    if (!head) {
        refusal_ = head.error();
        return Head::refused;
    }
    head_ = std::move(*head);
    consume(*length);
    return Head::whole;
}

MessageHead Connection::take_head() {
    auto head = std::move(*head_);
    head_.reset();
    head_begun_ = false;
    scanner_ = {};
    waits_since_ = Clock::now();
    return head;
}

Connection::Time Connection::head_deadline(milliseconds keep_alive, milliseconds head_timeout) const {
    if (head_begun_) return head_began_ + head_timeout;
    return waits_since_ + (ready_ ? keep_alive : head_timeout);
}

Connection::Step Connection::send(std::string_view& bytes) {
    while (!bytes.empty()) {
        std::size_t count{};
        if (tls_) {
            if (broken_ || !ready_) return Step::ended;
            ERR_clear_error();
            const int sent =
                SSL_write(tls_.get(), bytes.data(), static_cast<int>(std::min<std::size_t>(bytes.size(), INT_MAX)));
            if (sent <= 0) return after_tls(sent);
            count = static_cast<std::size_t>(sent);
        } else {
            const auto sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent < 0 && errno == EINTR) continue;
            if (sent < 0 && errno == EAGAIN) return Step::wants_output;
            if (sent <= 0) return Step::ended;
            count = static_cast<std::size_t>(sent);
        }
        bytes.remove_prefix(count);
    }
    return Step::done;
}

bool Connection::write(std::string_view bytes, milliseconds silence, Time until, const GiveUp& give_up) {
    for (;;) {
        const auto step = send(bytes);
        if (step == Step::done) return true;
        if (step == Step::ended || !wait(step, std::min(until, Clock::now() + silence), give_up)) return false;
    }
}

void Connection::leave() {
    if (tls_ && ready_ && !broken_) SSL_shutdown(tls_.get());
    ERR_clear_error();
    leaving_ = true;
    leave_deadline_ = Clock::now() + leave_timeout;
    ::shutdown(socket_.get(), SHUT_WR);
}

Connection::Step Connection::discard() {
    std::array<char, receive_bytes> bytes;  // NOLINT(*-member-init): written before it is read
    while (discarded_ < max_discarded_bytes) {
        const auto got = ::recv(socket_.get(), bytes.data(), bytes.size(), 0);  // under TLS: records as they are
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return Step::wants_input;
        if (got <= 0) return Step::ended;
        discarded_ += static_cast<std::size_t>(got);
    }
    return Step::ended;
}

bool Connection::wait(Step step, Time until, const GiveUp& give_up) const {
    const short events = step == Step::wants_output ? POLLOUT : POLLIN;
    for (;;) {
        // Time is judged before the socket: a peer that drips is always ready.
        const auto left = std::chrono::ceil<milliseconds>(std::min(until, stopping_.give_up_at()) - Clock::now());
        if (left <= milliseconds{0} || (give_up && give_up())) return false;
        pollfd entry{.fd = socket_.get(), .events = events, .revents = 0};
        const int ready = ::poll(&entry, 1, static_cast<int>(std::min(left, slice).count()));
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
}

void block_broken_pipe_signal() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

const std::string& Connection::remote_address() {
    if (!remote_address_) {
        sockaddr_storage address{};
        socklen_t length = sizeof address;
        std::array<char, NI_MAXHOST> host{};
        const bool known = ::getpeername(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
                           ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), length, host.data(), host.size(),
                                         nullptr, 0, NI_NUMERICHOST) == 0;
        remote_address_ = known ? std::string{host.data()} : std::string{};
    }
    return *remote_address_;
}

}  // namespace fusebox::middleware
