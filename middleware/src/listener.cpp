#include "listener.hpp"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

namespace fusebox::middleware {
namespace {

int port_of(int socket) {
    sockaddr_storage address{};
    socklen_t length = sizeof address;
    if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
    return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&address)->sin6_port
                                               : reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

/// None, with errno, if the address cannot be listened on.
Descriptor listen_at(const addrinfo& address) {
    const int yes = 1;
    Descriptor made{::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol)};
    if (made.get() < 0) return {};
    ::setsockopt(made.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (::bind(made.get(), address.ai_addr, address.ai_addrlen) != 0) return {};
    if (::listen(made.get(), SOMAXCONN) != 0) return {};
    return made;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
}

Descriptor::~Descriptor() {
    if (number_ < 0) return;
    const int reason = errno;  // that of the call that failed before
    ::close(number_);
    errno = reason;
}

int Descriptor::release() noexcept { return std::exchange(number_, -1); }

std::expected<Listener, std::string> listen_on(const std::string& host, int port) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found{};
    const auto service = std::to_string(port);
    const auto why_not = [&](const std::string& reason) {
        return std::unexpected("cannot listen on " + host + ":" + service + ": " + reason);
    };
    if (const int error = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &found); error != 0) {
        return why_not(::gai_strerror(error));
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses{found, ::freeaddrinfo};
    int reason = EADDRNOTAVAIL;
    for (const auto* address = addresses.get(); address; address = address->ai_next) {
        if (auto socket = listen_at(*address); socket.get() >= 0) {
            const int bound = port_of(socket.get());
            return Listener{.socket = std::move(socket), .port = bound};
        }
        reason = errno;
    }
    return why_not(std::generic_category().message(reason));
}

Accepted accept_next(const Listener& listener) {
    for (;;) {
        Descriptor made{::accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (made.get() >= 0) {
            const int yes = 1;
            ::setsockopt(made.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            return {.socket = std::move(made)};
        }
        switch (errno) {
            case EAGAIN:
                return {};
            case EMFILE:
            case ENFILE:
            case ENOBUFS:
            case ENOMEM:
                return {.exhausted = true};
            case EBADF:
            case EINVAL:
            case ENOTSOCK:
                return {};  // the socket is closed
            default:
                break;  // accept(2): what went wrong on this connection only; the next one may wait
        }
    }
}

}  // namespace fusebox::middleware
