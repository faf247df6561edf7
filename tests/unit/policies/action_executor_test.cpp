#include <fusebox/core/presets.hpp>
#include <fusebox/policies/action_executor.hpp>
#include <fusebox/policies/hedge.hpp>
#include <fusebox/policies/manual_sleeper.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/retry.hpp>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

struct Event {
    std::string entity;
};
struct Action {
    std::string name;
};
using Port = ActionExecutor<Event, Action, std::string, Failure>;

class Webhook final : public Port {
public:
    using Port::execute;
    [[nodiscard]] Answer execute(const Event& event, const Action& action, const CallContext& context) override {
        ++calls;
        deadline = context.deadline();
        if (broken > 0) {
            --broken;
            return std::unexpected{CallError<Failure>{OperationFailed<Failure>{}}};
        }
        return action.name + " " + event.entity;
    }
    int calls{};
    int broken{};
    std::optional<TimePoint> deadline;
};

}  // namespace

TEST_CASE("§14: an action executor behind a breaker executes, fails fast while it is open, and recovers") {
    ManualClock clock;
    auto breaker = std::make_shared<CircuitBreaker>("actions", touchy(), BreakerOptions{.clock = &clock});
    auto webhook = std::make_shared<Webhook>();
    CircuitBreakerActionExecutor<Event, Action, std::string, Failure> guarded{webhook, BreakerPolicy{breaker}};
    CHECK(guarded.execute({"disk"}, {"grow"}).value() == "grow disk");
    CHECK(webhook->deadline == clock.now() + 10s);

    webhook->broken = 1;
    CHECK_FALSE(guarded.execute({"disk"}, {"grow"}));
    const auto refused = guarded.execute({"disk"}, {"grow"});
    CHECK(refusal(refused) == Rejection::Kind::circuit_open);
    CHECK(webhook->calls == 2);

    clock.advance(30s);
    CHECK(guarded.execute({"disk"}, {"grow"}).value() == "grow disk");
    CHECK(breaker->state() == State::closed);
}

TEST_CASE("§14: the decorator is itself an action executor, around any policy") {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    auto breaker = std::make_shared<CircuitBreaker>("actions", CircuitBreakerConfig{}, BreakerOptions{.clock = &clock});
    auto webhook = std::make_shared<Webhook>();
    std::shared_ptr<Port> guarded = with_policy(webhook, BreakerPolicy{breaker});
    guarded = with_policy(guarded, Retry{{}, {.clock = &clock, .sleeper = &sleeper}});
    webhook->broken = 2;
    CHECK(guarded->execute({"disk"}, {"grow"}).value() == "grow disk");
    CHECK(webhook->calls == 3);
    CHECK(breaker->metrics().totals.failures == 2);
}

TEST_CASE("§14: an attempt that outlives its call has its own event and action") {
    ManualClock clock;
    ManualSleeper sleeper{clock};
    QueueExecutor executor;
    auto webhook = std::make_shared<Webhook>();
    sleeper.on_wait([&](Duration) {
        if (sleeper.waits().size() == 2) executor.run_last();
    });
    {
        const auto guarded =
            with_policy(webhook, Hedge{executor, {.delay = 10ms}, {.clock = &clock, .sleeper = &sleeper}});
        CHECK(guarded->execute({"disk"}, {"grow"}).value() == "grow disk");
    }
    executor.run_first();
    CHECK(webhook->calls == 1);
}

}  // namespace fusebox::test
