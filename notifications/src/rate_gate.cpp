#include <fusebox/notifications/rate_gate.hpp>

#include <algorithm>
#include <charconv>

namespace fusebox::notifications {

namespace {
constexpr std::uint32_t most_permits = 1'000'000;
}

std::expected<RateLimit, std::string> rate_limit_from_string(std::string_view text) {
    const auto refuse = [] {
        return std::unexpected(std::string{"must be a number from 1 to 1000000, a slash and s, m or h, as in \"1/s\""});
    };
    RateLimit limit;
    const char* const begin = text.data();
    const char* const end = begin + text.size();
    const auto [rest, error] = std::from_chars(begin, end, limit.permits);
    if (error != std::errc{} || limit.permits < 1 || limit.permits > most_permits) return refuse();
    const std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    if (unit == "/s") {
        limit.per = std::chrono::seconds{1};
    } else if (unit == "/m") {
        limit.per = std::chrono::minutes{1};
    } else if (unit == "/h") {
        limit.per = std::chrono::hours{1};
    } else {
        return refuse();
    }
    return limit;
}

RateGate::RateGate(RateLimit limit, const Clock& clock)
    : clock_(&clock), full_at_(clock.now()), closed_until_(full_at_) {
    set_limit(limit);
}

Duration RateGate::wait() const noexcept {
    const Duration closed = closed_for();
    if (!limited()) return closed;
    // A bucket that is full again within (permits - 1) intervals has a permit left now.
    return std::max(closed, full_at_ - clock_->now() - interval_ * (limit_.permits - 1));
}

bool RateGate::try_pass() noexcept {
    if (wait() > Duration::zero()) return false;
    if (limited()) full_at_ = std::max(full_at_, clock_->now()) + interval_;
    return true;
}

Duration RateGate::closed_for() const noexcept { return std::max(Duration::zero(), closed_until_ - clock_->now()); }

void RateGate::close_for(Duration time) noexcept { closed_until_ = std::max(closed_until_, clock_->now() + time); }

void RateGate::set_limit(RateLimit limit) noexcept {
    if (limit == limit_) return;
    limit_ = limit;
    interval_ = limited() ? limit.per / limit.permits : Duration::zero();
    full_at_ = clock_->now();
}

}  // namespace fusebox::notifications
