#include <fusebox/core/circuit_breaker.hpp>
#include <fusebox/testkit/scripted_dependency.hpp>
#include <stdexcept>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using testkit::Fault;
using testkit::FaultPlan;
using testkit::ScriptedDependency;

namespace {

using Dependency = ScriptedDependency<int, std::string>;
using Result = std::expected<int, std::string>;

Result failed(std::string error) { return std::unexpected{std::move(error)}; }

}  // namespace

TEST_CASE("a script answers step by step, each as often as it says, the last one for ever") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.succeed(1).times(2).fail("down").succeed(3);
    std::vector<Result> answers;
    for (int i = 0; i < 6; ++i) answers.push_back(dependency());
    CHECK(answers == std::vector<Result>{1, 1, failed("down"), 3, 3, 3});
    CHECK(dependency.calls() == 6);
}

TEST_CASE("a step that is added later takes over as soon as the calls of the step before are used up") {
    ManualClock clock;
    Dependency dependency{clock, {failed("down")}};
    CHECK(dependency() == failed("down"));
    CHECK(dependency() == failed("down"));
    dependency.succeed(1).times(2);
    CHECK(dependency() == 1);
    dependency.succeed(2);
    CHECK(dependency() == 1);
    CHECK(dependency() == 2);
}

TEST_CASE("a dependency without an error type gives its values and throws its errors") {
    ManualClock clock;
    ScriptedDependency<int> number{clock};
    number.succeed(7).fail(std::make_exception_ptr(std::runtime_error{"down"})).throws(std::out_of_range{"far"});
    CHECK(number() == 7);
    CHECK_THROWS_AS(number(), std::runtime_error);
    CHECK_THROWS_AS(number(), std::out_of_range);

    ScriptedDependency<void> nothing{clock};
    nothing.succeed().throws(std::runtime_error{"down"});
    CHECK_NOTHROW(nothing());
    CHECK_THROWS_AS(nothing(), std::runtime_error);
    CHECK(nothing.in_flight() == 0);
}

TEST_CASE("a dependency with an error type can have a bug that throws") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.throws(std::runtime_error{"bug"}).succeed(1);
    CHECK_THROWS_AS(dependency(), std::runtime_error);
    CHECK(dependency() == 1);
}

TEST_CASE("a value need neither be there nor be default-constructible") {
    ManualClock clock;
    struct Receipt {
        explicit Receipt(int n) : number(n) {}
        int number;
    };
    ScriptedDependency<Receipt, int> shop{clock};
    shop.succeed(Receipt{5});
    CHECK(shop()->number == 5);
    ScriptedDependency<void, int> sink{clock};
    sink.succeed().fail(3);
    CHECK(sink());
    CHECK(sink().error() == 3);
}

TEST_CASE("a call takes its time on the clock, whatever its deadline") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.succeed(1).taking(3s);
    const auto before = clock.now();
    CHECK(dependency(CallContext::with_timeout(1s, clock)) == 1);
    CHECK(clock.now() - before == 3s);
}

TEST_CASE("R32: a client that keeps its deadline gives up when the deadline comes before the answer") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.succeed(1).taking(3s).giving_up_with("timeout");
    const auto before = clock.now();
    CHECK(dependency(CallContext::with_timeout(3s, clock)) == 1);
    CHECK(clock.now() - before == 3s);
    CHECK(dependency(CallContext::with_timeout(3s - 1ns, clock)) == failed("timeout"));
    CHECK(clock.now() - before == 6s - 1ns);
    CHECK(dependency() == 1);  // no deadline
    CHECK(clock.now() - before == 9s - 1ns);
    CHECK(dependency(CallContext::with_timeout(0s, clock)) == failed("timeout"));
    CHECK(clock.now() - before == 9s - 1ns);
}

TEST_CASE("R32: a client that keeps its stop token gives up at once when stopped") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.succeed(1).taking(3s).giving_up_with("stopped").succeed(2).taking(1s);
    std::stop_source stop;
    stop.request_stop();
    const auto before = clock.now();
    const CallContext stopped{clock, std::nullopt, stop.get_token()};
    CHECK(dependency(stopped) == failed("stopped"));
    CHECK(clock.now() == before);
    CHECK(dependency(stopped) == 2);  // this one does not care
    CHECK(clock.now() - before == 1s);
}

TEST_CASE("a held call hangs until it is released, and calls that come later are held anew") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.succeed(1).held().times(3).succeed(2);
    std::atomic<int> sum = 0;
    const auto call = [&] { sum += dependency().value(); };
    {
        const std::jthread first{call};
        const std::jthread second{call};
        REQUIRE(dependency.wait_for_calls(2));
        CHECK(dependency.in_flight() == 2);
        CHECK(sum == 0);
        dependency.release();
    }
    CHECK(sum == 2);
    {
        const std::jthread third{call};
        REQUIRE(dependency.wait_for_calls(3));
        CHECK(dependency.in_flight() == 1);
        CHECK(dependency() == 2);  // the step after it does not wait for it
        CHECK(dependency.most_in_flight() == 2);
        dependency.release();
    }
    CHECK(sum == 3);
    CHECK(dependency.in_flight() == 0);
}

TEST_CASE("R32: a held call of a client that keeps its deadline ends when another thread moves the clock there") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.succeed(1).held().giving_up_with("timeout");
    std::optional<Result> answer;
    {
        const std::jthread caller{[&] { answer = dependency(CallContext::with_timeout(5s, clock)); }};
        REQUIRE(dependency.wait_for_calls(1));
        clock.advance(5s);
    }
    CHECK(answer == failed("timeout"));
}

TEST_CASE("R32: a held call of a client that keeps its stop token ends when it is stopped") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.succeed(1).held().giving_up_with("stopped");
    std::optional<Result> answer;
    std::stop_source stop;
    {
        const std::jthread caller{[&] { answer = dependency(CallContext{clock, std::nullopt, stop.get_token()}); }};
        REQUIRE(dependency.wait_for_calls(1));
        stop.request_stop();
    }
    CHECK(answer == failed("stopped"));
}

TEST_CASE("every call is on record with its context and its times") {
    ManualClock clock;
    const auto begin = clock.now();
    Dependency dependency{clock};
    dependency.succeed(1).taking(2s);
    (void)dependency(CallContext::with_timeout(5s, clock));
    clock.advance(1s);
    (void)dependency();
    const auto records = dependency.records();
    REQUIRE(records.size() == 2);
    CHECK(records[0].context.deadline() == begin + 5s);
    CHECK(records[0].started == begin);
    CHECK(records[0].ended == begin + 2s);
    CHECK_FALSE(records[1].context.deadline());
    CHECK(records[1].started == begin + 3s);
    CHECK(records[1].ended == begin + 5s);
}

TEST_CASE("a call under way is on record without an end") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.succeed(1).held();
    const std::jthread caller{[&] { (void)dependency(); }};
    REQUIRE(dependency.wait_for_calls(1));
    CHECK_FALSE(dependency.records().front().ended);
    dependency.release();
}

TEST_CASE("waiting for calls that do not come ends with false") {
    ManualClock clock;
    const Dependency dependency{clock};
    CHECK_FALSE(dependency.wait_for_calls(1, 0ms));
    CHECK(dependency.wait_for_calls(0, 0ms));
}

TEST_CASE("a dependency that follows a plan does what the plan says of each call and each moment") {
    ManualClock clock;
    const FaultPlan plan{{.seed = 3,
                          .failure_probability = 0.4,
                          .latency = {1ms, 5ms, 20ms, 80ms, 200ms},
                          .outages = {{.begin = 500ms, .length = 300ms}}}};
    clock.advance(7s);  // the plan's time begins with the step, not with the clock
    Dependency dependency{clock};
    dependency.succeed(0).follow(plan, 1, "down");
    CHECK(dependency() == 0);
    const auto begin = clock.now();
    for (std::uint64_t call = 0; call < 100; ++call) {
        const auto started = clock.now();
        const auto fault = plan.at(call, started - begin);
        CHECK(dependency() == (fault.fails ? failed("down") : Result{1}));
        CHECK(clock.now() - started == fault.latency);
    }
}

TEST_CASE("a step that follows a plan can take longer than the plan says") {
    ManualClock clock;
    Dependency dependency{clock};
    dependency.follow(FaultPlan{{.latency = fusebox::testkit::Latency::fixed(2s)}}, 1, "down").taking(3s);
    const auto before = clock.now();
    CHECK(dependency() == 1);
    CHECK(clock.now() - before == 5s);
}

TEST_CASE("copies of a dependency share script and records") {
    ManualClock clock;
    Dependency dependency{clock, {1, 2}};
    const auto copy = dependency;
    CHECK(copy() == 1);
    CHECK(dependency() == 2);
    CHECK(copy.calls() == 2);
}

TEST_CASE("a mistake in a script is said at once") {
    ManualClock clock;
    Dependency dependency{clock};
    CHECK_THROWS_AS(dependency(), std::logic_error);
    CHECK(dependency.calls() == 0);
    CHECK_THROWS_AS(dependency.taking(1s), std::logic_error);
    dependency.succeed(1);
    CHECK_THROWS_AS(dependency.times(0), std::invalid_argument);
    CHECK_THROWS_AS(dependency.taking(-1ns), std::invalid_argument);
}

TEST_CASE("a breaker calls a scripted dependency as it calls any operation") {
    ManualClock clock;
    fusebox::CircuitBreaker breaker{
        "rates", {.consecutive_failure_threshold = 2, .operation_timeout = 3s}, {.clock = &clock}};
    Dependency dependency{clock};
    dependency.succeed(1).fail("down").succeed(2).taking(4s).giving_up_with("timeout");
    CHECK(breaker.call(dependency).value() == 1);
    CHECK(*breaker.call(dependency).error().operation_error() == "down");
    CHECK(*breaker.call(dependency).error().operation_error() == "timeout");
    CHECK(breaker.state() == fusebox::State::open);
    CHECK(breaker.call(dependency).error().is_circuit_protection());
    CHECK(dependency.calls() == 3);
}

}  // namespace fusebox::test
