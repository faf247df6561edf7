// One accepted connection under httplib, and the threads that serve them. httplib itself puts no bound on the head of a
// request, in bytes or in time, and keeps a thread for every connection from a fixed number of them.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <httplib.h>

namespace fusebox::middleware {

struct ConnectionLimits {
    std::chrono::milliseconds keep_alive{};       ///< idle between requests
    std::chrono::milliseconds io_timeout{};       ///< silence in mid-request
    std::chrono::milliseconds head_timeout{};     ///< from a request's first byte to the end of its head
    std::chrono::milliseconds request_timeout{};  ///< to the end of its body
    std::size_t max_head_bytes{};
};

/// A thread per connection, made when there is no idle one, up to `most`; further connections wait.
///
/// T1  httplib calls `enqueue` and then, once and last, `shutdown`, each from the thread that accepts connections.
/// T2  `mutex_` guards `waiting_`, `threads_`, `idle_` and `stopping_`. No connection is served while it is held.
///     shutdown() joins the threads without it, since by T1 no thread is added any more.
/// T3  `idle_` counts the threads that wait for a connection, until they have the mutex again after their wait. A
///     thread is made where more connections wait than threads are idle.
/// T4  After `stopping_` is set, the threads still serve the connections that wait, and end when there is none.
class ConnectionThreads final : public httplib::TaskQueue {
public:
    explicit ConnectionThreads(std::size_t most) : most_(most) {}
    void enqueue(std::function<void()> serve) override;
    void shutdown() override;

private:
    void work();

    const std::size_t most_;
    std::mutex mutex_;  ///< guards all below (T2)
    std::condition_variable changed_;
    std::deque<std::function<void()>> waiting_;
    std::vector<std::thread> threads_;
    std::size_t idle_{};  ///< T3
    bool stopping_{};     ///< T4
};

/// Reads and writes one connection within its limits; used by one thread. With `tls`, speaks TLS.
class Connection final : public httplib::Stream {
public:
    /// `server_socket` is httplib's: Server::stop() stores INVALID_SOCKET in it, from any thread. A connection only
    /// asks whether the server stops, and reads no other data by the answer. Does not own `socket`.
    Connection(socket_t socket, SSL_CTX* tls, const ConnectionLimits& limits,
               const std::atomic<socket_t>& server_socket);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() override;

    /// The TLS handshake. False if it failed.
    bool begin();
    /// Waits for the next request. False: none came, or the server stops.
    bool wait_for_request();

    bool is_readable() const override { return true; }
    bool is_writable() const override;
    ssize_t read(char* data, std::size_t size) override;
    ssize_t write(const char* data, std::size_t size) override;
    void get_remote_ip_and_port(std::string& ip, int& port) const override;
    void get_local_ip_and_port(std::string& ip, int& port) const override;
    socket_t socket() const override { return socket_; }

private:
    using Time = std::chrono::steady_clock::time_point;

    bool stopping() const { return server_socket_ == INVALID_SOCKET; }  // seq_cst, by default
    bool wait(short events, Time until) const;
    bool retry_tls(int result, Time until) const;
    ssize_t receive(char* data, std::size_t size, Time until);
    void note_head(char byte);

    socket_t socket_;
    const ConnectionLimits limits_;
    const std::atomic<socket_t>& server_socket_;
    SSL* tls_{};
    std::array<char, 16384> buffer_{};
    std::size_t buffer_begin_{};
    std::size_t buffer_end_{};
    bool in_head_{true};
    std::size_t head_bytes_{};
    unsigned line_bytes_{};  ///< of the head's current line, CR left out
    Time began_{};
};

/// An httplib server whose connections keep to limits.
template <class Base>
class BoundedServer final : public Base {
public:
    template <class... Arguments>
    explicit BoundedServer(const ConnectionLimits& limits, Arguments&&... arguments)
        : Base(std::forward<Arguments>(arguments)...), limits_(limits) {}

private:
    SSL_CTX* tls() const {
        if constexpr (requires(const Base& base) { base.ssl_context(); }) {
            return this->ssl_context();
        } else {
            return nullptr;
        }
    }

    bool process_and_close_socket(socket_t socket) override {
        bool ok = false;
        {
            Connection connection{socket, tls(), limits_, this->svr_sock_};
            if (connection.begin()) {
                for (auto left = this->keep_alive_max_count_; left > 0 && connection.wait_for_request(); --left) {
                    bool closed = false;
                    ok = this->process_request(connection, left == 1, closed, nullptr);
                    if (!ok || closed) break;
                }
            }
        }
        ::shutdown(socket, SHUT_RDWR);
        ::close(socket);
        return ok;
    }

    ConnectionLimits limits_;
};

}  // namespace fusebox::middleware
