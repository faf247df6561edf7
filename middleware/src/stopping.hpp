// That a server stops, told to everybody who waits for a peer.
#pragma once

#include <atomic>
#include <chrono>

namespace fusebox::middleware {

/// One thread says so; any thread reads.
class Stopping {
public:
    using Time = std::chrono::steady_clock::time_point;

    void begin(std::chrono::milliseconds grace) { give_up_at_ = std::chrono::steady_clock::now() + grace; }
    /// The server starts again.
    void reset() { give_up_at_ = Time::max(); }
    [[nodiscard]] bool begun() const noexcept { return give_up_at() != Time::max(); }
    /// When whoever still waits for a peer gives up, however busily the peer drips; far away while nothing stops.
    [[nodiscard]] Time give_up_at() const noexcept { return give_up_at_; }

private:
    std::atomic<Time> give_up_at_{Time::max()};
};

}  // namespace fusebox::middleware
