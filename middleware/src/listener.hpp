// A socket that listens, and what it accepts; nothing here waits.
#pragma once

#include <expected>
#include <optional>
#include <string>

namespace fusebox::middleware {

/// Owns a file descriptor, or none (-1).
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int number) : number_(number) {}
    Descriptor(Descriptor&& other) noexcept : number_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor();

    [[nodiscard]] int get() const noexcept { return number_; }
    int release() noexcept;

private:
    int number_{-1};
};

struct Listener {
    Descriptor socket{};
    int port{};
};

/// `host`: a name or a numeric address, IPv6 without brackets. `port` 0: any free one. Else one sentence that says why
/// not. No other socket shares the port.
[[nodiscard]] std::expected<Listener, std::string> listen_on(const std::string& host, int port);

struct Accepted {
    Descriptor socket{};  ///< non-blocking; none: nobody waits, or `exhausted`
    bool exhausted{};     ///< the system has no descriptor or memory for a connection now
};
[[nodiscard]] Accepted accept_next(const Listener& listener);

}  // namespace fusebox::middleware
