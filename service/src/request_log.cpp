#include "request_log.hpp"

#include <utility>

#include <nlohmann/json.hpp>

#include "api/access_table.hpp"

namespace fusebox::service {
namespace {

RateLimiter limiter(const Clock& clock) {
    return RateLimiter{{.permits = 1, .period = std::chrono::seconds{1}, .burst = 20}, {.clock = &clock}};
}

/// What the answer told the client: `detail` of a problem, `output` of a health check.
std::string detail_of(const middleware::Response& response) {
    const auto body = nlohmann::json::parse(response.body, nullptr, false);
    if (!body.is_object()) return {};
    for (const auto* field : {"detail", "output"}) {
        const auto found = body.find(field);
        if (found != body.end() && found->is_string()) return found->get<std::string>();
    }
    return {};
}

/// Somebody who brings alerts is not heard: worth more than a mistyped path.
bool brings_alerts(const middleware::Request& request) {
    const auto* row = find_access(request.method, request.path);
    return row && row->role == Role::ingest;
}

}  // namespace

RequestLog::RequestLog(Sink sink, const Clock& clock)
    : sink_(std::move(sink)), refused_{.limiter = limiter(clock)}, failed_{.limiter = limiter(clock)} {}

std::optional<std::uint64_t> RequestLog::admit(Kind& kind) {
    const bool admitted = kind.limiter.try_acquire().has_value();
    const std::lock_guard lock(mutex_);
    if (admitted) return std::exchange(kind.left_out, 0);
    ++kind.left_out;
    return std::nullopt;
}

void RequestLog::add(const middleware::Request& request, const middleware::Response& response, Duration took) {
    const auto microseconds = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    if (response.status < 400) {
        if (!log_enabled(Level::debug)) return;
        return sink_(Level::debug, "request",
                     {{"method", request.method},
                      {"path", request.path},
                      {"status", response.status},
                      {"peer", request.remote_address},
                      {"took_us", microseconds}});
    }
    const bool failed = response.status >= 500;
    const auto left_out = admit(failed ? failed_ : refused_);
    if (!left_out) return;
    sink_(failed || brings_alerts(request) ? Level::warning : Level::info,
          failed ? "request_failed" : "request_refused",
          {{"method", request.method},
           {"path", request.path},
           {"status", response.status},
           {"peer", request.remote_address},
           {"reason", detail_of(response)},
           {"took_us", microseconds},
           {"left_out", *left_out}});
}

void RequestLog::say_left_out() {
    std::uint64_t refused = 0;
    std::uint64_t failed = 0;
    {
        const std::lock_guard lock(mutex_);
        refused = std::exchange(refused_.left_out, 0);
        failed = std::exchange(failed_.left_out, 0);
    }
    if (refused != 0) sink_(Level::info, "requests_refused", {{"left_out", refused}});
    if (failed != 0) sink_(Level::warning, "requests_failed", {{"left_out", failed}});
}

}  // namespace fusebox::service
