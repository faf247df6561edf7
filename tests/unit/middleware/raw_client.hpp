// A TCP client that sends bytes as they are: what no well-behaved HTTP client would send.
#pragma once

#include <cstdlib>
#include <map>
#include <string>
#include <string_view>

namespace fusebox::test {

struct RawAnswer {
    int status{};                                ///< 0: none came
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string body;
    bool closed{};  ///< the server closed the connection behind it
};

/// One loopback connection. Every wait is bounded by 5 s.
class RawClient {
public:
    explicit RawClient(int port);
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;
    ~RawClient();

    /// False if the server had closed already.
    bool send(std::string_view bytes);
    /// Says that nothing more will be sent.
    void finish();
    /// The next response. `head_only`: of a HEAD request, so that no body follows.
    RawAnswer receive(bool head_only = false);
    /// True if the server closes within `milliseconds`.
    bool closes_within(int milliseconds);
    /// True once a part of an answer is there, which `receive` gives whole.
    bool answers_within(int milliseconds);
    [[nodiscard]] int socket() const { return socket_; }

private:
    bool read_more(int milliseconds);

    int socket_{-1};
    bool closed_{};
    std::string buffer_;
};

/// "POST /x HTTP/1.1" with Host, Content-Type and Content-Length, and `more` headers ("Name: value\r\n").
[[nodiscard]] std::string request(std::string_view method, std::string_view target, std::string_view body = {},
                                  std::string_view more = {});

}  // namespace fusebox::test
