// The breaker alone.
#include <chrono>
#include <cstdint>
#include <expected>
#include <limits>
#include <optional>

#include <fusebox/core/circuit_breaker.hpp>

#include "rows.hpp"

namespace fusebox::bench {
namespace {

using namespace std::chrono_literals;

struct Failure {
    int code;
};
std::expected<int, Failure> succeed() { return 1; }
std::expected<int, Failure> fail() { return std::unexpected{Failure{503}}; }

// Timed, with a deadline, judged over 60 s.
CircuitBreakerConfig default_config() { return {}; }

// Counts and nothing else: no deadline, no duration.
CircuitBreakerConfig untimed_config() {
    CircuitBreakerConfig config;
    config.window = CountWindow{100};
    config.operation_timeout = std::nullopt;
    config.measure_duration = false;
    return config;
}

CircuitBreakerConfig count_config() {
    CircuitBreakerConfig config;
    config.window = CountWindow{100};
    return config;
}

CircuitBreakerConfig time_config() {
    CircuitBreakerConfig config;
    config.window = TimeWindow{.duration = 60s, .slices = 10};
    return config;
}

// Both rules are on and judged with each failure, and neither can trip: the run of failures is out of reach, and one
// success in the window keeps the rate below 1.
CircuitBreakerConfig failing_config() {
    CircuitBreakerConfig config;
    config.consecutive_failure_threshold = std::numeric_limits<std::uint32_t>::max();
    config.failure_rate_threshold = 1.0;
    return config;
}
const char* begin_failing(CircuitBreaker& breaker) {
    if (breaker.state() != State::closed) return "the failures have opened the circuit";
    return breaker.call(succeed) ? nullptr : "a call was rejected";
}

auto closed(CircuitBreakerConfig (*config)()) {
    return [config] { return std::make_unique<CircuitBreaker>("payments", config()); };
}

// Open for longer than any run.
std::unique_ptr<CircuitBreaker> make_open() {
    auto config = default_config();
    config.open_timeout = 24h;
    auto breaker = std::make_unique<CircuitBreaker>("payments", config);
    breaker->trip();
    return breaker;
}

// A type and not a function, so that the measured loop need not call it by address.
template <std::expected<int, Failure> (*operation)()>
struct Call {
    void operator()(CircuitBreaker& breaker, std::size_t) const {
        auto answer = breaker.call([] { return operation(); });
        benchmark::DoNotOptimize(answer);
    }
};

struct Heard {
    std::unique_ptr<CircuitBreaker> breaker{closed(default_config)()};
    Subscription subscription{breaker->subscribe(
        [](const CircuitBreaker&, const BreakerEvent& event) { benchmark::DoNotOptimize(&event); }, EventMask::all)};
};

}  // namespace

void add_breaker_rows() {
    add_rows("call_success/timed", closed(default_config), Call<succeed>{});
    add_rows("call_success/untimed", closed(untimed_config), Call<succeed>{});
    add_rows("call_success/count100", closed(count_config), Call<succeed>{});
    add_rows("call_success/time60", closed(time_config), Call<succeed>{});
    add_rows("call_failure/timed", closed(failing_config), Call<fail>{}, begin_failing);
    add_rows("reject/call", make_open, Call<succeed>{});
    add_rows("state", closed(default_config),
             [](CircuitBreaker& breaker, std::size_t) { benchmark::DoNotOptimize(breaker.state()); });
    add_rows("permit", closed(default_config), [](CircuitBreaker& breaker, std::size_t) {
        if (auto permit = breaker.try_acquire()) permit->success();
    });
    add_rows("permit/2ms", closed(default_config), [](CircuitBreaker& breaker, std::size_t) {
        if (auto permit = breaker.try_acquire()) permit->settle(Outcome::success, {.duration = 2ms});
    });
    add_rows("snapshot", closed(default_config),
             [](CircuitBreaker& breaker, std::size_t) { benchmark::DoNotOptimize(breaker.metrics()); });
    add_rows("listener", std::make_unique<Heard>,
             [](Heard& heard, std::size_t step) { Call<succeed>{}(*heard.breaker, step); });
}

}  // namespace fusebox::bench
