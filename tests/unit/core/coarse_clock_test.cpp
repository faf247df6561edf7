// Rejections by a coarse clock that the tests set by hand: late by as much as a clock may be, and by more time than
// passes between any two ticks of a kernel.
#include <atomic>
#include <functional>

#include "support/rig.hpp"

namespace fusebox {
namespace {

using namespace std::chrono_literals;

/// Both hands stand where the test puts them.
class TwoHands final : public Clock {
public:
    [[nodiscard]] TimePoint now() const noexcept override {
        ++reads;
        return exact;
    }
    [[nodiscard]] WallTime wall_now() const noexcept override { return {}; }
    [[nodiscard]] std::optional<TimePoint> coarse_now() const noexcept override {
        const auto read = coarse;
        if (auto then = std::exchange(while_read, nullptr)) then();
        return read;
    }

    TimePoint exact{1h};
    TimePoint coarse{1h};
    mutable int reads = 0;
    mutable std::function<void()> while_read;  // what another thread does after the coarse clock was read; once
};

struct CoarseRig {
    /// Open since 1 h, for 30 s.
    CoarseRig() { breaker.trip(); }

    Rejection rejection() {
        auto permit = breaker.try_acquire();
        REQUIRE_FALSE(permit);
        return permit.error();
    }

    TwoHands clock;
    CircuitBreaker breaker{"x", {}, {.clock = &clock}};
    const TimePoint retry_at{1h + 30s};
};

TEST_CASE("R2: while the retry time is far away, a rejection reads the coarse clock only") {
    CoarseRig rig;
    rig.clock.exact = rig.clock.coarse = TimePoint{1h + 10s};
    const auto reads = rig.clock.reads;
    const auto rejection = rig.rejection();
    CHECK(rejection.kind == Rejection::Kind::circuit_open);
    CHECK(rejection.state == State::open);
    CHECK(rejection.retry_after == 20s);
    CHECK(rejection.generation == 1);
    CHECK(rig.clock.reads == reads);
    CHECK(rig.breaker.metrics().totals.rejected_open == 1);

    rig.clock.coarse = rig.retry_at - Clock::coarse_lag - 1ns;
    CHECK(rig.rejection().retry_after == Clock::coarse_lag + 1ns);
}

TEST_CASE("R3: however late the coarse clock is, the call at the retry time is a probe") {
    CoarseRig rig;
    const Duration late = GENERATE(Duration{0ns}, Duration{1ns}, Duration{10ms}, Clock::coarse_lag);
    rig.clock.exact = rig.retry_at;
    rig.clock.coarse = rig.retry_at - late;
    const auto permit = rig.breaker.try_acquire();
    REQUIRE(permit);
    CHECK(permit->is_probe());
}

TEST_CASE("R3: near the retry time a rejection goes by the exact clock") {
    CoarseRig rig;
    rig.clock.exact = rig.retry_at - 1ns;
    rig.clock.coarse = rig.retry_at - Clock::coarse_lag;
    CHECK(rig.rejection().retry_after == 1ns);
    CHECK(rig.breaker.state() == State::open);
}

TEST_CASE("R2: a coarse clock that stands before the trip tells no more than the open time") {
    CoarseRig rig;
    rig.clock.coarse = TimePoint{1h - Clock::coarse_lag};
    CHECK(rig.rejection().retry_after == 30s);
}

TEST_CASE("R2: a rejection by the coarse clock tells the retry time of its own generation") {
    CoarseRig rig;
    rig.clock.while_read = [&] {
        rig.breaker.reset();
        rig.breaker.reconfigure({.open_timeout = 10s});
        rig.breaker.trip();
    };
    const auto rejection = rig.rejection();
    CHECK(rejection.generation == 3);
    CHECK(rejection.retry_after == 10s);
}

TEST_CASE("R2: a circuit that closes while a caller reads the coarse clock admits the call") {
    CoarseRig rig;
    rig.clock.while_read = [&] { rig.breaker.reset(); };
    CHECK(rig.breaker.try_acquire());
}

TEST_CASE("R36: who listens to calls hears of a rejection that the coarse clock could have made") {
    CoarseRig rig;
    int heard = 0;
    const auto subscription = rig.breaker.subscribe(
        [&](const CircuitBreaker&, const BreakerEvent& event) {
            heard += std::holds_alternative<RequestRejectedEvent>(event) ? 1 : 0;
        },
        EventMask::calls);
    CHECK(rig.rejection().retry_after == 30s);
    CHECK(heard == 1);
}

TEST_CASE("the steady clock's coarse time is never later than its time, and late by less than its bound") {
    for (int i = 0; i < 1000; ++i) {
        const auto before = SteadyClock::read();
        const auto coarse = steady_clock().coarse_now();
        const auto after = SteadyClock::read();
        REQUIRE(coarse);
        CHECK(*coarse <= after + 1us);  // two clocks, fitted to nanoseconds
        if (after - before < 1ms) CHECK(before - *coarse < Clock::coarse_lag);
    }
}

TEST_CASE("a clock without a coarse time has none") { CHECK_FALSE(ManualClock{}.coarse_now()); }

}  // namespace
}  // namespace fusebox
