#include <limits>
#include <thread>

#include <fusebox/core/breaker_snapshot.hpp>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

CircuitBreakerConfig backing_off() {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = 2;
    config.open_timeout = 10s;
    config.backoff = Backoff::exponential(2.0);
    config.success_threshold = 1;
    return config;
}

/// The snapshot of a breaker that has failed twice to recover and has 30 of its 40 seconds left.
BreakerSnapshot open_snapshot() {
    Rig rig{backing_off()};
    rig.fail(2);
    for (int i = 0; i < 2; ++i) {
        rig.clock.advance(rig.breaker.metrics().retry_after);
        rig.fail();
    }
    rig.clock.advance(10s);
    return rig.breaker.snapshot();
}

std::string refusal(Rig& rig, const BreakerSnapshot& snapshot) {
    try {
        rig.breaker.restore(snapshot);
    } catch (const InvalidSnapshot& error) {
        return std::string{error.field()} + " | " + error.what();
    }
    return "accepted";
}

TEST_CASE("R52: a snapshot holds the state, the time left open, the attempt, the trip count and the reports") {
    const auto snapshot = open_snapshot();
    CHECK(snapshot.state == State::open);
    CHECK(snapshot.time_left == 30s);
    CHECK(snapshot.attempt == 2);
    CHECK(snapshot.trip_count == 3);
    CHECK(snapshot.generation == 5);
    REQUIRE(snapshot.reports.size() == 5);
    CHECK(snapshot.reports.front().sequence == 5);
    CHECK(snapshot.reports.back().reason == TransitionReason::consecutive_failures);
    REQUIRE(snapshot.last_trip);
    CHECK(snapshot.last_trip->sequence == 5);
    for (const auto& report : snapshot.reports) CHECK(report.at == TimePoint{});
}

TEST_CASE("R5, R52: taking a snapshot changes nothing, even when the retry time has come") {
    Rig rig;
    rig.breaker.trip();
    rig.clock.advance(31s);
    CHECK(rig.breaker.snapshot().time_left == 0s);
    CHECK(rig.breaker.snapshot() == rig.breaker.snapshot());
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.generation() == 1);
}

TEST_CASE("R52: after a restart a breaker that was open stays open for the time it had left") {
    Rig rig{backing_off()};
    rig.clock.advance(5min);  // downtime does not count
    rig.breaker.restore(open_snapshot());
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.metrics().retry_after == 30s);
    CHECK(rig.breaker.metrics().trip_count == 3);
    CHECK(rig.breaker.metrics().attempt == 2);
    rig.clock.advance(30s - 1ns);
    CHECK(rig.rejection().retry_after == 1ns);
    rig.clock.advance(1ns);
    auto probe = rig.admit();
    CHECK(probe.is_probe());

    SECTION("a further failed recovery waits longer than those before the restart") {
        probe.failure();
        CHECK(rig.breaker.metrics().attempt == 3);
        CHECK(rig.breaker.metrics().retry_after == 80s);
        CHECK(rig.breaker.metrics().trip_count == 4);
    }
    SECTION("a recovery closes and clears the attempt") {
        probe.success();
        CHECK(rig.state() == State::closed);
        CHECK(rig.breaker.metrics().attempt == 0);
    }
}

TEST_CASE("R52: restoring is a transition of its own, neither a trip nor a failed recovery") {
    Rig rig{backing_off()};
    rig.breaker.restore(open_snapshot());
    const auto report = rig.breaker.reports().front();
    CHECK(report.reason == TransitionReason::restored);
    CHECK(report.from == State::closed);
    CHECK(report.to == State::open);
    CHECK(report.sequence == 6);
    CHECK(report.open_for == 30s);
    CHECK(report.attempt == 2);
    CHECK(report.at == rig.clock.now());
    CHECK(report.note.starts_with("half_open → open: a probe failed"));
    CHECK(rig.breaker.metrics().trip_count == 3);
    CHECK(rig.breaker.metrics().transitions[0][1] == 1);
    CHECK(rig.breaker.metrics().totals.requests == 0);
}

TEST_CASE("R52: reports keep their numbers, and those of later transitions go on from there") {
    const auto snapshot = open_snapshot();
    Rig rig{backing_off()};
    rig.breaker.restore(snapshot);
    CHECK(rig.breaker.generation() == 6);
    auto reports = rig.breaker.reports();
    REQUIRE(reports.size() == 6);
    CHECK(std::vector(reports.begin() + 1, reports.end()) == snapshot.reports);
    rig.breaker.reset();
    CHECK(rig.breaker.reports().front().sequence == 7);

    SECTION("also where closed is restored, which is no transition") {
        Rig again{backing_off()};
        again.breaker.restore(rig.breaker.snapshot());
        CHECK(again.breaker.generation() == 7);
        CHECK(again.breaker.reports() == rig.breaker.snapshot().reports);
        again.fail(2);
        CHECK(again.breaker.reports().front().sequence == 8);
    }
    SECTION("also when a breaker takes an older snapshot of itself") {
        rig.breaker.restore(snapshot);
        CHECK(rig.breaker.reports().front().sequence == 8);
        CHECK(rig.breaker.reports().size() == 6);
    }
}

TEST_CASE("R52: as many of the newest reports are restored as the breaker keeps") {
    const auto snapshot = open_snapshot();
    BreakerOptions options;
    options.report_capacity = 3;
    Rig rig{backing_off(), options};
    rig.breaker.restore(snapshot);
    const auto reports = rig.breaker.reports();
    REQUIRE(reports.size() == 3);
    CHECK(reports[0].sequence == 6);
    CHECK(reports[1] == snapshot.reports[0]);
    CHECK(reports[2] == snapshot.reports[1]);
    rig.breaker.reset();
    CHECK(rig.breaker.reports()[2] == snapshot.reports[0]);
}

TEST_CASE("R40, R52: after a restart the last trip still says why the circuit had opened") {
    const auto snapshot = open_snapshot();
    Rig rig{backing_off()};
    rig.breaker.restore(snapshot);
    CHECK(rig.breaker.last_trip() == snapshot.last_trip);
    SECTION("and so it does after the next one") {
        Rig again{backing_off()};
        again.breaker.restore(rig.breaker.snapshot());
        CHECK(again.breaker.last_trip() == snapshot.last_trip);
    }
    SECTION("but a new trip takes its place") {
        rig.breaker.trip();
        CHECK(rig.breaker.last_trip()->reason == TransitionReason::operator_request);
    }
    SECTION("and where nothing is known, it is that it was restored") {
        Rig bare{backing_off()};
        bare.breaker.restore({.state = State::forced_open});
        CHECK(bare.breaker.last_trip()->reason == TransitionReason::restored);
    }
}

TEST_CASE("R52: half-open is restored as open with no time left, so that the next admission is a probe") {
    Rig before{backing_off()};
    before.half_open();
    const auto probe = before.admit();
    const auto snapshot = before.breaker.snapshot();
    CHECK(snapshot.state == State::half_open);
    CHECK(snapshot.time_left == 0s);

    Rig rig{backing_off()};
    rig.breaker.restore(snapshot);
    CHECK(rig.state() == State::open);
    CHECK(rig.breaker.metrics().retry_after == 0s);
    CHECK(rig.breaker.metrics().probes_in_flight == 0);
    auto next = rig.admit();
    CHECK(next.is_probe());
    next.success();
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R52: what an operator had set is restored") {
    const auto state = GENERATE(State::forced_open, State::disabled, State::metrics_only);
    Rig before{backing_off()};
    if (state == State::forced_open) before.breaker.force_open("ada", "a drill");
    if (state == State::disabled) before.breaker.disable("ada", "a drill");
    if (state == State::metrics_only) before.breaker.metrics_only("ada", "a drill");
    Rig rig{backing_off()};
    rig.breaker.restore(before.breaker.snapshot());
    CHECK(rig.state() == state);
    CHECK(rig.breaker.generation() == 2);
    const auto reports = rig.breaker.reports();
    CHECK(reports[0].reason == TransitionReason::restored);
    CHECK(reports[1].actor == "ada");

    rig.breaker.restore(rig.breaker.snapshot());
    CHECK(rig.breaker.generation() == 2);  // it was in that state already
    rig.breaker.reset();
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R52: closed is restored without a transition, with attempt 0, the trip count and the reports") {
    Rig before{backing_off()};
    before.fail(2);
    before.clock.advance(10s);
    before.succeed();
    REQUIRE(before.state() == State::closed);
    Rig rig{backing_off()};
    rig.breaker.restore(before.breaker.snapshot());
    CHECK(rig.state() == State::closed);
    CHECK(rig.breaker.metrics().attempt == 0);
    CHECK(rig.breaker.metrics().trip_count == 1);
    CHECK(rig.breaker.reports().size() == 3);
    CHECK(rig.breaker.metrics().transitions == decltype(CircuitBreakerMetrics::transitions){});

    SECTION("but a breaker that is open is closed by it") {
        Rig open{backing_off()};
        open.breaker.trip();
        open.breaker.restore(before.breaker.snapshot());
        CHECK(open.state() == State::closed);
        CHECK(open.breaker.reports().front().reason == TransitionReason::restored);
        CHECK(open.breaker.metrics().trip_count == 1);
    }
}

TEST_CASE("R52: a time left that is longer than any open time of the configuration is cut") {
    const auto left = [](const CircuitBreakerConfig& config) {
        Rig rig{config};
        rig.breaker.restore({.state = State::open, .time_left = 24h});
        return rig.breaker.metrics().retry_after;
    };
    auto config = backing_off();
    config.backoff.max_open_timeout = 70s;
    CHECK(left(config) == 70s);
    config.backoff = Backoff::fixed();
    config.backoff.max_open_timeout = 5s;  // of hints only
    CHECK(left(config) == 10s);
}

TEST_CASE("R52: a breaker that is not enabled stays disabled, whatever is restored") {
    auto config = backing_off();
    config.enabled = false;
    auto snapshot = open_snapshot();
    snapshot.state = GENERATE(State::closed, State::open, State::half_open, State::forced_open, State::metrics_only);
    Rig rig{config};
    std::optional<StateRestoredEvent> restored;
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent& event) {
        if (const auto* found = std::get_if<StateRestoredEvent>(&event)) restored = *found;
    });
    rig.breaker.restore(snapshot);
    CHECK(rig.state() == State::disabled);
    REQUIRE(restored);
    CHECK(restored->saved == snapshot.state);
    CHECK(restored->state == State::disabled);
    CHECK(restored->time_left == 0s);
    CHECK(rig.breaker.generation() == 5);
    CHECK(rig.breaker.metrics().trip_count == 3);
    CHECK(rig.breaker.reports() == snapshot.reports);
    config.enabled = true;
    rig.breaker.reconfigure(config);
    CHECK(rig.state() == State::closed);
    CHECK(rig.breaker.metrics().attempt == 0);
}

TEST_CASE("R8, R52: a call admitted before the restoring is stale") {
    Rig rig{backing_off()};
    auto before = rig.admit();
    SECTION("of a transition") { rig.breaker.restore(open_snapshot()); }
    SECTION("of closed, with higher numbers") {
        rig.breaker.restore({.state = State::closed, .generation = 9});
        CHECK(rig.breaker.generation() == 9);
    }
    before.failure();
    CHECK(rig.breaker.metrics().totals.stale == 1);
    CHECK(rig.window() == WindowCounts{});
}

TEST_CASE("R8, R52: a probe in flight frees no slot of the restored circuit") {
    Rig rig{backing_off()};
    rig.half_open();
    auto before = rig.admit();
    rig.breaker.restore({.state = State::half_open, .generation = 40});
    CHECK(rig.breaker.generation() == 41);
    auto probe = rig.admit();
    CHECK(rig.breaker.metrics().probes_in_flight == 1);
    before.success();
    CHECK(rig.state() == State::half_open);
    CHECK(rig.breaker.metrics().probes_in_flight == 1);
    probe.success();
    CHECK(rig.state() == State::closed);
}

TEST_CASE("R52: a closed breaker keeps its own window and failures in a row, whatever numbers are restored") {
    Rig rig{backing_off()};
    rig.succeed(3);
    rig.fail();
    rig.breaker.restore({.state = State::closed, .generation = 100});
    CHECK(rig.window() == WindowCounts{4, 1, 0});
    CHECK(rig.breaker.metrics().consecutive_failures == 1);
    SECTION("a success is counted and ends the run") {
        rig.succeed();
        CHECK(rig.window() == WindowCounts{5, 1, 0});
        CHECK(rig.breaker.metrics().consecutive_failures == 0);
    }
    SECTION("a failure makes the run full") {
        rig.fail();
        CHECK(rig.state() == State::open);
        CHECK(rig.breaker.generation() == 101);
    }
}

TEST_CASE("R36, R52: a restored state is an event, after the transition") {
    Rig rig{backing_off()};
    std::vector<std::string> heard;
    std::optional<StateRestoredEvent> restored;
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker& breaker, const BreakerEvent& event) {
        if (std::holds_alternative<StateTransitionEvent>(event)) heard.emplace_back("transition");
        if (const auto* found = std::get_if<StateRestoredEvent>(&event)) {
            heard.emplace_back("restored");
            restored = *found;
            CHECK(breaker.state() == found->state);  // R37: no lock is held
        }
    });
    auto snapshot = open_snapshot();
    snapshot.state = State::half_open;
    rig.breaker.restore(snapshot);
    CHECK(heard == std::vector<std::string>{"transition", "restored"});
    REQUIRE(restored);
    CHECK(restored->saved == State::half_open);
    CHECK(restored->state == State::open);
    CHECK(restored->time_left == 0s);
    CHECK(restored->taken_at == snapshot.taken_at);

    rig.breaker.reset();
    heard.clear();
    rig.breaker.restore({.state = State::closed});
    CHECK(heard == std::vector<std::string>{"restored"});
}

TEST_CASE("R52: a snapshot that cannot be is refused by the name of its field, and changes nothing") {
    Rig rig{backing_off()};
    rig.succeed();
    rig.fail();
    const auto before = rig.breaker.snapshot();
    bool heard = false;
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent&) { heard = true; });
    const auto with = [&](auto change) {
        auto snapshot = open_snapshot();
        change(snapshot);
        return refusal(rig, snapshot);
    };
    CHECK(with([](auto& s) { s.state = static_cast<State>(6); }) ==
          "state | invalid breaker snapshot: state is 6, must be at least 0 and at most 5");
    CHECK(with([](auto& s) { s.time_left = -1s; }) ==
          "time_left | invalid breaker snapshot: time_left is -1s, must be at least 0");
    CHECK(with([](auto& s) { s.trip_count = BreakerSnapshot::most + 1; }).starts_with("trip_count |"));
    CHECK(with([](auto& s) { s.generation = BreakerSnapshot::most + 1; }).starts_with("generation |"));
    CHECK(with([](auto& s) { s.generation = 4; }).starts_with("reports[0].sequence |"));
    CHECK(with([](auto& s) { s.reports[2].sequence = 4; }) ==
          "reports[2].sequence | invalid breaker snapshot: reports[2].sequence is 4, must be at least 1 and at most 3");
    CHECK(with([](auto& s) { s.reports[4].sequence = 0; }).starts_with("reports[4].sequence |"));
    CHECK(with([](auto& s) { s.reports[1].from = static_cast<State>(7); }).starts_with("reports[1].from |"));
    CHECK(with([](auto& s) { s.reports[1].to = static_cast<State>(7); }).starts_with("reports[1].to |"));
    CHECK(with([](auto& s) {
              s.reports[1].reason = static_cast<TransitionReason>(11);
          }).starts_with("reports[1].reason |"));
    CHECK(with([](auto& s) {
              s.reports[1].threshold = std::numeric_limits<double>::quiet_NaN();
          }).starts_with("reports[1].threshold |"));
    CHECK(with([](auto& s) {
              s.reports[1].observed = std::numeric_limits<double>::infinity();
          }).starts_with("reports[1].observed |"));
    CHECK(with([](auto& s) { s.reports[1].window = {3, 4, 0}; }).starts_with("reports[1].window.failures |"));
    CHECK(with([](auto& s) { s.reports[1].window = {3, 0, 4}; }).starts_with("reports[1].window.slow |"));
    CHECK(with([](auto& s) { s.reports[1].open_for = -1ns; }).starts_with("reports[1].open_for |"));
    CHECK(with([](auto& s) {
              s.reports[1].last_outcomes[1].age = -1ns;
          }).starts_with("reports[1].last_outcomes[1].age |"));
    CHECK(with([](auto& s) {
              s.reports[1].last_outcomes[1].duration = -1ns;
          }).starts_with("reports[1].last_outcomes[1].duration |"));
    CHECK(with([](auto& s) {
              s.reports[1].last_outcomes[1].outcome = static_cast<Outcome>(5);
          }).starts_with("reports[1].last_outcomes[1].outcome |"));
    CHECK(with([](auto& s) { s.last_trip->sequence = 6; }).starts_with("last_trip.sequence |"));
    CHECK(with([](auto& s) { s.last_trip->to = State::closed; }) ==
          "last_trip.to | invalid breaker snapshot: last_trip.to is closed, must be open or forced_open");
    CHECK(with([](auto&) {}) == "accepted");

    rig.breaker.reset();
    heard = false;
    auto snapshot = open_snapshot();
    snapshot.last_trip->sequence = 6;
    const auto unchanged = rig.breaker.snapshot();
    CHECK_THROWS_AS(rig.breaker.restore(snapshot), InvalidSnapshot);
    CHECK(rig.breaker.snapshot() == unchanged);
    CHECK_FALSE(heard);
}

TEST_CASE("R52: an attempt as large as can be written down stays in bounds") {
    Rig rig{backing_off()};
    rig.breaker.restore({.state = State::half_open,
                         .attempt = std::numeric_limits<std::uint32_t>::max(),
                         .trip_count = BreakerSnapshot::most,
                         .generation = BreakerSnapshot::most});
    rig.fail();
    CHECK(rig.breaker.metrics().attempt == std::numeric_limits<std::uint32_t>::max());
    CHECK(rig.breaker.metrics().retry_after == 10min);
    CHECK(rig.breaker.generation() == BreakerSnapshot::most + 3);
}

}  // namespace
}  // namespace fusebox::test
