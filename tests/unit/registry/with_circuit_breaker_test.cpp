#include <stdexcept>
#include <string>

#include <fusebox/registry/with_circuit_breaker.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

namespace {
const CircuitBreakerConfig one_failure{.consecutive_failure_threshold = 1};
}

TEST_CASE("R60: a call through a name makes the breaker and goes through it") {
    Registry local;
    CHECK(with_circuit_breaker(local, "a", [] { return 7; }).value() == 7);
    CHECK(local.get("a")->metrics().totals.successes == 1);

    const auto failing = [](const CallContext&) -> std::expected<int, std::string> { return std::unexpected{"no"}; };
    auto answer = with_circuit_breaker(local, "b", one_failure, failing);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().operation_error() != nullptr);
    answer = with_circuit_breaker(local, "b", one_failure, failing);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().is_circuit_protection());
    CHECK(local.get("b")->state() == State::open);
    CHECK(local.get("b")->config() == one_failure);
}

TEST_CASE("R60: without a registry it is the one of the process") {
    CHECK(with_circuit_breaker("R60 helper", [] { return 7; }).value() == 7);
    CHECK(with_circuit_breaker("R60 helper 2", one_failure, [] { return 8; }).value() == 8);
    CHECK(with_circuit_breaker_and_fallback("R60 helper", [] { return 9; }, [] { return 0; }).value() == 9);
    CHECK(with_circuit_breaker_and_fallback(
              "R60 helper 2", one_failure, [] { return 9; }, [] { return 0; })
              .value() == 9);
    CHECK(registry().get("R60 helper")->metrics().totals.successes == 2);
    CHECK(registry().get("R60 helper 2")->metrics().totals.successes == 2);
    CHECK(registry().get("R60 helper 2")->config() == one_failure);
    registry().remove("R60 helper");
    registry().remove("R60 helper 2");
}

TEST_CASE("R60: the fallback answers a rejection, or any failure where that is asked for") {
    Registry local;
    const auto throws = []() -> int { throw std::runtime_error{"down"}; };
    const auto standby = [] { return 1; };
    // The operation's own failure is not covered unless asked for.
    CHECK_FALSE(with_circuit_breaker_and_fallback(local, "a", one_failure, throws, standby));
    CHECK(with_circuit_breaker_and_fallback(local, "a", one_failure, throws, standby).value() == 1);
    CHECK(with_circuit_breaker_and_fallback(local, "a", throws, standby).value() == 1);
    CHECK(with_circuit_breaker_and_fallback(local, "b", throws, standby, FallbackOn::any_failure).value() == 1);
    CHECK(local.get("a")->metrics().totals.fallbacks == 2);
    CHECK(local.get("b")->metrics().totals.fallbacks == 1);
}

TEST_CASE("R60: a bad name or configuration is thrown at once") {
    Registry local;
    const auto op = [] { return 1; };
    CHECK_THROWS_AS(with_circuit_breaker(local, "", op), std::invalid_argument);
    CHECK_THROWS_AS(with_circuit_breaker(local, "a", CircuitBreakerConfig{.success_threshold = 0}, op), InvalidConfig);
    CHECK(local.list_names().empty());
}

}  // namespace fusebox::test
