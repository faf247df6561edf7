#include "raw_client.hpp"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>

namespace fusebox::test {
namespace {

constexpr int patience = 5000;

}  // namespace

RawClient::RawClient(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    const timeval wait{.tv_sec = patience / 1000, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    ::setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(socket_);
        throw std::runtime_error("cannot connect to the test's own server");
    }
}

RawClient::~RawClient() { ::close(socket_); }

bool RawClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
}

void RawClient::finish() { ::shutdown(socket_, SHUT_WR); }

bool RawClient::read_more(int milliseconds) {
    pollfd wait{.fd = socket_, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, milliseconds) <= 0) return false;
    std::array<char, 16384> bytes{};
    const auto count = ::recv(socket_, bytes.data(), bytes.size(), 0);
    if (count <= 0) {
        closed_ = true;
        return false;
    }
    buffer_.append(bytes.data(), static_cast<std::size_t>(count));
    return true;
}

bool RawClient::closes_within(int milliseconds) {
    while (!closed_ && read_more(milliseconds)) {
    }
    return closed_;
}

bool RawClient::answers_within(int milliseconds) { return !buffer_.empty() || read_more(milliseconds); }

RawAnswer RawClient::receive(bool head_only) {
    RawAnswer answer;
    std::size_t head_end = 0;
    while ((head_end = buffer_.find("\r\n\r\n")) == std::string::npos) {
        if (!read_more(patience)) {
            answer.closed = closed_;
            return answer;
        }
    }
    auto head = buffer_.substr(0, head_end + 2);
    buffer_.erase(0, head_end + 4);
    answer.status = std::atoi(head.substr(head.find(' ') + 1).c_str());
    for (std::size_t begin = head.find("\r\n") + 2; begin < head.size();) {
        const auto end = head.find("\r\n", begin);
        const auto colon = head.find(": ", begin);
        auto name = head.substr(begin, colon - begin);
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
        answer.headers[name] = head.substr(colon + 2, end - colon - 2);
        begin = end + 2;
    }
    const auto length = head_only ? 0 : static_cast<std::size_t>(std::atoll(answer.headers["content-length"].c_str()));
    while (buffer_.size() < length && read_more(patience)) {
    }
    answer.body = buffer_.substr(0, length);
    buffer_.erase(0, std::min(length, buffer_.size()));
    answer.closed = closed_;
    return answer;
}

std::string request(std::string_view method, std::string_view target, std::string_view body, std::string_view more) {
    std::string text{method};
    text.append(" ").append(target).append(" HTTP/1.1\r\nHost: test\r\n").append(more);
    if (!body.empty()) {
        text += "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n";
    }
    return text.append("\r\n").append(body);
}

}  // namespace fusebox::test
