#include <array>
#include <cmath>
#include <fusebox/core/circuit_breaker_config.hpp>
#include <fusebox/testkit/fault_plan.hpp>
#include <sstream>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;
using testkit::Fault;
using testkit::FaultPlan;
using testkit::FaultPlanConfig;
using testkit::Latency;

namespace {

constexpr int many = 100'000;

int failures(const FaultPlan& plan, Duration elapsed = {}) {
    int failures = 0;
    for (int call = 0; call < many; ++call)
        failures += plan.at(static_cast<std::uint64_t>(call), elapsed).fails ? 1 : 0;
    return failures;
}

std::string bad_fields(const FaultPlanConfig& config) {
    try {
        const FaultPlan plan{config};
    } catch (const fusebox::InvalidConfig& error) {
        std::string fields;
        for (const auto& bad : error.errors()) fields += bad.field + " ";
        return fields;
    }
    return "none";
}

}  // namespace

TEST_CASE("a plan without faults lets every call pass at once") {
    const FaultPlan plan{{}};
    for (std::uint64_t call = 0; call < 1000; ++call) CHECK(plan.at(call, 1s) == Fault{});
}

TEST_CASE("the share of failed calls is the failure probability") {
    CHECK(failures(FaultPlan{{.failure_probability = 0}}) == 0);
    CHECK(failures(FaultPlan{{.failure_probability = 1}}) == many);
    // Five standard deviations of a binomial distribution, sqrt(100000 × 0.3 × 0.7) = 145.
    CHECK(failures(FaultPlan{{.failure_probability = 0.3}}) == Approx(30'000).margin(725));
}

TEST_CASE("the same seed gives the same faults, whoever asks and in which order; another seed gives others") {
    const FaultPlanConfig config{.seed = 9, .failure_probability = 0.5, .latency = Latency::uniform(0s, 1s)};
    const FaultPlan plan{config};
    const FaultPlan again{config};
    auto other_config = config;
    other_config.seed = 10;
    const FaultPlan other{other_config};
    int same = 0;
    for (std::uint64_t call = 1000; call-- > 0;) {
        CHECK(plan.at(call, 0s) == again.at(call, 0s));
        same += plan.at(call, 0s) == other.at(call, 0s) ? 1 : 0;
    }
    CHECK(same < 10);
}

TEST_CASE("the sequence of a seed is part of the interface") {
    // Computed apart from this library, in Python, by the definitions of SplitMix64 and of the plan.
    const FaultPlan plan{{.seed = 42,
                          .failure_probability = 0.5,
                          .latency = {1ms, 5ms, 20ms, 80ms, 200ms},
                          .bursts = {{.every = 10s, .length = 2s}}}};
    const std::vector<Fault> expected{{true, 1'001'502ns},  {false, 16'905'360ns}, {true, 2'053'817ns},
                                      {true, 1'329'002ns},  {false, 3'592'628ns},  {true, 1'757'865ns},
                                      {true, 36'536'655ns}, {false, 2'710'018ns}};
    for (std::uint64_t call = 0; call < expected.size(); ++call) CHECK(plan.at(call, 0s) == expected[call]);
    for (const Duration begin : {5'813'869'417ns, 16'691'208'851ns, 22'342'824'979ns}) {
        CHECK_FALSE(plan.is_down(begin - 1ns));
        CHECK(plan.is_down(begin));
        CHECK(plan.is_down(begin + 2s - 1ns));
        CHECK_FALSE(plan.is_down(begin + 2s));
    }
}

TEST_CASE("latencies keep to their quantiles") {
    const Latency latency{.min = 10ms, .p50 = 20ms, .p90 = 50ms, .p99 = 200ms, .max = 1s};
    const FaultPlan plan{{.latency = latency}};
    std::vector<Duration> seen;
    for (std::uint64_t call = 0; call < many; ++call) seen.push_back(plan.at(call, 0s).latency);
    const auto share_above = [&](Duration bound) {
        return static_cast<double>(std::ranges::count_if(seen, [&](Duration time) { return time >= bound; })) / many;
    };
    CHECK(std::ranges::min(seen) >= 10ms);
    CHECK(std::ranges::max(seen) < 1s);
    // Margins of five standard deviations, sqrt(p × (1 - p) / 100000).
    CHECK(share_above(15ms) == Approx(0.75).margin(0.007));  // half of the way to p50
    CHECK(share_above(20ms) == Approx(0.5).margin(0.008));
    CHECK(share_above(50ms) == Approx(0.1).margin(0.005));
    CHECK(share_above(200ms) == Approx(0.01).margin(0.0016));
    CHECK(share_above(600ms) == Approx(0.005).margin(0.0012));
}

TEST_CASE("a fixed latency is the same for every call, and a uniform one is spread evenly") {
    CHECK(FaultPlan{{.latency = Latency::fixed(30ms)}}.at(5, 0s).latency == 30ms);
    CHECK(Latency::uniform(1s, 2s) == Latency{1s, 1500ms, 1900ms, 1990ms, 2s});
    const FaultPlan longest{{.latency = Latency::uniform(0s, 1h)}};
    std::array<int, 10> tenths{};
    for (std::uint64_t call = 0; call < many; ++call) {
        const auto time = longest.at(call, 0s).latency;
        REQUIRE(time >= 0s);
        REQUIRE(time < 1h);
        ++tenths.at(static_cast<std::size_t>(time / 6min));
    }
    for (const int count : tenths) CHECK(count == Approx(many / 10).margin(475));
}

TEST_CASE("in an outage every call fails, before and after it none does") {
    const FaultPlan plan{{.outages = {{.begin = 10s, .length = 5s}, {.begin = 12s, .length = 8s}}}};
    for (const auto up : {Duration{0s}, Duration{10s - 1ns}, Duration{20s}, Duration{1h}}) {
        CHECK_FALSE(plan.is_down(up));
        CHECK_FALSE(plan.at(1, up).fails);
    }
    for (const auto down : {Duration{10s}, Duration{14s}, Duration{15s}, Duration{20s - 1ns}}) {
        CHECK(plan.is_down(down));
        CHECK(failures(plan, down) == many);
    }
}

TEST_CASE("every stretch of time has one burst, of its length, at a place of its own") {
    const FaultPlan plan{{.seed = 4, .bursts = {{.every = 1min, .length = 10s}}}};
    std::vector<Duration> begins;
    for (int stretch = 0; stretch < 50; ++stretch) {
        int down = 0;
        bool was_down = false;
        int times = 0;
        for (int ms = 0; ms < 60'000; ms += 100) {
            const bool is_down = plan.is_down(stretch * 1min + ms * 1ms);
            if (is_down && !was_down) {
                ++times;
                begins.emplace_back(ms * 1ms);
            }
            was_down = is_down;
            down += is_down ? 1 : 0;
        }
        CHECK(times == 1);
        CHECK(down == 100);
    }
    std::ranges::sort(begins);
    CHECK(begins.front() < 10s);
    CHECK(begins.back() > 40s);
    CHECK(begins.back() <= 50s);
    CHECK_FALSE(plan.is_down(-1s));
}

TEST_CASE("bursts as long as their stretch are an outage without end") {
    const FaultPlan plan{{.bursts = {{.every = 1s, .length = 1s}}}};
    for (auto elapsed = Duration::zero(); elapsed < 5s; elapsed += 100ms) CHECK(plan.is_down(elapsed));
}

TEST_CASE("a plan describes itself, whole and exact") {
    CHECK(FaultPlan{{}}.describe() == "fault plan: seed 1, failure probability 0");
    const FaultPlan plan{{.seed = 42,
                          .failure_probability = 0.3,
                          .latency = {1ms, 1500us, 90s, 2min, 1h},
                          .outages = {{.begin = 10s, .length = 2500ms}, {.begin = 0s, .length = 1ns}},
                          .bursts = {{.every = 1min, .length = 10s}}}};
    const std::string text =
        "fault plan: seed 42, failure probability 0.3, latency 1ms to 1h (p50 1.5ms, p90 90s, p99 2m), "
        "outage of 2.5s after 10s, outage of 1ns after 0s, bursts of 10s every 1m";
    CHECK(plan.describe() == text);
    std::ostringstream out;
    out << plan;
    CHECK(out.str() == text);
    CHECK(FaultPlan{{.latency = Latency::fixed(3s)}}.describe() ==
          "fault plan: seed 1, failure probability 0, latency 3s");
}

TEST_CASE("a bad plan is refused with every bad field") {
    CHECK(bad_fields({.failure_probability = -0.1}) == "failure_probability ");
    CHECK(bad_fields({.failure_probability = std::nan("")}) == "failure_probability ");
    CHECK(bad_fields({.failure_probability = 1}) == "none");
    CHECK(bad_fields({.latency = Latency::fixed(1h)}) == "none");
    CHECK(bad_fields({.latency = Latency::fixed(1h + 1ns)}) ==
          "latency.min latency.p50 latency.p90 latency.p99 latency.max ");
    CHECK(bad_fields({.latency = {.min = -1ns}}) == "latency.min ");
    CHECK(bad_fields({.latency = {.p50 = 2s, .p90 = 1s, .p99 = 3s, .max = 2s}}) == "latency.p90 latency.max ");
    CHECK(bad_fields({.outages = {{.begin = 0s, .length = 1s}, {.begin = -1s, .length = 0s}}}) ==
          "outages[1].begin outages[1].length ");
    CHECK(bad_fields({.bursts = {{.every = 1s, .length = 2s}}}) == "bursts.length ");
    CHECK(bad_fields({.bursts = {{.every = 0s, .length = 0s}}}) == "bursts.every bursts.length ");
    CHECK(bad_fields({.bursts = {{.every = 25h, .length = 1s}}}) == "bursts.every ");
    CHECK_THROWS_WITH((FaultPlan{{.failure_probability = 1.5}}), Catch::Contains("failure_probability is 1.5"));
}

}  // namespace fusebox::test
