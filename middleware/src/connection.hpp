// One accepted connection: bytes in and out, in the clear or over TLS, and the next request's head.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

#include "listener.hpp"
#include "message_head.hpp"
#include "stopping.hpp"
#include "tls_context.hpp"

namespace fusebox::middleware {

/// Used by one thread at a time. Only `wait` and `write` wait.
class Connection {
public:
    using Time = std::chrono::steady_clock::time_point;

    /// What a step that does not wait came to.
    enum class Step {
        done,
        wants_input,   ///< the step goes on when the socket is readable
        wants_output,  ///< likewise, writable
        ended,         ///< the peer sends no more, or the connection failed
    };
    enum class Head {
        none,     ///< not a byte of one
        begun,    ///< not all of it
        whole,    ///< `take_head` gives it
        refused,  ///< `refusal` says why
    };

    /// `tls` null: in the clear. `stopping` cuts waits short. Throws `std::bad_alloc`.
    Connection(Descriptor socket, const TlsContext& tls, const Stopping& stopping);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    /// The TLS handshake; done at once where there is none.
    Step shake_hands();
    [[nodiscard]] bool ready() const noexcept { return ready_; }  ///< the handshake is done

    /// Adds what has come to `received`.
    Step receive();
    [[nodiscard]] std::string_view received() const noexcept { return std::string_view{buffer_}.substr(begin_); }
    void consume(std::size_t bytes);

    /// What has been received of the next head. Looks at each byte once.
    Head look_for_head();
    [[nodiscard]] const MessageHead& head() const { return *head_; }  ///< after `whole`
    MessageHead take_head();                                          ///< after `whole`
    [[nodiscard]] Refusal refusal() const { return refusal_; }        ///< after `refused`

    /// A head must have come by then: `head_timeout` after its first byte or, before the handshake is done, after the
    /// connection was made; its first byte must have come `keep_alive` after the request before.
    [[nodiscard]] Time head_deadline(std::chrono::milliseconds keep_alive,
                                     std::chrono::milliseconds head_timeout) const;
    /// When the first byte of the latest head came.
    [[nodiscard]] Time head_began() const { return head_began_; }

    /// Sends as much of `bytes` as can be sent now, and removes it from them.
    Step send(std::string_view& bytes);
    /// Asked every 100 ms of a wait; true ends the wait.
    using GiveUp = std::function<bool()>;
    /// Sends all. False: the peer took nothing for `silence`, not all by `until`, or is gone; or as `wait` says.
    bool write(std::string_view bytes, std::chrono::milliseconds silence, Time until, const GiveUp& give_up = {});

    /// Nothing will be sent any more. What is received from here on is only thrown away (see `discard`), so that the
    /// peer, which may still send, can read what it was told (RFC 9112 §9.6).
    void leave();
    [[nodiscard]] bool leaving() const noexcept { return leaving_; }
    [[nodiscard]] Time leave_deadline() const noexcept { return leave_deadline_; }
    /// Throws away what has come. Ended: the peer has closed, or has sent more than is worth reading.
    Step discard();

    /// Waits until the socket is what `step` wants. False: it was not so by `until` or by `Stopping::give_up_at`, or
    /// `give_up` said so.
    [[nodiscard]] bool wait(Step step, Time until, const GiveUp& give_up = {}) const;
    /// Numeric; empty if it cannot be told.
    [[nodiscard]] const std::string& remote_address();
    [[nodiscard]] int socket() const noexcept { return socket_.get(); }

private:
    struct Free {
        void operator()(SSL* tls) const noexcept { SSL_free(tls); }
    };

    Step after_tls(int result);

    Descriptor socket_;
    std::unique_ptr<SSL, Free> tls_;
    const Stopping& stopping_;
    bool ready_;
    bool broken_{};  ///< TLS failed: no more calls but SSL_free
    bool leaving_{};
    Time leave_deadline_{};
    std::size_t discarded_{};
    std::string buffer_;  ///< what was received and not consumed, from `begin_` on
    std::size_t begin_{};
    HeadScanner scanner_;
    std::optional<MessageHead> head_;
    Refusal refusal_;
    Time waits_since_;
    Time head_began_{};
    bool head_begun_{};
    std::optional<std::string> remote_address_;
};

/// From here on a write to a peer that is gone is an error for this thread, and no SIGPIPE. OpenSSL writes without
/// MSG_NOSIGNAL, so every thread that uses connections calls it first.
void block_broken_pipe_signal();

}  // namespace fusebox::middleware
