#include <fusebox/policies/breaker_policy.hpp>
#include <fusebox/policies/bulkhead.hpp>
#include <fusebox/policies/pipeline.hpp>
#include <fusebox/policies/rate_limiter.hpp>
#include <fusebox/policies/timeout.hpp>
#include <stdexcept>

#include "policy_samples.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

struct Bench : BreakerBench {
    using BreakerBench::BreakerBench;
    BreakerPolicy policy{breaker};
};

// Whatever refuses inside: the probe's slot is free again and the breaker recovers with the next good call.
void check_not_wedged(Bench& bench, const auto& pipeline, Rejection::Kind kind, const auto& make_room) {
    bench.wait_for_probe();
    for (int i = 0; i < 3; ++i) {
        CHECK(refusal(pipeline.call([] { return 7; })) == kind);
        CHECK(bench.breaker.state() == State::half_open);
        CHECK(bench.breaker.metrics().probes_in_flight == 0);
    }
    CHECK(bench.totals().ignored == 3);
    make_room();
    CHECK(pipeline.call([] { return 7; }).value() == 7);
    CHECK(bench.breaker.state() == State::closed);
}

// An error that throws when it is asked for one of the things that a breaker takes of it.
struct Mute {
    enum class About : std::uint8_t { outcome, retry_after, message };
    void ask(About what) const {
        if (what == about) throw std::logic_error{"mute"};
    }
    About about;
};
Outcome outcome_of(const Mute& error) { return error.ask(Mute::About::outcome), Outcome::failure; }
std::optional<Duration> retry_after_of(const Mute& error) { return error.ask(Mute::About::retry_after), std::nullopt; }
std::string_view message_of(const Mute& error) { return error.ask(Mute::About::message), "refused"; }

}  // namespace

TEST_CASE("§14: a bulkhead that rejects the probe frees its slot, and the breaker is not wedged") {
    Bench bench;
    const Bulkhead bulkhead{{.max_concurrent = 1}};
    auto slot = bulkhead.try_enter();
    check_not_wedged(bench, Pipeline{bench.policy, bulkhead}, Rejection::Kind::bulkhead_full, [&] { slot->release(); });
}

TEST_CASE("§14: a rate limiter that rejects the probe frees its slot, and the breaker is not wedged") {
    Bench bench;
    const RateLimiter limiter{{.permits = 1, .period = 24h}, {.clock = &bench.clock}};
    bench.wait_for_probe();
    REQUIRE(limiter.try_acquire());
    check_not_wedged(bench, Pipeline{bench.policy, limiter}, Rejection::Kind::rate_limited,
                     [&] { bench.clock.advance(24h); });
}

TEST_CASE("§14: an inner breaker that rejects the probe frees its slot, and the outer breaker is not wedged") {
    Bench bench;
    CircuitBreaker inner{"inner", touchy(), {.clock = &bench.clock}};
    inner.force_open();
    check_not_wedged(bench, Pipeline{bench.policy, BreakerPolicy{inner}}, Rejection::Kind::circuit_open,
                     [&] { inner.reset(); });
}

TEST_CASE("§14: a refusal inside is neutral for a plain breaker's call, too") {
    Bench bench;
    CircuitBreaker inner{"inner", touchy(), {.clock = &bench.clock}};
    inner.force_open();
    bench.wait_for_probe();
    const std::function<Answer()> through_both = [&] { return inner.call([] { return failed(); }); };
    CHECK_FALSE(bench.breaker.call(through_both));
    CHECK(bench.breaker.state() == State::half_open);
    CHECK(bench.breaker.metrics().probes_in_flight == 0);
    inner.reset();
    CHECK_FALSE(bench.breaker.call(through_both));
    CHECK(bench.breaker.state() == State::open);
}

TEST_CASE("§14: what a breaker policy refuses says why, and the operation does not run") {
    Bench bench;
    bench.breaker.trip();
    std::size_t calls = 0;
    const auto answer = call_with(bench.policy, [&] { return ++calls; });
    REQUIRE_FALSE(answer);
    CHECK(answer.error().rejection()->kind == Rejection::Kind::circuit_open);
    CHECK(answer.error().rejection()->state == State::open);
    CHECK(answer.error().rejection()->retry_after == 30s);
    CHECK(calls == 0);
}

TEST_CASE("§14: a breaker policy judges as the breaker's own call does") {
    const auto outcome = [](const auto& op) {
        Bench bench{{}, {.classify_exception = [](const std::exception_ptr& error) {
                        try {
                            std::rethrow_exception(error);
                        } catch (const std::invalid_argument&) {
                            return Outcome::ignored;
                        } catch (...) {
                            return Outcome::failure;
                        }
                    }}};
        std::ignore = call_with(bench.policy, op);
        const auto by_policy = bench.totals();
        std::ignore = bench.breaker.call(op);
        const auto both = bench.totals();
        CHECK(both.successes == 2 * by_policy.successes);
        CHECK(both.failures == 2 * by_policy.failures);
        CHECK(both.ignored == 2 * by_policy.ignored);
        return std::array{by_policy.successes, by_policy.failures, by_policy.ignored};
    };
    using Counts = std::array<std::uint64_t, 3>;
    CHECK(outcome([] { return 7; }) == Counts{1, 0, 0});
    CHECK(outcome([] {}) == Counts{1, 0, 0});
    CHECK(outcome([] { return failed(500); }) == Counts{0, 1, 0});
    CHECK(outcome([] { return failed(404); }) == Counts{0, 0, 1});
    CHECK(outcome([]() -> std::expected<int, std::string> { return std::unexpected{"down"}; }) == Counts{0, 1, 0});
    CHECK(outcome([]() -> int { throw std::runtime_error{"down"}; }) == Counts{0, 1, 0});
    CHECK(outcome([]() -> int { throw std::invalid_argument{"mine"}; }) == Counts{0, 0, 1});
}

TEST_CASE("R9: an exception through a breaker policy settles the permit as a failure") {
    Bench bench;
    bench.wait_for_probe();
    CHECK_THROWS_AS(call_with(bench.policy, []() -> Result { throw std::runtime_error{"bug"}; }), std::runtime_error);
    CHECK(bench.breaker.state() == State::open);
    CHECK(bench.totals().failures == 1);
    CHECK(bench.totals().abandoned == 0);
}

TEST_CASE(
    "R9: an error that cannot be judged abandons the permit, through a breaker policy and the breaker's own call") {
    const auto about = GENERATE(Mute::About::outcome, Mute::About::retry_after, Mute::About::message);
    const auto op = [&]() -> std::expected<int, Mute> { return std::unexpected{Mute{about}}; };
    const auto check_abandoned = [](const auto& call) {
        Bench bench;
        bench.wait_for_probe();
        CHECK_THROWS_WITH(call(bench), "mute");
        CHECK(bench.totals().abandoned == 1);
        CHECK(bench.totals().failures == 0);
        CHECK(bench.breaker.state() == State::half_open);
        CHECK(bench.breaker.metrics().probes_in_flight == 0);
    };
    check_abandoned([&](Bench& bench) { return call_with(bench.policy, op); });
    check_abandoned([&](Bench& bench) { return bench.breaker.call(op); });
}

TEST_CASE("R32: a breaker policy hands on its deadline, or an earlier one from outside") {
    Bench bench;
    std::optional<Duration> left;
    const auto look = [&](const CallContext& context) {
        left = context.remaining();
        return 1;
    };
    std::ignore = call_with(bench.policy, look);
    CHECK(left == 10s);
    std::ignore = call_with(bench.policy, look, CallContext::with_timeout(3s, bench.clock));
    CHECK(left == 3s);
    Bench without{{.operation_timeout = {}}};
    std::ignore = call_with(without.policy, look);
    CHECK_FALSE(left);
}

TEST_CASE(
    "R33: a value that is late for a timeout inside is a timeout for the breaker outside, and reaches the caller") {
    Bench bench;
    bool late = false;
    const Pipeline pipeline{bench.policy, Timeout{1s, bench.clock}};
    const auto answer =
        pipeline.call([&] { return bench.clock.advance(2s), 7; }, CallContext{bench.clock, {}}.with_late_flag(&late));
    CHECK(answer.value() == 7);
    CHECK(late);
    CHECK(bench.totals().timeouts == 1);
    CHECK(bench.totals().successes == 0);
    CHECK(bench.breaker.state() == State::open);
}

TEST_CASE("R33: what ends after the breaker's own deadline is a timeout, value, error and exception") {
    Bench bench{{.operation_timeout = 1s}};
    const auto late = [&] { bench.clock.advance(1001ms); };
    CHECK(call_with(bench.policy, [&] { return late(), 7; }).value() == 7);
    CHECK_FALSE(call_with(bench.policy, [&] { return late(), failed(404); }));
    CHECK_THROWS(call_with(bench.policy, [&]() -> Result {
        late();
        throw std::runtime_error{"bug"};
    }));
    CHECK(bench.totals().timeouts == 3);
    // Exactly at the deadline is in time.
    CHECK(call_with(bench.policy, [&] { return bench.clock.advance(1s), 7; }));
    CHECK(bench.totals().successes == 1);
}

TEST_CASE("§14: a late refusal inside is still neutral") {
    Bench bench;
    bench.wait_for_probe();
    const auto answer = call_with(bench.policy, [&]() -> Answer {
        bench.clock.advance(11s);
        return std::unexpected{CallError<Failure>{Rejection{.kind = Rejection::Kind::bulkhead_full}}};
    });
    CHECK(refusal(answer) == Rejection::Kind::bulkhead_full);
    CHECK(bench.totals().ignored == 1);
    CHECK(bench.breaker.state() == State::half_open);
}

TEST_CASE("§14: an error after a stop request is the caller's doing and neutral, a value is a success") {
    Bench bench;
    std::stop_source stop;
    stop.request_stop();
    const CallContext context{bench.clock, std::nullopt, stop.get_token()};
    CHECK_FALSE(call_with(bench.policy, [] { return failed(); }, context));
    CHECK_THROWS(call_with(bench.policy, []() -> Result { throw std::runtime_error{"stopped"}; }, context));
    CHECK(bench.totals().ignored == 2);
    CHECK(bench.breaker.state() == State::closed);
    CHECK(call_with(bench.policy, [] { return 7; }, context));
    CHECK(bench.totals().successes == 1);
}

TEST_CASE("R29: a hint of the operation's error lengthens the open time through a breaker policy") {
    Bench bench;
    CHECK_FALSE(call_with(bench.policy, []() -> Result { return std::unexpected{Failure{503, 2min}}; }));
    CHECK(bench.breaker.metrics().retry_after == 2min);
}

TEST_CASE("§14: a breaker policy keeps a shared breaker alive") {
    auto breaker = std::make_shared<CircuitBreaker>("db");
    const BreakerPolicy policy{breaker};
    breaker.reset();
    CHECK(call_with(policy, [] { return 7; }).value() == 7);
    CHECK(policy.breaker().metrics().totals.successes == 1);
    CHECK(policy.describe() == "breaker(db)");
}

}  // namespace fusebox::test
