// How fast, and from when on, one destination may be sent to.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include <fusebox/core/clock.hpp>

namespace fusebox::notifications {

/// A token bucket: `permits` at once, then one every `per / permits`.
struct RateLimit {
    std::uint32_t permits{};                ///< 0 = no limit (default); at most 1'000'000
    Duration per{std::chrono::seconds{1}};  ///< > 0
    bool operator==(const RateLimit&) const = default;
};
/// "1/s", "120/m" or "10/h". The error says what is expected.
[[nodiscard]] std::expected<RateLimit, std::string> rate_limit_from_string(std::string_view text);

/// Passes as fast as its limit allows, and not at all while it is closed because the destination named a time
/// (Retry-After). Not thread-safe: the owner guards the gate.
class RateGate final {
public:
    explicit RateGate(RateLimit limit = {}, const Clock& clock = steady_clock());

    /// The time until one more may pass; zero: now.
    [[nodiscard]] Duration wait() const noexcept;
    /// Takes a permit; false, and nothing taken, while `wait` is not zero.
    [[nodiscard]] bool try_pass() noexcept;
    /// The time until the closure ends, whatever the limit; zero: the gate is not closed.
    [[nodiscard]] Duration closed_for() const noexcept;
    /// Nothing passes for `time` from now. Never shortens an earlier closure.
    void close_for(Duration time) noexcept;
    /// A new limit from now on; a closure stays.
    void set_limit(RateLimit limit) noexcept;
    [[nodiscard]] bool limited() const noexcept { return limit_.permits != 0; }

private:
    const Clock* clock_;
    RateLimit limit_;
    Duration interval_{};
    TimePoint full_at_{};  // when the bucket is full again; each permit moves it by interval_
    TimePoint closed_until_{};
};

}  // namespace fusebox::notifications
