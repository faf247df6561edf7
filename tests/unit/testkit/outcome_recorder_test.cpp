#include <fusebox/core/manual_clock.hpp>
#include <fusebox/testkit/outcome_recorder.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using testkit::OutcomeRecorder;
using Lines = std::vector<std::string>;

namespace {

CircuitBreakerConfig touchy() {
    return {.consecutive_failure_threshold = 1,
            .slow_call_duration_threshold = 2s,
            .open_timeout = 30s,
            .success_threshold = 1};
}

struct World {
    ManualClock clock;
    CircuitBreaker payments{"payments", touchy(), {.clock = &clock}};
    CircuitBreaker mail{"mail", touchy(), {.clock = &clock}};

    void settle(CircuitBreaker& breaker, Outcome outcome, Duration time = {}) {
        auto permit = breaker.try_acquire();
        REQUIRE(permit);
        clock.advance(time);
        permit->settle(outcome);
    }
};

}  // namespace

TEST_CASE("a recorder keeps transitions as lines, in order") {
    World world;
    const OutcomeRecorder recorder{world.payments};
    CHECK(recorder.transitions().empty());
    world.settle(world.payments, Outcome::failure);
    world.clock.advance(30s);
    world.settle(world.payments, Outcome::success);
    world.payments.force_open("ops");
    CHECK(recorder.transitions() == Lines{
                                        "closed -> open (consecutive_failures)",
                                        "open -> half_open (open_timeout_elapsed)",
                                        "half_open -> closed (success_threshold_met)",
                                        "closed -> forced_open (operator_request)",
                                    });
}

TEST_CASE("a recorder keeps outcomes and rejections") {
    World world;
    const OutcomeRecorder recorder{world.payments};
    world.settle(world.payments, Outcome::success);
    world.settle(world.payments, Outcome::ignored);
    world.settle(world.payments, Outcome::success);
    world.settle(world.payments, Outcome::timeout);
    CHECK_FALSE(world.payments.try_acquire());
    CHECK_FALSE(world.payments.try_acquire());
    CHECK(recorder.outcomes() == std::vector{Outcome::success, Outcome::ignored, Outcome::success, Outcome::timeout});
    CHECK(recorder.count(Outcome::success) == 2);
    CHECK(recorder.count(Outcome::timeout) == 1);
    CHECK(recorder.count(Outcome::failure) == 0);
    CHECK(recorder.rejections() == 2);
    const auto rejected = recorder.of<RequestRejectedEvent>();
    REQUIRE(rejected.size() == 2);
    CHECK(rejected[0].rejection.retry_after == 30s);
}

// A transition is told before the call that caused it (events.hpp).
TEST_CASE("a recorder of several breakers keeps the order across them, and can tell them apart") {
    World world;
    OutcomeRecorder recorder;
    recorder.watch(world.payments);
    recorder.watch(world.mail);
    world.settle(world.payments, Outcome::success);
    world.settle(world.mail, Outcome::failure);
    world.payments.trip();
    CHECK(recorder.text() ==
          "payments: success in 0s\n"
          "mail: closed -> open (consecutive_failures)\n"
          "mail: failure in 0s\n"
          "payments: closed -> open (operator_request)\n");
    CHECK(recorder.transitions("mail") == Lines{"closed -> open (consecutive_failures)"});
    CHECK(recorder.transitions("payments") == Lines{"closed -> open (operator_request)"});
    CHECK(recorder.transitions().size() == 2);
    CHECK(recorder.outcomes("mail") == std::vector{Outcome::failure});
    CHECK(recorder.count(Outcome::failure, "payments") == 0);
    CHECK(recorder.rejections("mail") == 0);
    CHECK(recorder.of<RequestExecutedEvent>("payments").size() == 1);
    CHECK(recorder.events("unknown").empty());
}

TEST_CASE("every kind of event has its line") {
    World world;
    const OutcomeRecorder recorder{world.payments};
    world.settle(world.payments, Outcome::success, 1500ms);
    world.settle(world.payments, Outcome::success, 2s);
    world.payments.metrics_only();
    world.settle(world.payments, Outcome::failure);
    world.payments.force_open();
    (void)world.payments.call_with_fallback([] { return 1; }, [] { return 2; });
    (void)world.payments.call_with_fallback([] { return 1; }, []() -> int { throw 1; });
    world.payments.reconfigure({});
    CHECK(recorder.text() ==
          "payments: success in 1.5s\n"
          "payments: success, slow, in 2s\n"
          "payments: closed -> metrics_only (operator_request)\n"
          "payments: would have tripped (consecutive_failures)\n"
          "payments: failure in 0s\n"
          "payments: metrics_only -> forced_open (operator_request)\n"
          "payments: rejected (circuit_open)\n"
          "payments: fallback\n"
          "payments: rejected (circuit_open)\n"
          "payments: fallback failed\n"
          "payments: configuration 2\n");
}

TEST_CASE("R52: a restored state is told after the transition that it made") {
    World world;
    const OutcomeRecorder recorder{world.payments};
    world.mail.trip();
    world.payments.restore(world.mail.snapshot());
    CHECK(recorder.text() ==
          "payments: closed -> open (restored)\n"
          "payments: restored (open)\n");
}

TEST_CASE("an event is stamped with the breaker's clock") {
    World world;
    const OutcomeRecorder recorder{world.payments};
    const auto begin = world.clock.now();
    world.settle(world.payments, Outcome::success, 3s);
    const auto events = recorder.events();
    REQUIRE(events.size() == 1);
    CHECK(events[0].breaker == "payments");
    CHECK(events[0].at == begin + 3s);
}

TEST_CASE("a recorder hears only what it asked for, and forgets when told to") {
    World world;
    OutcomeRecorder recorder{world.payments, EventMask::control};
    world.settle(world.payments, Outcome::failure);
    CHECK(recorder.outcomes().empty());
    CHECK(recorder.events().size() == 1);
    recorder.clear();
    CHECK(recorder.events().empty());
    world.payments.reset();
    CHECK(recorder.transitions() == Lines{"open -> closed (operator_request)"});
}

TEST_CASE("the listener serves whoever subscribes by himself, and may outlive the recorder") {
    World world;
    Subscription subscription;
    {
        const OutcomeRecorder recorder;
        subscription = world.payments.subscribe(recorder.listener(), EventMask::all);
        world.settle(world.payments, Outcome::success);
        CHECK(recorder.outcomes().size() == 1);
    }
    world.settle(world.payments, Outcome::success);
    CHECK(world.payments.metrics().totals.listener_errors == 0);
}

TEST_CASE("a recorder may outlive its breaker") {
    auto world = std::make_unique<World>();
    const OutcomeRecorder recorder{world->payments};
    world->settle(world->payments, Outcome::success);
    world.reset();
    CHECK(recorder.outcomes() == std::vector{Outcome::success});
}

TEST_CASE("a recorder misses nothing that many threads do, and can be read meanwhile") {
    World world;
    OutcomeRecorder recorder;
    recorder.watch(world.payments);
    constexpr int threads = 4;
    constexpr int calls = 500;
    {
        std::vector<std::jthread> running;
        for (int thread = 0; thread < threads; ++thread) {
            running.emplace_back([&] {
                for (int call = 0; call < calls; ++call) {
                    if (auto permit = world.payments.try_acquire()) permit->ignore();
                }
            });
        }
        while (recorder.count(Outcome::ignored) < threads * calls / 2) std::this_thread::yield();
        recorder.watch(world.mail);
    }
    CHECK(recorder.count(Outcome::ignored) == threads * calls);
}

}  // namespace fusebox::test
