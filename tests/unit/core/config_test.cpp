#include <limits>

#include "support/rig.hpp"

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;

TEST_CASE("§2: the states, their numbers and names") {
    const std::vector<std::pair<State, std::string>> states{
        {State::closed, "closed"},           {State::open, "open"},         {State::half_open, "half_open"},
        {State::forced_open, "forced_open"}, {State::disabled, "disabled"}, {State::metrics_only, "metrics_only"}};
    for (std::size_t i = 0; i < states.size(); ++i) {
        CHECK(static_cast<std::size_t>(states[i].first) == i);
        CHECK(to_string(states[i].first) == states[i].second);
        CHECK(state_from_string(states[i].second) == states[i].first);
    }
    CHECK_FALSE(state_from_string("Closed"));
    CHECK(allows_requests(State::half_open));
    CHECK_FALSE(allows_requests(State::forced_open));
    CHECK(is_failure_state(State::half_open));
    CHECK_FALSE(is_failure_state(State::metrics_only));
    CHECK(to_string(Outcome::abandoned) == "abandoned");
    CHECK(to_string(Rejection::Kind::too_many_probes) == "too_many_probes");
    CHECK(to_string(TransitionReason::restored) == "restored");
}

TEST_CASE("§3: the defaults") {
    const CircuitBreakerConfig config;
    CHECK(config.enabled);
    CHECK(config.consecutive_failure_threshold == 5);
    CHECK(config.failure_rate_threshold == 0.5);
    CHECK_FALSE(config.slow_call_duration_threshold);
    CHECK(config.slow_call_rate_threshold == 1.0);
    CHECK(config.minimum_requests == 10);
    CHECK(config.window == Window{TimeWindow{.duration = 60s, .slices = 10}});
    CHECK(config.open_timeout == 30s);
    CHECK(config.backoff == Backoff::fixed());
    CHECK(config.half_open_max_concurrent == 5);
    CHECK(config.success_threshold == 3);
    CHECK_FALSE(config.half_open_rate);
    CHECK(config.probe_lease == 60s);
    CHECK(config.operation_timeout == Duration{10s});
    CHECK(config.count_timeout_as_failure);
    CHECK_FALSE(config.hung_call_threshold);
    CHECK(validate(config).empty());
}

std::string only_bad_field(const CircuitBreakerConfig& config) {
    const auto errors = validate(config);
    REQUIRE(errors.size() == 1);
    return errors[0].field;
}

TEST_CASE("§3: each field has its range") {
    CircuitBreakerConfig config;
    SECTION("failure_rate_threshold") {
        config.failure_rate_threshold = GENERATE(-0.1, 1.0001, std::numeric_limits<double>::quiet_NaN());
        CHECK(only_bad_field(config) == "failure_rate_threshold");
    }
    SECTION("slow_call_duration_threshold") {
        config.slow_call_duration_threshold = 0s;
        CHECK(only_bad_field(config) == "slow_call_duration_threshold");
    }
    SECTION("slow_call_rate_threshold") {
        config.slow_call_rate_threshold = GENERATE(0.0, 2.0);
        CHECK(only_bad_field(config) == "slow_call_rate_threshold");
    }
    SECTION("minimum_requests") {
        config.minimum_requests = 0;
        CHECK(only_bad_field(config) == "minimum_requests");
    }
    SECTION("window.duration") {
        config.window = TimeWindow{.duration = GENERATE(Duration{0}, Duration{999us}, Duration{25h})};
        CHECK(only_bad_field(config) == "window.duration");
    }
    SECTION("window.slices") {
        config.window = TimeWindow{.slices = GENERATE(0U, 61U)};
        CHECK(only_bad_field(config) == "window.slices");
    }
    SECTION("window.size") {
        config.window = CountWindow{GENERATE(0U, 65'537U)};
        CHECK(only_bad_field(config) == "window.size");
    }
    SECTION("open_timeout") {
        config.open_timeout = GENERATE(Duration{0}, Duration{-1s}, Duration::max());
        CHECK(only_bad_field(config) == "open_timeout");
    }
    SECTION("backoff.increment") {
        config.backoff = Backoff::linear(-1s);
        CHECK(only_bad_field(config) == "backoff.increment");
    }
    SECTION("backoff.multiplier") {
        config.backoff = Backoff::exponential(GENERATE(0.5, 101.0));
        CHECK(only_bad_field(config) == "backoff.multiplier");
    }
    SECTION("backoff.max_open_timeout") {
        config.backoff = Backoff::exponential(2);
        config.backoff.max_open_timeout = 29s;
        CHECK(only_bad_field(config) == "backoff.max_open_timeout");
    }
    SECTION("backoff.jitter") {
        config.backoff.jitter = GENERATE(-0.1, 1.0);
        CHECK(only_bad_field(config) == "backoff.jitter");
    }
    SECTION("half_open_max_concurrent") {
        config.half_open_max_concurrent = GENERATE(0U, 1025U);
        CHECK(only_bad_field(config) == "half_open_max_concurrent");
    }
    SECTION("success_threshold") {
        config.success_threshold = 0;
        CHECK(only_bad_field(config) == "success_threshold");
    }
    SECTION("half_open_rate") {
        config.half_open_rate = HalfOpenRate{.minimum_probes = 0};
        CHECK(only_bad_field(config) == "half_open_rate.minimum_probes");
        config.half_open_rate = HalfOpenRate{.success_rate = 0};
        CHECK(only_bad_field(config) == "half_open_rate.success_rate");
    }
    SECTION("probe_lease") {
        config.probe_lease = 9s;
        CHECK(only_bad_field(config) == "probe_lease");
        config.operation_timeout.reset();
        CHECK(validate(config).empty());
        config.probe_lease = 0s;
        CHECK(only_bad_field(config) == "probe_lease");
    }
    SECTION("operation_timeout") {
        config.operation_timeout = 0s;
        CHECK(only_bad_field(config) == "operation_timeout");
    }
    SECTION("hung_call_threshold") {
        config.hung_call_threshold = 0s;
        CHECK(only_bad_field(config) == "hung_call_threshold");
    }
}

TEST_CASE("§3: every bad field is named in one error, with its value and its range") {
    const auto build = [] {
        return CircuitBreakerConfigBuilder{}.failure_rate(1.5).minimum_requests(0).operation_timeout(2min).build();
    };
    try {
        (void)build();
        FAIL("it was accepted");
    } catch (const InvalidConfig& error) {
        CHECK(error.errors().size() == 3);
        CHECK(std::string_view{error.what()} ==
              "invalid circuit breaker configuration: failure_rate_threshold is 1.5, must be in (0, 1], or 0 for off; "
              "minimum_requests is 0, must be at least 1; "
              "probe_lease is 1m, must be at least operation_timeout (2m)");
    }
}

TEST_CASE("§3: the builder sets every field") {
    const auto config = CircuitBreakerConfigBuilder{}
                            .enabled(false)
                            .consecutive_failures(7)
                            .failure_rate(0.25)
                            .slow_calls(2s, 0.75)
                            .minimum_requests(3)
                            .count_window(50)
                            .open_timeout(9s)
                            .exponential_backoff(1.5, 1min)
                            .jitter(0.1)
                            .half_open_max_concurrent(2)
                            .success_threshold(4)
                            .half_open_rate(6, 0.9)
                            .probe_lease(45s)
                            .operation_timeout(std::nullopt)
                            .count_timeout_as_failure(false)
                            .hung_call_threshold(20s)
                            .build();
    CHECK_FALSE(config.enabled);
    CHECK(config.consecutive_failure_threshold == 7);
    CHECK(config.failure_rate_threshold == 0.25);
    CHECK(config.slow_call_duration_threshold == Duration{2s});
    CHECK(config.slow_call_rate_threshold == 0.75);
    CHECK(config.minimum_requests == 3);
    CHECK(config.window == Window{CountWindow{50}});
    CHECK(config.open_timeout == 9s);
    CHECK(config.backoff.kind == Backoff::Kind::exponential);
    CHECK(config.backoff.multiplier == 1.5);
    CHECK(config.backoff.max_open_timeout == 1min);
    CHECK(config.backoff.jitter == 0.1);
    CHECK(config.half_open_max_concurrent == 2);
    CHECK(config.success_threshold == 4);
    CHECK(config.half_open_rate == HalfOpenRate{.minimum_probes = 6, .success_rate = 0.9});
    CHECK(config.probe_lease == 45s);
    CHECK_FALSE(config.operation_timeout);
    CHECK_FALSE(config.count_timeout_as_failure);
    CHECK(config.hung_call_threshold == Duration{20s});
    const auto linear = CircuitBreakerConfigBuilder{config}.linear_backoff(3s, 2min).time_window(5s, 5).build();
    CHECK(linear.backoff.kind == Backoff::Kind::linear);
    CHECK(linear.backoff.increment == 3s);
    CHECK(linear.backoff.jitter == 0.1);
    CHECK(linear.window == Window{TimeWindow{.duration = 5s, .slices = 5}});
}

TEST_CASE("§3: a breaker refuses a bad configuration, a bad name and a bad number of reports") {
    CircuitBreakerConfig bad;
    bad.success_threshold = 0;
    CHECK_THROWS_AS(CircuitBreaker("x", bad), InvalidConfig);
    CHECK_THROWS_AS(CircuitBreaker(""), std::invalid_argument);
    CHECK_THROWS_AS(CircuitBreaker(std::string(129, 'x')), std::invalid_argument);
    CHECK(CircuitBreaker(std::string(128, 'x')).name().size() == 128);
    for (const auto capacity : {std::size_t{0}, std::size_t{1025}}) {
        CHECK_THROWS_AS(CircuitBreaker("x", {}, {.report_capacity = capacity}), std::invalid_argument);
    }
    CHECK_THROWS_AS(CircuitBreaker("x", {}, {.clock = nullptr}), std::invalid_argument);
    CHECK(&CircuitBreaker("x").clock() == &steady_clock());
}

TEST_CASE("§3: enabled off starts disabled") {
    CircuitBreakerConfig config;
    config.enabled = false;
    Rig rig{config};
    CHECK(rig.state() == State::disabled);
    CHECK(rig.breaker.generation() == 0);
    rig.fail(100);
    CHECK(rig.state() == State::disabled);
}

}  // namespace
}  // namespace fusebox::test
