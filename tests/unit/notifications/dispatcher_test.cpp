#include <random>
#include <stdexcept>

#include "dispatcher_fixture.hpp"
#include "support/allocations/allocations.hpp"

namespace fusebox::test {

using Kind = DeliveryEvent::Kind;

namespace {

std::shared_ptr<ScriptedSender> hook() { return std::make_shared<ScriptedSender>("hook"); }

std::shared_ptr<CircuitBreaker> breaker_on(const Clock& clock, CircuitBreakerConfig config) {
    return std::make_shared<CircuitBreaker>("notify:hook", config, BreakerOptions{.clock = &clock});
}

}  // namespace

TEST_CASE("what waits in the outbox is delivered, without anybody's notice and with it") {
    DispatcherWorld world;
    const auto sender = hook();
    const auto first = world.add("hook", "inc_1");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.wait_for(Kind::delivered, 1));
    const auto second = world.add("hook", "inc_2");
    dispatcher.notify("hook");
    REQUIRE(world.wait_for(Kind::delivered, 2));
    CHECK(world.row(first).state == NotificationState::delivered);
    CHECK(world.row(second).attempts == 1);
    CHECK(dispatcher.stats().at("hook").delivered == 2);
    const auto event = world.events(Kind::delivered).front();
    CHECK(event.destination == "hook");
    CHECK(event.notification_id == first);
    CHECK(event.incident_id == "inc_1");
    CHECK(event.notification_kind == "incident.triggered");
    CHECK(event.attempt == 1);
}

TEST_CASE("a receiver that is down, hangs, fails, limits and recovers gets the notification once, under one id") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->script({unreachable(), failed(NextMove::retry, "timeout", true), failed(NextMove::retry, "http_5xx", true),
                    failed(NextMove::retry_after, "rate_limited", false, 30s)});
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered));

    const auto calls = sender->calls();
    REQUIRE(calls.size() == 5);
    for (const auto& call : calls) CHECK(call.id == id);
    const auto row = world.row(id);
    CHECK(row.state == NotificationState::delivered);
    CHECK(row.attempts == 5);
    CHECK(row.deferrals == 0);
    REQUIRE(row.attempt_log.size() == 5);
    CHECK(row.attempt_log[0].error_class == "connect");
    CHECK(row.attempt_log[1].error_class == "timeout");
    CHECK(row.attempt_log[2].error_class == "http_5xx");
    CHECK(row.attempt_log[3].error_class == "rate_limited");
    CHECK(row.attempt_log[4].at - row.attempt_log[3].at >= 30s);
    CHECK(dispatcher.stats().at("hook").retries == 4);
}

TEST_CASE("a resolve never overtakes its trigger, however long that takes") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->script({unreachable(), unreachable(), unreachable()});
    world.add("hook", "inc_1", "incident.triggered");
    world.add("hook", "inc_1", "incident.resolved");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 2));
    CHECK(sender->kinds() == std::vector<std::string>{"incident.triggered", "incident.triggered", "incident.triggered",
                                                      "incident.triggered", "incident.resolved"});
}

TEST_CASE("an open breaker burns no attempt and writes nothing, and lets one at a time go until it is closed again") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->script({unreachable()});
    auto settings = destination(sender);
    settings.breaker = breaker_on(world.clock, {.consecutive_failure_threshold = 1,
                                                .open_timeout = 1h,
                                                .half_open_max_concurrent = 5,
                                                .success_threshold = 3});
    world.add("hook", "inc_0");
    Dispatcher dispatcher{world.outbox, {settings}, world.options()};
    REQUIRE(world.wait_for(Kind::retry));
    REQUIRE(settings.breaker->state() == State::open);
    CHECK(dispatcher.not_before("hook") == world.clock.wall_now() + 1h);

    for (int i = 1; i <= 6; ++i) world.add("hook", "inc_" + std::to_string(i));
    sender->hold();
    for (int i = 0; i < 59; ++i) {
        world.clock.advance(1min);
        dispatcher.notify("hook");
    }
    CHECK(sender->calls().size() == 1);
    world.clock.advance(1min);
    dispatcher.notify("hook");
    REQUIRE(sender->wait_for_calls(2));  // the probe, and nobody beside it
    CHECK(settings.breaker->state() == State::half_open);
    CHECK(world.outbox.leased_rows == 2);
    CHECK_FALSE(dispatcher.not_before("hook"));
    sender->release();
    REQUIRE(world.wait_for(Kind::delivered, 7));
    CHECK(settings.breaker->state() == State::closed);
    std::uint32_t attempts = 0;
    for (const auto& row : world.rows_of("hook")) {
        CHECK(row.deferrals == 0);
        attempts += row.attempts;
    }
    CHECK(attempts == 8);
}

TEST_CASE("an operator's reset of the breaker lets deliveries go at once") {
    DispatcherWorld world;
    const auto sender = hook();
    auto settings = destination(sender);
    sender->script({unreachable()});
    settings.breaker = breaker_on(world.clock, {.consecutive_failure_threshold = 1, .open_timeout = 1h});
    world.add("hook", "inc_1");
    const Dispatcher dispatcher{world.outbox, {settings}, world.options()};
    REQUIRE(world.wait_for(Kind::retry));
    const auto id = world.add("hook", "inc_2");
    settings.breaker->reset("operator", "done");
    REQUIRE(world.wait_for(Kind::delivered));
    CHECK(world.row(id).attempts == 1);
}

TEST_CASE("a row that was leased when its breaker opened or its receiver named a time is put off without an attempt") {
    DispatcherWorld world;
    const auto sender = hook();
    auto settings = destination(sender);
    settings.max_in_flight = 2;
    settings.breaker = breaker_on(world.clock, {.consecutive_failure_threshold = 1, .open_timeout = 30s});
    std::string error_class;
    SECTION("the breaker opened") {
        sender->script({unreachable()});
        error_class = "circuit_open";
    }
    SECTION("the receiver named a time") {
        sender->script({failed(NextMove::retry_after, "rate_limited", false, 30s)});
        error_class = "gate_closed";
    }
    sender->hold();
    world.add("hook", "inc_1");
    Dispatcher dispatcher{world.outbox, {settings}, world.options()};
    REQUIRE(sender->wait_for_calls(1));
    world.outbox.hold_leases();
    const auto id = world.add("hook", "inc_2");
    dispatcher.notify("hook");
    REQUIRE(world.outbox.wait_for_leased_rows(2));
    sender->release();
    REQUIRE(world.wait_for(Kind::retry));
    world.outbox.release_leases();
    REQUIRE(world.wait_for(Kind::deferred));
    const auto row = world.row(id);
    CHECK(row.state == NotificationState::pending);
    CHECK(row.attempts == 0);
    CHECK(row.deferrals == 1);
    CHECK(row.last_error->error_class == error_class);
    CHECK(row.next_attempt_at >= world.clock.wall_now() + 30s);
    CHECK(row.next_attempt_at <= world.clock.wall_now() + 33s + 1us);
    CHECK(sender->calls().size() == 1);
    CHECK(dispatcher.stats().at("hook").deferrals == 1);
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 2));
    CHECK(world.row(id).attempts == 1);
}

TEST_CASE("a time that the receiver named holds for everything that goes there") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->script({failed(NextMove::retry_after, "rate_limited", false, 30s)});
    auto settings = destination(sender);
    settings.max_in_flight = 1;
    world.add("hook", "inc_1");
    const auto second = world.add("hook", "inc_2");
    Dispatcher dispatcher{world.outbox, {settings}, world.options()};
    REQUIRE(world.wait_for(Kind::retry));
    CHECK(dispatcher.not_before("hook") == world.clock.wall_now() + 30s);
    const auto limited_at = world.clock.wall_now();
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 2));
    for (const auto& row : world.rows_of("hook")) CHECK(row.delivered_at >= limited_at + 30s);
    CHECK(world.row(second).attempts == 1);
    CHECK(world.row(second).deferrals == 0);
}

TEST_CASE("a rate limit spreads deliveries over time") {
    DispatcherWorld world;
    std::vector<TimePoint> sent;  // one thread only
    auto settings =
        destination(std::make_shared<ScriptedSender>("hook", [&](const Notification&, const RequestContext&) {
            sent.push_back(world.clock.now());
            return SendResult{};
        }));
    settings.max_in_flight = 1;
    settings.rate_limit = {.permits = 1, .per = 1s};
    for (int i = 0; i < 4; ++i) world.add("hook", "inc_" + std::to_string(i));
    Dispatcher dispatcher{world.outbox, {settings}, world.options()};
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 4, 250ms));
    dispatcher.stop(0s);
    REQUIRE(sent.size() == 4);
    for (std::size_t i = 1; i < sent.size(); ++i) CHECK(sent[i] - sent[i - 1] >= 1s);
}

TEST_CASE("one slow destination never delays another, and no more than its limit is under way there") {
    DispatcherWorld world;
    const auto slow = std::make_shared<ScriptedSender>("slow");
    const auto fast = std::make_shared<ScriptedSender>("fast");
    slow->hold();
    auto settings = destination(slow);
    settings.max_in_flight = 2;
    for (int i = 0; i < 5; ++i) {
        world.add("slow", "inc_" + std::to_string(i));
        world.add("fast", "inc_" + std::to_string(i));
    }
    Dispatcher dispatcher{world.outbox, {settings, destination(fast)}, world.options()};
    REQUIRE(slow->wait_for_calls(2));
    REQUIRE(world.wait_for(Kind::delivered, 5));
    CHECK(fast->calls().size() == 5);
    CHECK(dispatcher.stats().at("slow").in_flight == 2);
    CHECK(world.outbox.leased_rows == 7);  // nothing is leased that cannot be sent at once
    slow->release();
    REQUIRE(world.wait_for(Kind::delivered, 10));
    CHECK(slow->most_at_once() == 2);
}

TEST_CASE("stop lets a send under way end") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->hold();
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(sender->wait_for_calls(1));
    std::thread stopper{[&] { dispatcher.stop(patience); }};
    sender->release();
    stopper.join();
    CHECK(world.row(id).state == NotificationState::delivered);
    world.add("hook", "inc_2");
    dispatcher.notify("hook");
    dispatcher.update({destination(sender)});  // nothing begins again
    CHECK(sender->calls().size() == 1);
}

TEST_CASE("stop cancels a send that hangs, and the next process takes its row at once") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->hold();
    const auto id = world.add("hook");
    {
        Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
        REQUIRE(sender->wait_for_calls(1));
        dispatcher.stop(0s);
        const auto row = world.row(id);
        CHECK(row.state == NotificationState::pending);
        CHECK(row.attempts == 0);
        CHECK(row.deferrals == 1);
        CHECK(row.next_attempt_at <= world.clock.wall_now());
    }
    sender->release();
    const Dispatcher next{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.wait_for(Kind::delivered));
    CHECK(world.row(id).attempts == 1);
}

TEST_CASE("stop ends soon although the store is down") {
    DispatcherWorld world;
    const auto sender = hook();
    world.outbox.failing_settles = 1'000'000;
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.wait_for(Kind::store_failing));
    const auto began = std::chrono::steady_clock::now();
    dispatcher.stop(0s);
    CHECK(std::chrono::steady_clock::now() - began < 5s);
    CHECK(world.row(id).state == NotificationState::leased);  // taken over when its lease ends
    CHECK(dispatcher.stats().at("hook").lost_leases == 1);
}

TEST_CASE(
    "what can never be delivered is a dead letter with its reason, and goes out again under its id when replayed") {
    DispatcherWorld world;
    const auto sender = hook();
    const auto move = GENERATE(NextMove::give_up, NextMove::reconfigure);
    sender->script({failed(move, "http_4xx")});
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.wait_for(Kind::dead));
    CHECK(world.row(id).state == NotificationState::dead);
    CHECK(world.row(id).last_error->error_class == "http_4xx");
    CHECK(world.events(Kind::dead).front().error->next_move == move);

    REQUIRE(world.store.replay(id, world.clock.wall_now(), {}));
    dispatcher.notify("hook");
    REQUIRE(world.wait_for(Kind::delivered));
    REQUIRE(sender->calls().size() == 2);
    CHECK(sender->calls()[1].id == id);
    CHECK(dispatcher.stats().at("hook").dead == 1);
}

TEST_CASE("a destination that wants nothing more is sent nothing more until it is configured again") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->script({gone()});
    world.add("hook", "inc_1");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.wait_for(Kind::destination_disabled));
    REQUIRE(world.wait_for(Kind::dead, 1));
    CHECK(dispatcher.stats().at("hook").disabled);
    const auto second = world.add("hook", "inc_2");
    dispatcher.notify("hook");
    REQUIRE(world.wait_for(Kind::dead, 2));
    CHECK(sender->calls().size() == 1);
    CHECK(world.row(second).last_error->error_class == "destination_disabled");
    CHECK(world.events(Kind::destination_disabled).size() == 1);

    const auto repaired = hook();
    dispatcher.update({destination(repaired)});
    REQUIRE(world.store.replay(second, world.clock.wall_now(), {}));
    dispatcher.notify("hook");
    REQUIRE(world.wait_for(Kind::delivered));
    CHECK_FALSE(dispatcher.stats().at("hook").disabled);
}

TEST_CASE("a sender that throws is tried again and harms nobody") {
    DispatcherWorld world;
    std::atomic<int> calls{};
    const auto sender =
        std::make_shared<ScriptedSender>("hook", [&](const Notification&, const RequestContext&) -> SendResult {
            if (++calls == 1) throw std::runtime_error("a bug");
            return {};
        });
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered));
    CHECK(world.row(id).attempt_log.at(0).error_class == "internal");
}

TEST_CASE("a listener that throws is counted and disturbs no delivery") {
    DispatcherWorld world;
    auto options = world.options();
    options.on_event = [listen = options.on_event](const DeliveryEvent& event) {
        listen(event);
        throw std::runtime_error("a bug");
    };
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(hook())}, options};
    REQUIRE(world.wait_for(Kind::delivered));
    dispatcher.stop(patience);
    CHECK(world.row(id).state == NotificationState::delivered);
    CHECK(dispatcher.stats().at("hook").listener_errors == 1);
}

TEST_CASE("a send gets a deadline that the lease outlives") {
    DispatcherWorld world;
    std::optional<std::chrono::steady_clock::time_point> deadline;
    std::optional<incidents::WallTime> lease_until;
    const auto sender =
        std::make_shared<ScriptedSender>("hook", [&](const Notification& row, const RequestContext& context) {
            deadline = context.deadline;
            lease_until = row.lease_until;
            return SendResult{};
        });
    auto settings = destination(sender);
    settings.send_timeout = 7s;
    world.add("hook");
    Dispatcher dispatcher{world.outbox, {settings}, world.options()};
    REQUIRE(world.wait_for(Kind::delivered));
    dispatcher.stop(0s);
    CHECK(deadline == world.clock.now() + 7s);
    CHECK(lease_until == world.clock.wall_now() + 7s + 15s);
}

TEST_CASE("what another process held when it was killed is taken over when its lease ends") {
    DispatcherWorld world;
    const auto id = world.add("hook");
    const auto held = world.store.lease("hook", world.clock.wall_now(), 30s, 1, {});
    REQUIRE(held->size() == 1);
    const auto sender = hook();
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    const auto killed_at = world.clock.wall_now();
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered));
    CHECK(world.row(id).delivered_at >= killed_at + 30s);
    CHECK(sender->calls().at(0).id == id);
}

TEST_CASE("a delivery that cannot be recorded at once is recorded later, and not sent again") {
    DispatcherWorld world;
    const auto sender = hook();
    world.outbox.failing_settles = 3;
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.wait_for(Kind::delivered));
    CHECK(world.events(Kind::store_failing).size() == 1);
    CHECK(world.events(Kind::store_failing).front().message == "the store is down");
    CHECK(world.events(Kind::store_recovered).size() == 1);
    CHECK(sender->calls().size() == 1);
    CHECK(world.row(id).state == NotificationState::delivered);
}

TEST_CASE("a delivery that cannot be recorded before its lease ends is sent again under the same id") {
    DispatcherWorld world;
    const auto sender = hook();
    world.outbox.failing_settles = 1'000'000;
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.wait_for(Kind::store_failing));
    world.outbox.heal_on_lease = true;
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered));
    dispatcher.stop(patience);
    REQUIRE(sender->calls().size() == 2);
    CHECK(sender->calls()[0].id == id);
    CHECK(sender->calls()[1].id == id);
    CHECK(dispatcher.stats().at("hook").lost_leases == 1);
}

TEST_CASE("a result that comes after another worker has taken the row over changes nothing") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->hold();
    const auto id = world.add("hook");
    auto settings = destination(sender);
    settings.max_in_flight = 1;  // nobody idle here takes the row over first
    Dispatcher dispatcher{world.outbox, {settings}, world.options()};
    REQUIRE(sender->wait_for_calls(1));
    world.clock.advance(1h);
    const auto taken = world.store.lease("hook", world.clock.wall_now(), 30s, 1, {});
    REQUIRE(taken->size() == 1);
    sender->release();
    dispatcher.stop(patience);
    CHECK(dispatcher.stats().at("hook").lost_leases == 1);
    CHECK(dispatcher.stats().at("hook").delivered == 0);
    CHECK(world.row(id).lease_token == taken->front().lease_token);
}

TEST_CASE("a store that cannot be read is asked again until it answers") {
    DispatcherWorld world;
    const auto sender = hook();
    world.outbox.failing_leases = 5;
    world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered));
    CHECK(world.events(Kind::store_failing).size() >= 1);
    CHECK(world.wait_for(Kind::store_recovered));
}

// ---- fallback ----

namespace {

struct FallbackWorld : DispatcherWorld {
    std::shared_ptr<ScriptedSender> main = hook();
    std::shared_ptr<ScriptedSender> mail = std::make_shared<ScriptedSender>("mail");
    [[nodiscard]] std::vector<DestinationSettings> destinations(std::shared_ptr<CircuitBreaker> breaker = {}) const {
        auto settings = destination(main);
        settings.breaker = std::move(breaker);
        settings.fallback = "mail";
        return {settings, destination(mail)};
    }
};

}  // namespace

TEST_CASE("memory that runs out while rows are looked for or leased is told, and delivery goes on") {
    DispatcherWorld world;
    const auto sender = hook();
    world.outbox.throwing_looks = 3;
    world.outbox.throwing_leases = 3;
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered));
    CHECK(world.row(id).attempts == 1);
    REQUIRE(world.events(Kind::store_failing).size() == 1);
    CHECK(world.events(Kind::store_failing).front().message == "delivery failed unexpectedly: std::bad_alloc");
    CHECK(world.events(Kind::store_recovered).size() == 1);
    CHECK(world.outbox.throwing_leases == 0);
}

TEST_CASE("memory that runs out in a delivery costs that lease alone, and the thread goes on") {
    DispatcherWorld world;
    const auto sender = hook();
    auto settings = destination(sender);
    settings.max_in_flight = 2;
    world.outbox.throwing_settles = 4;  // more often than there are threads
    const auto first = world.add("hook", "inc_1");
    const auto second = world.add("hook", "inc_2");
    Dispatcher dispatcher{world.outbox, {settings}, world.options()};
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 2));
    CHECK(world.row(first).state == NotificationState::delivered);
    CHECK(world.row(second).state == NotificationState::delivered);
    CHECK(dispatcher.stats().at("hook").lost_leases == 4);
    CHECK(sender->calls().size() == 6);

    // Every slot is free again: both take a row at the same time.
    sender->hold();
    world.add("hook", "inc_3");
    world.add("hook", "inc_4");
    dispatcher.notify("hook");
    REQUIRE(sender->wait_for_calls(8));
    CHECK(dispatcher.stats().at("hook").in_flight == 2);
    sender->release();
    CHECK(world.pass_time_until(dispatcher, Kind::delivered, 4));
}

TEST_CASE("memory that runs out while fallbacks are looked for leaves a leader that goes on") {
    DispatcherWorld world;
    const auto sender = hook();
    const auto other = std::make_shared<ScriptedSender>("other");
    sender->script(std::deque<SendResult>(1000, unreachable()));
    auto settings = destination(sender);
    settings.fallback = "other";
    settings.fallback_after = 2min;
    world.outbox.throwing_lists = 3;
    world.add("hook", "inc_1", "incident.triggered", Severity::p0);
    Dispatcher dispatcher{world.outbox, {settings, destination(other)}, world.options()};
    REQUIRE(world.pass_time_until(dispatcher, Kind::fallback));
    CHECK(world.outbox.throwing_lists == 0);
}

TEST_CASE("while the breaker is open the fallback hears of a P0 once, and the original still goes out") {
    FallbackWorld world;
    const auto breaker = breaker_on(world.clock, {});
    breaker->force_open("operator", "test");
    Dispatcher dispatcher{world.outbox, world.destinations(breaker), world.options()};
    const auto trigger = world.add("hook", "inc_1", "incident.triggered", Severity::p0);
    const auto resolve = world.add("hook", "inc_1", "incident.resolved", Severity::p0);
    const auto minor = world.add("hook", "inc_2", "incident.triggered", Severity::p2);
    dispatcher.notify("hook");
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 2));
    const auto calls = world.mail->calls();
    REQUIRE(calls.size() == 2);
    CHECK(calls[0].fallback_for == trigger);
    CHECK(calls[1].fallback_for == resolve);
    CHECK(calls[1].kind == "incident.resolved");

    // Time goes on, and a third page comes: the first two are not told again.
    const auto third = world.add("hook", "inc_3", "incident.triggered", Severity::p1);
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 3));
    CHECK(world.mail->calls().at(2).fallback_for == third);
    CHECK(world.main->calls().empty());

    breaker->reset("operator", "done");
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 7));
    CHECK(world.main->calls().size() == 4);
    CHECK(world.mail->calls().size() == 3);
    CHECK(world.row(minor).state == NotificationState::delivered);
    CHECK(world.rows_of("mail").size() == 3);
    CHECK(dispatcher.stats().at("hook").fallbacks == 3);
    CHECK(world.events(Kind::fallback).front().fallback_destination == "mail");
}

TEST_CASE("who was told of an incident as a fallback hears of its end as well, once, and nobody else does") {
    FallbackWorld world;
    const auto breaker = breaker_on(world.clock, {});
    breaker->force_open("operator", "test");
    Dispatcher dispatcher{world.outbox, world.destinations(breaker), world.options()};
    world.add("hook", "inc_1", "incident.triggered", Severity::p0);
    world.add("hook", "inc_2", "incident.triggered", Severity::p2);
    dispatcher.notify("hook");
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 1));  // to mail
    breaker->reset("operator", "done");
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 3));

    const auto end = world.add("hook", "inc_1", "incident.resolved", Severity::p3);  // less severe by now
    world.add("hook", "inc_2", "incident.resolved", Severity::p2);
    SECTION("no route leads to the fallback") {}
    SECTION("a route leads to the fallback as well") { world.add("mail", "inc_1", "incident.resolved", Severity::p3); }
    dispatcher.notify("hook");
    dispatcher.notify("mail");
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 6));
    CHECK(world.main->calls().size() == 4);
    const auto told = world.mail->calls();
    REQUIRE(told.size() == 2);
    CHECK(told[1].kind == "incident.resolved");
    CHECK((told[1].fallback_for == end || told[1].fallback_for.empty()));
    CHECK(world.rows_of("mail").size() == 2);
}

TEST_CASE("a P1 that has failed for two minutes is told to the fallback as well, and not before") {
    FallbackWorld world;
    world.main->script(std::deque<SendResult>(1000, unreachable()));
    Dispatcher dispatcher{world.outbox, world.destinations(), world.options()};
    const auto id = world.add("hook", "inc_1", "incident.triggered", Severity::p1);
    world.add("hook", "inc_2", "incident.triggered", Severity::p3);
    dispatcher.notify("hook");
    REQUIRE(world.pass_time_until(dispatcher, Kind::fallback));
    const auto row = world.row(id);
    REQUIRE(row.first_failed_at);
    const auto rows = world.rows_of("mail");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].draft.fallback_for == id);
    CHECK(rows[0].draft.created_at >= *row.first_failed_at + 2min);
    CHECK(rows[0].draft.created_at <= *row.first_failed_at + 3min);
    CHECK(row.state != NotificationState::delivered);
}

TEST_CASE("a P0 that a closed gate or a rate limit holds back is told to the fallback by its age, and not before") {
    FallbackWorld world;
    auto destinations = world.destinations();
    SECTION("the destination named a time a day away") {
        world.main->script({failed(NextMove::retry_after, "rate_limited", false, 24h)});
        world.add("hook", "inc_0", "incident.triggered", Severity::p3);
    }
    SECTION("one page an hour is let through, and another goes first") {
        destinations[0].rate_limit = {.permits = 1, .per = 1h};
        world.add("hook", "inc_0", "incident.triggered", Severity::p3);
    }
    Dispatcher dispatcher{world.outbox, destinations, world.options()};
    REQUIRE(world.main->wait_for_calls(1));
    const auto id = world.add("hook", "inc_1", "incident.triggered", Severity::p0);
    const auto added_at = world.row(id).draft.created_at;
    dispatcher.notify("hook");
    REQUIRE(world.pass_time_until(dispatcher, Kind::fallback));
    const auto rows = world.rows_of("mail");
    REQUIRE(rows.size() == 1);
    CHECK(rows[0].draft.fallback_for == id);
    CHECK(rows[0].draft.created_at >= added_at + 2min);
    CHECK(rows[0].draft.created_at <= added_at + 3min);
    CHECK(world.main->calls().size() == 1);
}

TEST_CASE("a P0 that is given up is told to the fallback before it is a dead letter") {
    FallbackWorld world;
    world.main->script({failed(NextMove::reconfigure, "http_4xx")});
    world.outbox.failing_enqueues = 3;
    const auto id = world.add("hook", "inc_1", "incident.triggered", Severity::p0);
    Dispatcher dispatcher{world.outbox, world.destinations(), world.options()};
    REQUIRE(world.wait_for(Kind::dead));
    REQUIRE(world.wait_for(Kind::delivered));
    CHECK(world.mail->calls().at(0).fallback_for == id);
    CHECK(world.main->calls().size() == 1);
    CHECK(world.rows_of("mail").size() == 1);
}

TEST_CASE("a P0 whose fallback cannot be stored does not become a dead letter before it is") {
    FallbackWorld world;
    world.main->script({failed(NextMove::give_up, "http_4xx"), failed(NextMove::give_up, "http_4xx")});
    world.outbox.failing_enqueues = 1'000'000;
    const auto id = world.add("hook", "inc_1", "incident.triggered", Severity::p0);
    auto destinations = world.destinations();
    destinations[0].max_in_flight = 1;
    Dispatcher dispatcher{world.outbox, destinations, world.options()};
    REQUIRE(world.wait_for(Kind::store_failing));
    CHECK(world.row(id).state == NotificationState::leased);
    world.outbox.heal_on_lease = true;  // once the lease has ended and the row is taken again
    REQUIRE(world.pass_time_until(dispatcher, Kind::dead));
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered));
    CHECK(world.mail->calls().at(0).fallback_for == id);
    CHECK(world.row(id).state == NotificationState::dead);
}

TEST_CASE("a restart does not tell the fallback twice") {
    FallbackWorld world;
    const auto breaker = breaker_on(world.clock, {});
    breaker->force_open("operator", "test");
    world.add("hook", "inc_1", "incident.triggered", Severity::p0);
    for (int i = 1; i <= 2; ++i) {
        Dispatcher dispatcher{world.outbox, world.destinations(breaker), world.options()};
        REQUIRE(world.wait_for(Kind::fallback, i));
        dispatcher.stop(patience);
    }
    const Dispatcher dispatcher{world.outbox, world.destinations(breaker), world.options()};
    REQUIRE(world.wait_for(Kind::delivered));
    CHECK(world.mail->calls().size() == 1);
    CHECK(world.rows_of("mail").size() == 1);
}

TEST_CASE("two destinations that are each other's fallback do not feed each other") {
    FallbackWorld world;
    const auto breaker = breaker_on(world.clock, {});
    breaker->force_open("operator", "test");
    auto destinations = world.destinations(breaker);
    destinations[1].breaker = breaker;
    destinations[1].fallback = "hook";
    world.add("hook", "inc_1", "incident.triggered", Severity::p0);
    Dispatcher dispatcher{world.outbox, destinations, world.options()};
    REQUIRE(world.wait_for(Kind::fallback));
    breaker->reset("operator", "done");
    REQUIRE(world.pass_time_until(dispatcher, Kind::delivered, 2));
    dispatcher.stop(patience);
    CHECK(world.rows_of("hook").size() == 1);
    CHECK(world.rows_of("mail").size() == 1);
}

// ---- reconfiguration ----

TEST_CASE("destinations come and go while it runs, and rows of one that went wait until it is back") {
    DispatcherWorld world;
    const auto sender = hook();
    const auto other = std::make_shared<ScriptedSender>("other");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    const auto id = world.add("hook", "inc_1");
    dispatcher.notify("hook");
    REQUIRE(world.wait_for(Kind::delivered, 1));
    dispatcher.update({destination(other)});
    const auto waiting = world.add("hook", "inc_2");
    world.add("other", "inc_2");
    dispatcher.notify_all();
    REQUIRE(world.wait_for(Kind::delivered, 2));
    CHECK(world.row(waiting).attempts == 0);
    dispatcher.update({destination(sender), destination(other)});
    REQUIRE(world.wait_for(Kind::delivered, 3));
    CHECK(world.row(waiting).state == NotificationState::delivered);
    CHECK(dispatcher.stats().at("hook").delivered == 2);  // counters never go back
}

TEST_CASE("an update that finds no memory, wherever it does, changes nothing") {
    DispatcherWorld world;
    const auto sender = hook();
    const auto other = std::make_shared<ScriptedSender>("other");
    const auto next = hook();
    auto stays = destination(std::make_shared<ScriptedSender>("stays"));
    Dispatcher dispatcher{world.outbox, {destination(sender), stays}, world.options()};
    bool taken = false;
    std::size_t refused = 0;
    for (std::size_t after = 0; !taken; ++after) {
        REQUIRE(after < 10'000);
        std::vector<DestinationSettings> wanted{destination(other), destination(next), stays};
        {
            const NoMemory scarce{after};
            try {
                dispatcher.update(std::move(wanted));
                taken = true;
            } catch (const std::bad_alloc&) {
                ++refused;
            }
        }
        if (taken) break;
        CHECK_FALSE(dispatcher.stats().contains("other"));
        const auto incident = "inc_" + std::to_string(after);
        world.add("hook", incident);
        world.add("stays", incident);
        dispatcher.notify_all();
        REQUIRE(world.wait_for(Kind::delivered, 2 * refused));
    }
    CHECK(sender->calls().size() == refused);
    CHECK(next->calls().empty());
    if (allocations_are_counted()) CHECK(refused > 20);
    world.add("hook", "inc_last");
    world.add("other", "inc_last");
    dispatcher.notify_all();
    REQUIRE(world.wait_for(Kind::delivered, 2 * refused + 2));
    CHECK(next->calls().size() == 1);
    CHECK(other->calls().size() == 1);
}

TEST_CASE("a reload does not wait for a send under way, and what changed holds for the next") {
    DispatcherWorld world;
    const auto old_sender = hook();
    const auto new_sender = hook();
    old_sender->hold();
    world.add("hook", "inc_1", "incident.triggered");
    world.add("hook", "inc_1", "incident.resolved");
    Dispatcher dispatcher{world.outbox, {destination(old_sender)}, world.options()};
    REQUIRE(old_sender->wait_for_calls(1));
    dispatcher.update({destination(new_sender)});
    world.add("hook", "inc_2");
    dispatcher.notify("hook");
    REQUIRE(world.wait_for(Kind::delivered, 1));
    CHECK(new_sender->calls().size() == 1);  // the resolve still waits for its trigger
    old_sender->release();
    REQUIRE(world.wait_for(Kind::delivered, 3));
    CHECK(old_sender->kinds() == std::vector<std::string>{"incident.triggered"});
    CHECK(new_sender->kinds() == std::vector<std::string>{"incident.triggered", "incident.resolved"});
}

TEST_CASE("a row that was leased when its destination was taken away is released and not sent") {
    DispatcherWorld world;
    const auto sender = hook();
    world.outbox.hold_leases();
    const auto id = world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.outbox.wait_for_leased_rows(1));
    dispatcher.update({});
    world.outbox.release_leases();
    REQUIRE(world.wait_for(Kind::deferred));
    CHECK(sender->calls().empty());
    CHECK(world.row(id).state == NotificationState::pending);
    CHECK(world.row(id).next_attempt_at <= world.clock.wall_now());
}

TEST_CASE("a reload without a change leaves a destination alone, and a time that the receiver named holds beyond one") {
    DispatcherWorld world;
    const auto sender = hook();
    sender->script({failed(NextMove::retry_after, "rate_limited", false, 30s)});
    world.add("hook");
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    REQUIRE(world.wait_for(Kind::retry));
    const auto named = world.clock.wall_now() + 30s;
    dispatcher.update({destination(sender)});
    CHECK(dispatcher.not_before("hook") == named);
    auto changed = destination(sender);
    changed.max_in_flight = 1;
    dispatcher.update({changed});
    CHECK(dispatcher.not_before("hook") == named);
}

TEST_CASE("a bad set of destinations is refused whole with every mistake named, and what ran goes on") {
    DispatcherWorld world;
    const auto sender = hook();
    Dispatcher dispatcher{world.outbox, {destination(sender)}, world.options()};
    auto bad = destination(sender);
    bad.max_in_flight = 0;
    bad.fallback = "nobody";
    bad.retry.cap = 1ms;
    auto worse = destination(std::make_shared<ScriptedSender>("other"));
    worse.sender = nullptr;
    worse.fallback = "other";
    try {
        dispatcher.update({bad, worse});
        FAIL("accepted");
    } catch (const std::invalid_argument& error) {
        CHECK(std::string{error.what()} ==
              "destination 'hook': max_in_flight: must be 1 to 64; destination 'hook': fallback: there is no such "
              "destination; "
              "destination 'hook': retry.cap: must be at least retry.base; destination 'other': sender: must be set; "
              "destination 'other': fallback: must be another destination");
    }
    CHECK_THROWS_AS(dispatcher.update({destination(sender), destination(sender)}), std::invalid_argument);
    try {
        auto misnamed = destination(sender);
        misnamed.name = "mail";
        const Dispatcher refused{
            world.outbox, {misnamed}, {.clock = nullptr, .poll = Duration::zero(), .lease_margin = Duration::zero()}};
        FAIL("accepted");
    } catch (const std::invalid_argument& error) {
        CHECK(std::string{error.what()} ==
              "clock: must be set; poll: must be more than 0; lease_margin: must be more than 0; "
              "destination 'mail': sender: is made for a destination of another name");
    }
    world.add("hook");
    dispatcher.notify("hook");
    CHECK(world.wait_for(Kind::delivered));
}

TEST_CASE("many rows, flaky receivers, reloads and notices from all sides: everything arrives, in order, once") {
    DispatcherWorld world;
    constexpr int incidents = 60;
    auto options = world.options();
    options.clock = &steady_clock();
    std::mutex mutex;
    std::map<std::string, std::vector<std::string>> arrived;  // by destination and incident
    const auto flaky = [&](const std::string& name) {
        return [&, name](const Notification& row, const RequestContext&) -> SendResult {
            thread_local std::minstd_rand random{std::random_device{}()};
            if (random() % 4 == 0) return unreachable();
            const std::lock_guard lock(mutex);
            arrived[name + row.draft.incident_id].push_back(row.draft.kind);
            return {};
        };
    };
    const auto destinations = [&](std::size_t max_in_flight) {
        std::vector<DestinationSettings> all;
        for (const std::string name : {"a", "b", "c"}) {
            auto settings = destination(std::make_shared<ScriptedSender>(name, flaky(name)));
            settings.max_in_flight = max_in_flight;
            settings.retry.base = 1ms;
            settings.retry.cap = 5ms;
            all.push_back(settings);
        }
        return all;
    };
    Dispatcher dispatcher{world.outbox, destinations(4), options};
    std::thread reloader{[&] {
        for (std::size_t i = 0; i < 10; ++i) {
            dispatcher.update(destinations(1 + i % 4));
            static_cast<void>(dispatcher.stats());
            static_cast<void>(dispatcher.not_before("a"));
        }
    }};
    for (int i = 0; i < incidents; ++i) {
        for (const std::string name : {"a", "b", "c"}) {
            for (const auto* kind : {"incident.triggered", "incident.acknowledged", "incident.resolved"}) {
                world.add(name, "inc_" + std::to_string(i), kind);
            }
            dispatcher.notify(name);
        }
    }
    reloader.join();
    REQUIRE(world.wait_for(Kind::delivered, std::size_t{incidents} * 9));
    dispatcher.stop(patience);
    CHECK(arrived.size() == std::size_t{incidents} * 3);
    for (const auto& [where, kinds] : arrived) {
        CAPTURE(where);
        CHECK(kinds == std::vector<std::string>{"incident.triggered", "incident.acknowledged", "incident.resolved"});
    }
}

}  // namespace fusebox::test
