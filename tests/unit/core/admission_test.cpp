#include <array>
#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "support/allocations/allocations.hpp"
#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("R6: the tests of it would notice an allocation") {
    const auto before = allocations();
    const auto memory = std::make_unique<std::array<int, 100>>();
    CHECK(memory);
    CHECK((allocations() > before) == allocations_are_counted());
}

TEST_CASE("R1: closed admits every call") {
    Rig rig;
    std::vector<Permit> permits;
    for (int i = 0; i < 1000; ++i) permits.push_back(rig.admit());
    CHECK(permits.back().generation() == 0);
    CHECK_FALSE(permits.back().is_probe());
}

TEST_CASE("R2: open rejects every call before the retry time, and says how long") {
    Rig rig;
    rig.fail(5);
    REQUIRE(rig.state() == State::open);

    auto rejection = rig.rejection();
    CHECK(rejection.kind == Rejection::Kind::circuit_open);
    CHECK(rejection.state == State::open);
    CHECK(rejection.retry_after == 30s);
    CHECK(rejection.generation == 1);
    CHECK(describe(rejection) == "circuit is open, retry after 30s");

    rig.clock.advance(30s - 1ns);
    CHECK(rig.rejection().retry_after == 1ns);
    CHECK(rig.state() == State::open);
}

TEST_CASE("R2: by the real clock, too, a rejection never says more than the open time, and hardly less") {
    CircuitBreaker breaker{"x"};
    auto least = Duration::max();
    auto most = Duration::zero();
    for (int i = 0; i < 2000; ++i) {
        breaker.trip();
        const auto permit = breaker.try_acquire();
        REQUIRE_FALSE(permit);
        least = std::min(least, permit.error().retry_after);
        most = std::max(most, permit.error().retry_after);
    }
    CHECK(most <= 30s);
    CHECK(least > 25s);  // unless the machine stood still for so long
    CHECK(breaker.metrics().totals.rejected_open == 2000);
}

TEST_CASE("R2: by the real clock, too, a rejection tells the retry time of its own generation") {
    CircuitBreakerConfig one_hour;
    one_hour.open_timeout = 1h;
    CircuitBreakerConfig two_hours;
    two_hours.open_timeout = 2h;
    CircuitBreaker breaker{"x", one_hour};
    std::atomic<bool> stop = false;
    std::atomic<int> wrong = 0;
    std::vector<std::thread> callers;
    for (int caller = 0; caller < 3; ++caller) {
        callers.emplace_back([&] {
            while (!stop) {
                const auto permit = breaker.try_acquire();
                if (permit) continue;
                // Open for an hour in generation 1, 5, 9 …, and for two in 3, 7, 11 …; closed in between.
                const Duration open_for = permit.error().generation % 4 == 1 ? 1h : 2h;
                const auto left = permit.error().retry_after;
                if (left > open_for || left < open_for - 1min) ++wrong;
            }
        });
    }
    for (int opening = 0; opening < 50'000; ++opening) {
        breaker.reconfigure(opening % 2 == 0 ? one_hour : two_hours);
        breaker.trip();
        breaker.reset();
    }
    stop = true;
    for (auto& caller : callers) caller.join();
    CHECK(wrong == 0);
}

TEST_CASE("R3: by the real clock, too, no call is rejected once the retry time has come") {
    CircuitBreakerConfig config;
    config.open_timeout = 120ms;  // a little more than what the coarse clock may be late
    CircuitBreaker breaker{"x", config};
    breaker.trip();
    const auto retry_at = *breaker.metrics().next_attempt;
    for (;;) {
        const auto before = SteadyClock::read();
        const auto permit = breaker.try_acquire();
        if (permit) {
            CHECK(permit->is_probe());
            CHECK(SteadyClock::read() >= retry_at);
            break;
        }
        if (before >= retry_at || permit.error().retry_after > 120ms)
            FAIL("rejected too late, or told to wait too long");
    }
}

TEST_CASE("R36: by the real clock, too, who listens to calls hears of a rejection") {
    CircuitBreaker breaker{"x"};
    breaker.trip();
    int heard = 0;
    const auto subscription = breaker.subscribe(
        [&](const CircuitBreaker&, const BreakerEvent& event) {
            heard += std::holds_alternative<RequestRejectedEvent>(event) ? 1 : 0;
        },
        EventMask::calls);
    CHECK_FALSE(breaker.try_acquire());
    CHECK(heard == 1);
}

TEST_CASE("R3: the first admission at the retry time is itself a probe") {
    Rig rig;
    rig.fail(5);
    rig.clock.advance(30s);
    CHECK(rig.state() == State::open);  // time alone moves nothing
    const auto probe = rig.admit();
    CHECK(probe.is_probe());
    CHECK(probe.generation() == 2);
    CHECK(rig.state() == State::half_open);
    CHECK(rig.breaker.metrics().probes_in_flight == 1);
}

TEST_CASE("R4: half-open admits as many probes at once as configured, then rejects") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 3;
    config.success_threshold = 100;
    Rig rig{config};
    rig.half_open();

    std::vector<Permit> probes;
    for (int i = 0; i < 3; ++i) probes.push_back(rig.admit());
    const auto rejection = rig.rejection();
    CHECK(rejection.kind == Rejection::Kind::too_many_probes);
    CHECK(rejection.state == State::half_open);
    CHECK(rejection.retry_after == 0s);

    probes.back().success();
    CHECK(rig.admit().is_probe());
}

TEST_CASE("R5: reading never changes the state") {
    Rig rig;
    rig.fail(5);
    rig.clock.advance(1h);
    for (int i = 0; i < 3; ++i) {
        CHECK(rig.breaker.metrics().state == State::open);
        CHECK(rig.breaker.state() == State::open);
        CHECK(rig.breaker.generation() == 1);
        CHECK(rig.breaker.reports().size() == 1);
        CHECK(rig.breaker.last_trip());
    }
    // A lease that has run out is not taken back by looking, either.
    auto probe = rig.admit();
    rig.clock.advance(1h);
    CHECK(rig.breaker.metrics().probes_in_flight == 1);
    CHECK(rig.breaker.state() == State::half_open);
    probe.ignore();
}

TEST_CASE("R6: a rejection allocates nothing and tells why") {
    Rig rig;
    rig.fail(5);
    (void)rig.breaker.try_acquire();  // the thread's first use of its stripe
    const auto before = allocations();
    for (int i = 0; i < 100; ++i) REQUIRE_FALSE(rig.breaker.try_acquire().has_value());
    CHECK(allocations() == before);

    rig.breaker.force_open("ops", "maintenance");
    const auto forced = allocations();
    const auto rejection = rig.rejection();
    CHECK(allocations() == forced);
    CHECK(rejection.kind == Rejection::Kind::circuit_open);
    CHECK(rejection.state == State::forced_open);
    CHECK(rejection.retry_after == 0s);
    CHECK(rejection.generation == rig.breaker.generation());
    CHECK(rig.breaker.last_trip()->note == "maintenance");
}

TEST_CASE("R6: admission and settling allocate nothing either, in any state, once all reports have their place") {
    CircuitBreakerConfig config;
    config.success_threshold = 1;
    Rig rig{config};
    std::size_t before = 0;
    for (int round = 0; round < 50; ++round) {
        if (round == 6) before = allocations();  // three transitions a round, 16 reports
        for (int i = 0; i < 5; ++i)
            rig.breaker.try_acquire()->settle(Outcome::failure,
                                              {.message = "the dependency is down and says so at length"});
        rig.clock.advance(30s);
        rig.breaker.try_acquire()->success();
    }
    CHECK(allocations() == before);
    CHECK(rig.breaker.metrics().trip_count == 50);
    CHECK(rig.breaker.reports().size() == 16);
}

TEST_CASE("R7: admission does not wait for a call, a slot or a listener of another thread") {
    CircuitBreakerConfig config;
    config.half_open_max_concurrent = 1;
    Rig rig{config};
    rig.half_open();
    // One call hangs in the only slot, and one listener hangs on another thread.
    auto hanging = rig.admit();
    std::atomic<bool> listening = false;
    std::atomic<bool> go_on = false;
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent&) {
        listening = true;
        listening.notify_all();
        go_on.wait(false);
    });
    std::thread other{[&] { rig.breaker.reset(); }};
    listening.wait(false);
    CHECK(rig.admit().generation() == rig.breaker.generation());
    rig.breaker.trip();
    CHECK(rig.rejection().kind == Rejection::Kind::circuit_open);
    go_on = true;
    go_on.notify_all();
    other.join();
}

TEST_CASE("R50: forced open rejects until reset, disabled and metrics_only admit everything") {
    Rig rig;
    rig.breaker.force_open();
    rig.clock.advance(1000h);
    CHECK(rig.rejection().state == State::forced_open);
    for (const auto state : {State::disabled, State::metrics_only}) {
        state == State::disabled ? rig.breaker.disable() : rig.breaker.metrics_only();
        rig.fail(100);
        CHECK(rig.state() == state);
    }
    rig.breaker.reset();
    CHECK(rig.state() == State::closed);
}

}  // namespace
}  // namespace fusebox::test
