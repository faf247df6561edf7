// Bounds how many calls to a dependency begin in a time.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include <fusebox/core/clock.hpp>
#include <fusebox/policies/policy.hpp>
#include <fusebox/policies/sleeper.hpp>

namespace fusebox {

/// One permit every `period` / `permits`, rounded up to a nanosecond; at most ten million a second.
struct RateLimiterConfig {
    std::uint32_t permits{100};                ///< per period; 1 … 1'000'000; default 100
    Duration period{std::chrono::seconds{1}};  ///< 1 ms … 1 day; default 1 s
    std::optional<std::uint32_t> burst{};  ///< permits that can be saved up; 1 … 1'000'000; none: as many as `permits`
    Duration max_wait{};  ///< how long a call may wait for its permit; 0 … 1 day; default 0: it is rejected
    bool operator==(const RateLimiterConfig&) const = default;
};

/// What a rate limiter is built with besides its configuration. All optional.
struct RateLimiterOptions {
    const Clock* clock{&steady_clock()};  ///< must outlive the policy
    Sleeper* sleeper{&system_sleeper()};  ///< must outlive the policy
};

/// A token bucket that starts full. Who finds no permit waits for the next one in order of arrival, where `max_wait`
/// and its deadline allow, or is rejected with `rate_limited` and the time until the next permit in `retry_after`.
///
/// A handle: copies share the permits. Thread contract: any thread at any time; lock-free, but for the sleep of who
/// waits.
///
///     fusebox::RateLimiter limiter{{.permits = 50, .burst = 10}};   // 50 calls a second, 10 of them at once
///     auto answer = fusebox::call_with(limiter, [&] { return client.fetch(key); });
class RateLimiter {
public:
    /// Throws `InvalidConfig`.
    explicit RateLimiter(const RateLimiterConfig& config = {}, RateLimiterOptions options = {});

    /// Takes a permit if there is one now.
    [[nodiscard]] std::expected<void, Rejection> try_acquire() const noexcept;
    /// Takes a permit, and sleeps until its time has come. One that a stop request ends gives its permit back.
    [[nodiscard]] std::expected<void, Rejection> acquire(const CallContext& context) const;

    template <class Next>
    AnswerOf<Next> execute(const CallContext& context, Next&& next) const {
        if (const auto permit = acquire(context); !permit) return AnswerOf<Next>{std::unexpect, permit.error()};
        return next(context);
    }

    /// Calls rejected since the policy was made.
    [[nodiscard]] std::uint64_t rejected() const noexcept;
    [[nodiscard]] std::string describe() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

}  // namespace fusebox
