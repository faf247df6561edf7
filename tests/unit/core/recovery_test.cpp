// The probes of half-open, without a breaker around them.
#include "recovery.hpp"
#include "support/rig.hpp"

namespace fusebox::detail {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint start{1h};

struct Half {
    Half() {
        config.half_open_max_concurrent = 2;
        config.probe_lease = 10s;
        recovery.set_most_probes(2);
        recovery.restart();
    }
    Recovery::Lease admit(TimePoint now) {
        const auto lease = recovery.admit(config, now);
        REQUIRE(lease);
        return *lease;
    }
    std::optional<Recovery::Decision> good() { return recovery.count_settled(config, false, false, {}); }

    CircuitBreakerConfig config;
    Recovery recovery;
};

TEST_CASE("R4, R25: a recovery admits a probe for each slot and is surely full only while none is free") {
    Half half;
    CHECK_FALSE(half.recovery.surely_full(start));
    const auto first = half.admit(start);
    CHECK_FALSE(half.recovery.surely_full(start));
    half.admit(start);
    CHECK(half.recovery.surely_full(start));
    CHECK_FALSE(half.recovery.admit(half.config, start));
    CHECK(half.recovery.in_flight() == 2);

    REQUIRE(half.recovery.release(first));
    CHECK_FALSE(half.recovery.surely_full(start));
    half.admit(start);
    CHECK(half.recovery.surely_full(start));
}

TEST_CASE("R24: a recovery is not surely full from the moment on at which the earliest lease ends") {
    Half half;
    half.admit(start);
    half.admit(start + 1s);
    CHECK(half.recovery.surely_full(start + 10s - 1ns));
    CHECK_FALSE(half.recovery.surely_full(start + 10s));
}

TEST_CASE("R24: before the first probe none is lost, not even at the end of time") {
    Half half;
    CHECK_FALSE(half.recovery.take_lost(start));
    CHECK_FALSE(half.recovery.take_lost(TimePoint::max()));
}

TEST_CASE("R24: lost probes come in the order in which their leases ended, each once") {
    Half half;
    half.config.half_open_max_concurrent = 3;
    const auto late = half.admit(start + 2s);
    half.admit(start);
    half.admit(start + 1s);
    const auto now = start + 11s + 500ms;
    auto lost = half.recovery.take_lost(now);
    REQUIRE(lost);
    CHECK(lost->lease == 10s);
    CHECK(lost->in_flight == 11s + 500ms);
    lost = half.recovery.take_lost(now);
    REQUIRE(lost);
    CHECK(lost->in_flight == 10s + 500ms);
    CHECK_FALSE(half.recovery.take_lost(now));
    CHECK(half.recovery.in_flight() == 1);
    CHECK(half.recovery.release(late));
}

TEST_CASE("R24: a lost probe cannot release the slot for the probe that has it now") {
    Half half;
    half.config.half_open_max_concurrent = 1;
    const auto lost = half.admit(start);
    REQUIRE(half.recovery.take_lost(start + 10s));
    const auto next = half.admit(start + 10s);
    CHECK(next.slot == lost.slot);
    CHECK_FALSE(half.recovery.release(lost));
    CHECK(half.recovery.in_flight() == 1);
    CHECK(half.recovery.release(next));
}

TEST_CASE("R17: the lease of a probe is no longer than the hung-call threshold") {
    Half half;
    half.config.half_open_max_concurrent = 1;
    half.config.hung_call_threshold = 3s;
    half.admit(start);
    CHECK_FALSE(half.recovery.take_lost(start + 3s - 1ns));
    const auto lost = half.recovery.take_lost(start + 3s);
    REQUIRE(lost);
    CHECK(lost->lease == 3s);
}

TEST_CASE("R20: a recovery decides by the probes since it was restarted") {
    Half half;
    half.config.success_threshold = 2;
    const auto lease = half.admit(start);
    CHECK_FALSE(half.good());
    half.recovery.restart();
    CHECK(half.recovery.counts() == WindowCounts{});
    CHECK(half.recovery.in_flight() == 0);
    CHECK_FALSE(half.recovery.release(lease));

    half.admit(start);
    CHECK_FALSE(half.good());
    const auto decision = half.good();
    REQUIRE(decision);
    CHECK(decision->to == State::closed);
    CHECK(decision->cause.reason == TransitionReason::success_threshold_met);
    CHECK(decision->cause.window == WindowCounts{2, 0, 0});
}

TEST_CASE("R20, R24: a lost probe reopens, and says how long its lease was and how long it was in flight") {
    Half half;
    half.admit(start);
    const auto lost = half.recovery.take_lost(start + 12s);
    REQUIRE(lost);
    const auto decision = half.recovery.count_lost(half.config, *lost);
    REQUIRE(decision);
    CHECK(decision->to == State::open);
    CHECK(decision->cause.reason == TransitionReason::probe_lease_expired);
    CHECK(decision->cause.threshold == 10);
    CHECK(decision->cause.observed == 12);
    CHECK(decision->cause.window == WindowCounts{1, 1, 0});
}

}  // namespace
}  // namespace fusebox::detail
