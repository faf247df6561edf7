#include <fusebox/core/manual_clock.hpp>
#include <fusebox/notifications/breaker_sender.hpp>
#include <stdexcept>

#include "support/catch.hpp"
#include "support/incident_samples.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using incidents::DeliveryError;
using incidents::NextMove;
using incidents::RequestContext;
using notifications::BreakerSender;

namespace {

using Result = std::expected<void, DeliveryError>;

class FunctionSender final : public incidents::NotificationSender {
public:
    explicit FunctionSender(std::function<Result(const RequestContext&)> function) : function_(std::move(function)) {}
    [[nodiscard]] std::string_view destination() const noexcept override { return "ops-hook"; }
    Result send(const incidents::Notification&, const RequestContext& context) override {
        ++calls;
        return function_(context);
    }
    int calls{};

private:
    std::function<Result(const RequestContext&)> function_;
};

struct Protected {
    ManualClock clock;
    std::shared_ptr<CircuitBreaker> breaker = std::make_shared<CircuitBreaker>(
        "notify:ops-hook",
        CircuitBreakerConfig{.consecutive_failure_threshold = 2, .open_timeout = 30s, .success_threshold = 1},
        BreakerOptions{.clock = &clock});
    std::shared_ptr<FunctionSender> inner;
    BreakerSender sender;

    explicit Protected(std::function<Result(const RequestContext&)> function)
        : inner(std::make_shared<FunctionSender>(std::move(function))), sender(inner, breaker) {}
    Result send() { return sender.send(sample_notification(), {}); }
};

Result failed(bool counts, std::string error_class = "connect") {
    return std::unexpected(DeliveryError{.next_move = NextMove::retry,
                                         .counts_as_failure = counts,
                                         .error_class = std::move(error_class),
                                         .message = "it broke"});
}

}  // namespace

TEST_CASE("what the sender answers is handed on, whatever the breaker makes of it") {
    Protected good{[](const RequestContext&) { return Result{}; }};
    CHECK(good.send());
    CHECK(good.breaker->metrics().totals.successes == 1);
    CHECK(good.sender.destination() == "ops-hook");

    Protected bad{[](const RequestContext&) { return failed(true); }};
    CHECK(bad.send().error().message == "it broke");
    CHECK(bad.breaker->metrics().totals.failures == 1);
}

TEST_CASE("failures that count open the breaker, then nobody is reached and the row is deferred until the retry time") {
    Protected sender{[](const RequestContext&) { return failed(true); }};
    CHECK_FALSE(sender.send());
    CHECK_FALSE(sender.send());
    REQUIRE(sender.breaker->state() == State::open);
    sender.clock.advance(10s);
    const auto refused = sender.send();
    REQUIRE_FALSE(refused);
    CHECK(sender.inner->calls == 2);
    CHECK(refused.error().next_move == NextMove::defer);
    CHECK(refused.error().error_class == "circuit_open");
    CHECK(refused.error().retry_after == 20s);
    CHECK_FALSE(refused.error().counts_as_failure);
    CHECK(sender.breaker->last_trip()->note == "it broke");
}

TEST_CASE("an error that does not count is neutral and never opens the breaker") {
    Protected sender{[](const RequestContext&) { return failed(false, "rate_limited"); }};
    for (int i = 0; i < 20; ++i) CHECK_FALSE(sender.send());
    CHECK(sender.inner->calls == 20);
    CHECK(sender.breaker->state() == State::closed);
    CHECK(sender.breaker->metrics().totals.ignored == 20);
}

TEST_CASE("a timeout is recorded as one") {
    Protected sender{[](const RequestContext&) { return failed(true, "timeout"); }};
    CHECK_FALSE(sender.send());
    CHECK(sender.breaker->metrics().totals.timeouts == 1);
}

TEST_CASE("R32: the sender's deadline is the earlier of the caller's and the breaker's own") {
    std::optional<std::chrono::steady_clock::time_point> seen;
    Protected sender{[&](const RequestContext& context) {
        seen = context.deadline;
        return Result{};
    }};
    const auto now = sender.clock.now();
    REQUIRE(sender.send());
    CHECK(seen == now + 10s);  // operation_timeout
    REQUIRE(sender.sender.send(sample_notification(), {.deadline = now + 3s, .stop = {}}));
    CHECK(seen == now + 3s);
    REQUIRE(sender.sender.send(sample_notification(), {.deadline = now + 30s, .stop = {}}));
    CHECK(seen == now + 10s);
}

TEST_CASE("R33: delivered after the deadline is a timeout for the breaker and delivered for the caller") {
    ManualClock* clock = nullptr;
    Protected sender{[&](const RequestContext&) {
        clock->advance(11s);
        return Result{};
    }};
    clock = &sender.clock;
    CHECK(sender.send());
    CHECK(sender.breaker->metrics().totals.timeouts == 1);
    CHECK(sender.breaker->metrics().totals.successes == 0);
}

TEST_CASE("R9: a sender that throws leaves no permit behind") {
    Protected sender{[](const RequestContext&) -> Result { throw std::runtime_error("bug"); }};
    for (int i = 0; i < 10; ++i) CHECK_THROWS_AS(sender.send(), std::runtime_error);
    CHECK(sender.breaker->metrics().totals.abandoned == 10);
}

TEST_CASE("the stop token reaches the sender") {
    std::stop_source source;
    bool stopped = false;
    Protected sender{[&](const RequestContext& context) {
        source.request_stop();
        stopped = context.stop.stop_requested();
        return Result{};
    }};
    REQUIRE(sender.sender.send(sample_notification(), {.deadline = {}, .stop = source.get_token()}));
    CHECK(stopped);
}

TEST_CASE("a sender behind a breaker needs both") {
    const auto inner = std::make_shared<FunctionSender>([](const RequestContext&) { return Result{}; });
    CHECK_THROWS_AS((BreakerSender{inner, nullptr}), std::invalid_argument);
    CHECK_THROWS_AS((BreakerSender{nullptr, std::make_shared<CircuitBreaker>("x")}), std::invalid_argument);
}

}  // namespace fusebox::test
