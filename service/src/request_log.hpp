// One line per request that was refused or failed, and few lines per second whatever a client does.
#pragma once

#include <functional>
#include <mutex>
#include <string_view>

#include <fusebox/core/clock.hpp>
#include <fusebox/middleware/http.hpp>
#include <fusebox/policies/rate_limiter.hpp>

#include "logging.hpp"

namespace fusebox::service {

/// Logs answered requests: 5xx as `request_failed`, 4xx as `request_refused`, each 20 lines at once and one per second
/// beyond; the others as `request` at level debug. The next line of its kind says how many were left out. Any member
/// from any thread.
class RequestLog {
public:
    using Sink = std::function<void(Level level, std::string_view event, LogFields fields)>;
    explicit RequestLog(Sink sink = log, const Clock& clock = steady_clock());

    void add(const middleware::Request& request, const middleware::Response& response, Duration took);
    /// Says how many were left out, where no line has said so yet; called now and then, and at the end.
    void say_left_out();

private:
    struct Kind {
        RateLimiter limiter;
        std::uint64_t left_out{};  // since the last line of this kind
    };
    /// How many were left out before this line; none where it is left out itself.
    std::optional<std::uint64_t> admit(Kind& kind);

    Sink sink_;
    std::mutex mutex_;  // guards left_out of both
    Kind refused_;
    Kind failed_;
};

}  // namespace fusebox::service
