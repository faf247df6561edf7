#include <fusebox/testkit/outcome_recorder.hpp>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using testkit::OutcomeRecorder;
using namespace std::chrono_literals;

TEST_CASE("R36: transitions, calls, rejections, fallbacks and configuration changes are events") {
    Rig rig;
    const OutcomeRecorder heard{rig.breaker};
    rig.succeed(1, 3s);
    auto executed = heard.of<RequestExecutedEvent>();
    REQUIRE(executed.size() == 1);
    CHECK(executed[0].state == State::closed);
    CHECK(executed[0].outcome == Outcome::success);
    CHECK(executed[0].duration == 3s);
    CHECK_FALSE(executed[0].slow);

    rig.fail(5);
    const auto moved = heard.of<StateTransitionEvent>();
    REQUIRE(moved.size() == 1);
    CHECK(moved[0].report.from == State::closed);
    CHECK(moved[0].report.to == State::open);
    CHECK(moved[0].report.sequence == 1);
    CHECK(moved[0].report.at == rig.clock.now());
    CHECK(moved[0].report.wall_time == rig.clock.wall_now());

    (void)rig.rejection();
    REQUIRE(heard.of<RequestRejectedEvent>().size() == 1);
    CHECK(heard.of<RequestRejectedEvent>()[0].rejection.retry_after == 30s);

    (void)rig.breaker.call_with_fallback([] { return 1; }, [] { return 2; });
    (void)rig.breaker.call_with_fallback([] { return 1; }, []() -> int { throw 1; });
    REQUIRE(heard.of<FallbackExecutedEvent>().size() == 2);
    CHECK_FALSE(heard.of<FallbackExecutedEvent>()[0].failed);
    CHECK(heard.of<FallbackExecutedEvent>()[1].failed);

    rig.breaker.reconfigure({}, "ops", "defaults again");
    REQUIRE(heard.of<ConfigChangedEvent>().size() == 1);
    CHECK(heard.of<ConfigChangedEvent>()[0].config_version == 2);
    CHECK(heard.of<ConfigChangedEvent>()[0].actor == "ops");
    CHECK(heard.of<ConfigChangedEvent>()[0].note == "defaults again");
}

TEST_CASE("R36: a listener hears only what it asked for, from when it asked until it ends") {
    Rig rig;
    const OutcomeRecorder control;
    const OutcomeRecorder calls;
    rig.succeed();
    {
        const auto one = rig.breaker.subscribe(control.listener());
        auto two = rig.breaker.subscribe(calls.listener(), EventMask::calls);
        rig.fail(5);
        CHECK(control.events().size() == 1);
        CHECK(calls.events().size() == 5);
        auto moved = std::move(two);
        (void)rig.rejection();
        CHECK(calls.events().size() == 6);
        moved.cancel();
        moved.cancel();
        (void)rig.rejection();
        CHECK(calls.events().size() == 6);
    }
    rig.breaker.reset();
    CHECK(control.events().size() == 1);
}

TEST_CASE("R36: a subscription may outlive its breaker") {
    auto rig = std::make_unique<Rig>();
    auto subscription = rig->breaker.subscribe([](const CircuitBreaker&, const BreakerEvent&) {});
    rig.reset();
    subscription.cancel();
}

TEST_CASE("R37: a listener may call any method of the breaker, and the order of the transitions holds for all") {
    Rig rig;
    const OutcomeRecorder first{rig.breaker};
    const auto b = rig.breaker.subscribe([&](const CircuitBreaker& breaker, const BreakerEvent& event) {
        CHECK(&breaker == &rig.breaker);
        (void)breaker.metrics();
        (void)breaker.reports();
        (void)breaker.last_trip();
        (void)breaker.config();
        const auto* transition = std::get_if<StateTransitionEvent>(&event);
        if (transition == nullptr) return;
        switch (transition->report.sequence) {
            case 1:
                rig.breaker.reset("listener");
                break;
            case 2:
                rig.fail(5);
                break;
            case 3:
                rig.breaker.disable("listener");
                rig.breaker.metrics_only("listener");
                break;
            case 5:
                rig.breaker.reconfigure({}, "listener");
                break;
            default:
                break;
        }
    });
    const OutcomeRecorder last{rig.breaker};
    rig.fail(5);
    for (const auto* heard : {&first, &last}) {
        const auto moved = heard->of<StateTransitionEvent>();
        REQUIRE(moved.size() == 5);
        for (std::size_t i = 0; i < moved.size(); ++i) CHECK(moved[i].report.sequence == i + 1);
        CHECK(heard->of<ConfigChangedEvent>().size() == 1);
    }
}

TEST_CASE("R37: a listener may subscribe, cancel others and end itself") {
    Rig rig;
    const OutcomeRecorder late;
    Subscription own;
    Subscription other;
    std::vector<Subscription> more;
    int calls = 0;
    other = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent&) { FAIL("it was cancelled"); },
                                  EventMask::calls);
    own = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent&) {
        ++calls;
        other.cancel();
        more.push_back(rig.breaker.subscribe(late.listener()));
        own.cancel();
    });
    rig.breaker.trip();
    CHECK(calls == 1);
    CHECK(late.events().empty());
    rig.succeed(0);
    (void)rig.rejection();
    rig.breaker.reset();
    CHECK(calls == 1);
    CHECK(late.events().size() == 1);
}

TEST_CASE("R37: a listener does not hear what happened before it subscribed") {
    Rig rig;
    const OutcomeRecorder late;
    Subscription subscription;
    auto first = true;
    const auto early = rig.breaker.subscribe([&](const CircuitBreaker&, const BreakerEvent&) {
        if (!std::exchange(first, false)) return;
        rig.breaker.reset();  // waits in the queue behind the event that is being told
        subscription = rig.breaker.subscribe(late.listener());
        rig.breaker.disable();
    });
    rig.breaker.trip();
    REQUIRE(late.events().size() == 1);
    CHECK(late.of<StateTransitionEvent>()[0].report.to == State::disabled);
}

TEST_CASE("R37: a listener that throws is counted and disturbs nobody") {
    Rig rig;
    const auto bad = rig.breaker.subscribe(
        [](const CircuitBreaker&, const BreakerEvent&) { throw std::runtime_error{"no"}; }, EventMask::all);
    const OutcomeRecorder heard{rig.breaker};
    CHECK(rig.breaker.call([] { return 3; }) == 3);
    rig.fail(5);
    CHECK(rig.rejection().retry_after == 30s);
    CHECK(heard.events().size() == 8);
    CHECK(rig.breaker.metrics().totals.listener_errors == 8);
}

TEST_CASE("R37: what a listener that never returns holds up is bounded, and counted") {
    Rig rig;
    const OutcomeRecorder heard;
    auto filled = false;
    const auto subscription = rig.breaker.subscribe([&](const CircuitBreaker& breaker, const BreakerEvent& event) {
        heard.listener()(breaker, event);
        if (std::exchange(filled, true)) return;
        for (int i = 0; i < 20'000; ++i) rig.breaker.trip();  // queued while this one is at it
    });
    rig.breaker.trip();
    const auto moved = heard.of<StateTransitionEvent>();
    CHECK(moved.size() == 1 + 16'384);
    CHECK(moved.back().report.sequence == 20'001);
    CHECK(rig.breaker.metrics().totals.listener_errors == 20'000 - 16'384);
}

TEST_CASE("R40: a transition leaves a report of the rule, what it saw, and the configuration it was made by") {
    Rig rig{rates_only(0.5, 4, TimeWindow{})};
    rig.breaker.reconfigure(rig.breaker.config());
    rig.succeed(2);
    rig.fail();
    rig.admit().settle(Outcome::failure, {.message = "503 Service Unavailable"});
    const auto report = rig.breaker.last_trip();
    REQUIRE(report);
    CHECK(report->sequence == 1);
    CHECK(report->from == State::closed);
    CHECK(report->to == State::open);
    CHECK(report->reason == TransitionReason::failure_rate);
    CHECK(report->threshold == 0.5);
    CHECK(report->observed == 0.5);
    CHECK(report->window == WindowCounts{4, 2, 0});
    CHECK(report->consecutive_failures == 2);
    CHECK(report->open_for == 30s);
    CHECK(report->attempt == 0);
    CHECK(report->config_version == 2);
    CHECK(report->at == rig.clock.now());
    CHECK(report->wall_time == rig.clock.wall_now());
    CHECK(report->actor.empty());
    CHECK(report->note == "503 Service Unavailable");
    CHECK(describe(*report) == "closed → open: 50 % of 4 calls failed (threshold 50 %): 503 Service Unavailable");
}

TEST_CASE("R40: the report of the first probe still shows the window that tripped") {
    Rig rig;
    rig.succeed(2);
    rig.fail(5);
    rig.clock.advance(30s);
    rig.admit().ignore();
    const auto report = rig.breaker.reports().front();
    REQUIRE(report.to == State::half_open);
    CHECK(report.window == WindowCounts{7, 5, 0});
    CHECK(report.consecutive_failures == 5);
}

TEST_CASE("R40: the ring keeps the last reports, newest first, and the last trip beyond it") {
    Rig rig{{}, {.report_capacity = 3}};
    CHECK(rig.breaker.reports().empty());
    CHECK_FALSE(rig.breaker.last_trip());
    rig.breaker.trip("ops", "first");
    for (int i = 0; i < 5; ++i) rig.breaker.reset("ops", "reset " + std::to_string(i));
    const auto reports = rig.breaker.reports();
    REQUIRE(reports.size() == 3);
    CHECK(reports[0].note == "reset 4");
    CHECK(reports[2].note == "reset 2");
    CHECK(rig.breaker.last_trip()->note == "first");
}

TEST_CASE("R40: a report counts as people do") {
    Rig rig{{.consecutive_failure_threshold = 1, .success_threshold = 1}};
    rig.fail();
    CHECK(describe(*rig.breaker.last_trip()) == "closed → open: 1 consecutive failure (threshold 1)");
    rig.clock.advance(30s);
    rig.succeed();
    CHECK(describe(rig.breaker.reports().front()) == "half_open → closed: 1 probe in a row succeeded (threshold 1)");

    Rig usual;
    usual.fail(5);
    CHECK(describe(*usual.breaker.last_trip()) == "closed → open: 5 consecutive failures (threshold 5)");
}

TEST_CASE("R40: texts are cut at whole characters") {
    Rig rig;
    std::string euros;
    for (int i = 0; i < 100; ++i) euros += "€";
    rig.breaker.trip(euros, euros);
    CHECK(rig.breaker.last_trip()->actor.size() == 63);
    CHECK(rig.breaker.last_trip()->note.size() == 192);
    rig.breaker.reset();
    rig.fail(4);
    rig.admit().settle(Outcome::failure, {.message = euros});
    CHECK(rig.breaker.last_trip()->note.size() == 96);
}

TEST_CASE("metrics_only reports what closed would have done, once per open time, and rejects nobody") {
    Rig rig;
    const OutcomeRecorder heard{rig.breaker};
    rig.breaker.metrics_only("ops", "shadow");
    rig.fail(100);
    auto would = heard.of<WouldHaveTrippedEvent>();
    REQUIRE(would.size() == 1);
    CHECK(would[0].report.from == State::metrics_only);
    CHECK(would[0].report.to == State::open);
    CHECK(would[0].report.reason == TransitionReason::consecutive_failures);
    CHECK(would[0].report.observed == 5);
    CHECK(would[0].report.open_for == 30s);
    CHECK(rig.state() == State::metrics_only);
    CHECK(rig.breaker.metrics().trip_count == 0);
    CHECK(rig.breaker.metrics().window.failures == 95);
    rig.clock.advance(30s);
    rig.fail(5);
    CHECK(heard.of<WouldHaveTrippedEvent>().size() == 2);
    CHECK(heard.of<StateTransitionEvent>().size() == 1);
}

TEST_CASE("metrics_only: once the open time is over, a success is judged as well") {
    Rig rig{rates_only(0.25, 1, CountWindow{10})};
    const OutcomeRecorder heard{rig.breaker};
    rig.breaker.metrics_only();
    rig.fail();  // would open
    rig.fail();
    rig.clock.advance(30s - 1ns);
    rig.succeed();
    CHECK(heard.of<WouldHaveTrippedEvent>().size() == 1);
    rig.clock.advance(1ns);
    rig.succeed();
    const auto would = heard.of<WouldHaveTrippedEvent>();
    REQUIRE(would.size() == 2);
    CHECK(would[1].report.window == WindowCounts{3, 1, 0});
}

TEST_CASE("metrics_only: what closed would have done has no failed recoveries behind it") {
    CircuitBreakerConfig config;
    config.backoff = Backoff::exponential(2.0);
    Rig rig{config};
    const OutcomeRecorder heard{rig.breaker};
    rig.half_open();
    rig.fail();
    REQUIRE(rig.breaker.metrics().attempt == 1);
    rig.breaker.metrics_only();
    rig.fail(5);
    const auto would = heard.of<WouldHaveTrippedEvent>();
    REQUIRE(would.size() == 1);
    CHECK(would[0].report.attempt == 0);
    CHECK(would[0].report.open_for == 30s);
}

TEST_CASE("disabled records nothing in the window and judges nothing") {
    Rig rig;
    rig.fail(3);
    rig.breaker.disable();
    rig.fail(1000);
    rig.succeed(10);
    CHECK(rig.window() == WindowCounts{});
    CHECK(rig.breaker.metrics().consecutive_failures == 0);
    CHECK(rig.breaker.metrics().totals.failures == 1003);
}

}  // namespace
}  // namespace fusebox::test
