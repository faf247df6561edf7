// What a protected operation is told about the call it serves: until when, and whether it is still wanted.
#pragma once

#include <algorithm>
#include <optional>
#include <stop_token>
#include <utility>

#include <fusebox/core/clock.hpp>

namespace fusebox {

/// A deadline on a monotonic clock and a stop token (R32). A value: copy it freely; any thread may read one that nobody
/// assigns to.
///
/// Every client of fusebox passes the deadline down to its socket, query or transfer and gives up early when the token
/// is triggered. Without a deadline `remaining` is empty.
///
///     std::expected<Page, Error> fetch(const Url& url, const fusebox::CallContext& context) {
///         if (context.expired() || context.stop_requested()) return std::unexpected(Error::too_late);
///         return http.get(url, context.remaining().value_or(10s));
///     }
class CallContext {
public:
    CallContext() = default;
    /// `clock` must outlive the context; `deadline` is a point on it.
    CallContext(const Clock& clock, std::optional<TimePoint> deadline, std::stop_token stop = {})
        : clock_(&clock), deadline_(deadline.value_or(none)), stop_(std::move(stop)) {}

    /// A context that ends `timeout` from now on `clock`.
    [[nodiscard]] static CallContext with_timeout(Duration timeout, const Clock& clock = steady_clock(),
                                                  std::stop_token stop = {}) {
        return {clock, clock.now() + timeout, std::move(stop)};
    }

    [[nodiscard]] std::optional<TimePoint> deadline() const noexcept {
        if (deadline_ == none) return std::nullopt;
        return deadline_;
    }
    [[nodiscard]] const std::stop_token& stop_token() const noexcept { return stop_; }
    /// Time left, never negative; empty without a deadline.
    [[nodiscard]] std::optional<Duration> remaining() const noexcept {
        if (deadline_ == none) return std::nullopt;
        return std::max(Duration::zero(), Duration{deadline_ - clock_->now()});
    }
    /// True from the deadline on; never without one.
    [[nodiscard]] bool expired() const noexcept { return deadline_ != none && clock_->now() >= deadline_; }
    [[nodiscard]] bool stop_requested() const noexcept { return stop_.stop_requested(); }
    /// The clock the deadline is on.
    [[nodiscard]] const Clock& clock() const noexcept { return *clock_; }

    // ---- for policies, which hand a changed copy to the call inside them ----
    /// Ends at `deadline`, or at its own deadline where that is earlier. Both must be on one time line.
    [[nodiscard]] CallContext tightened(const Clock& clock, std::optional<TimePoint> deadline) const {
        auto copy = *this;
        copy.clock_ = &clock;
        if (deadline && *deadline < deadline_) copy.deadline_ = *deadline;
        return copy;
    }
    [[nodiscard]] CallContext with_stop_token(std::stop_token stop) const {
        auto copy = *this;
        copy.stop_ = std::move(stop);
        return copy;
    }
    /// `mark_late` sets `*late`, which must live until the call has returned. Null: nobody wants to know.
    [[nodiscard]] CallContext with_late_flag(bool* late) const {
        auto copy = *this;
        copy.late_ = late;
        return copy;
    }
    /// Tells whoever made the call that it returned after a deadline (R33).
    void mark_late() const noexcept {
        if (late_ != nullptr) *late_ = true;
    }

private:
    static constexpr TimePoint none = TimePoint::max();

    const Clock* clock_ = &steady_clock();
    TimePoint deadline_ = none;
    std::stop_token stop_;
    bool* late_ = nullptr;
};

}  // namespace fusebox
