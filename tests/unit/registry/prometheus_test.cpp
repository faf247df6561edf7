// Expected lines are as the description of Prometheus' text format 0.0.4 has them.
#include <fusebox/registry/prometheus.hpp>

#include <atomic>
#include <chrono>
#include <iterator>
#include <limits>
#include <memory>
#include <sstream>
#include <thread>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <fusebox/core/manual_clock.hpp>

#include "exposer.hpp"
#include "support/allocations/allocations.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

const std::string prefix = "llm_incident_manager_circuit_breaker_";

std::vector<std::string> lines_of(const std::string& text, std::string_view start) {
    std::vector<std::string> result;
    std::istringstream stream{text};
    for (std::string line; std::getline(stream, line);) {
        if (line.starts_with(start)) result.push_back(line);
    }
    return result;
}

/// The value of the series `prefix + series`, or "none".
std::string value(const std::string& text, const std::string& series) {
    const auto lines = lines_of(text, prefix + series + " ");
    REQUIRE(lines.size() <= 1);
    return lines.empty() ? "none" : lines[0].substr(lines[0].rfind(' ') + 1);
}

void settle(CircuitBreaker& breaker, Outcome outcome, Duration duration) {
    auto permit = breaker.try_acquire();
    REQUIRE(permit);
    permit->settle(outcome, {.duration = duration});
}

}  // namespace

TEST_CASE("R42: the families, exactly, each with help and type") {
    Registry registry;
    registry.get_or_create("x");
    const auto text = prometheus_text(registry);
    std::vector<std::string> types;
    for (const auto& line : lines_of(text, "# TYPE ")) types.push_back(line.substr(7));
    CHECK(types == std::vector<std::string>{
                       prefix + "state gauge",
                       prefix + "calls_total counter",
                       prefix + "successful_calls_total counter",
                       prefix + "failed_calls_total counter",
                       prefix + "rejected_calls_total counter",
                       prefix + "call_duration_seconds histogram",
                       prefix + "state_transitions_total counter",
                       prefix + "open_duration_seconds gauge",
                       prefix + "half_open_probes_total counter",
                       prefix + "failure_rate gauge",
                       prefix + "success_rate gauge",
                       prefix + "slow_calls_total counter",
                       prefix + "last_state_change_timestamp_seconds gauge",
                       prefix + "fallbacks_total counter",
                       prefix + "stale_outcomes_total counter",
                   });
    CHECK(lines_of(text, "# HELP ").size() == types.size());
    // Also while there is no breaker yet.
    CHECK(lines_of(prometheus_text(Registry{}), "# TYPE ").size() == types.size());
}

TEST_CASE("R42: the families say what a breaker went through") {
    ManualClock clock;
    Registry registry{{.clock = &clock}};
    auto& breaker = *registry.get_or_create("store", CircuitBreakerConfig{.consecutive_failure_threshold = 3,
                                                                          .slow_call_duration_threshold = 5s,
                                                                          .open_timeout = 10s,
                                                                          .success_threshold = 2});
    auto late = breaker.try_acquire();
    settle(breaker, Outcome::success, 1ms);
    settle(breaker, Outcome::ignored, 1ms);
    settle(breaker, Outcome::failure, 20ms);
    settle(breaker, Outcome::timeout, 10s);
    settle(breaker, Outcome::failure, 61s);
    CHECK_FALSE(breaker.try_acquire());
    CHECK_FALSE(breaker.try_acquire());

    auto text = prometheus_text(registry);
    CHECK(value(text, R"(state{name="store"})") == "1");
    CHECK(value(text, R"(calls_total{name="store",status="allowed"})") == "5");
    CHECK(value(text, R"(calls_total{name="store",status="rejected"})") == "2");
    CHECK(value(text, R"(successful_calls_total{name="store"})") == "1");
    CHECK(value(text, R"(failed_calls_total{name="store"})") == "3");
    CHECK(value(text, R"(rejected_calls_total{name="store"})") == "2");
    CHECK(value(text, R"(slow_calls_total{name="store"})") == "2");
    CHECK(value(text, R"(last_state_change_timestamp_seconds{name="store"})") == "1767225600");

    clock.advance(10s);
    settle(breaker, Outcome::success, 1ms);
    late->success();
    settle(breaker, Outcome::success, 1ms);
    text = prometheus_text(registry);
    CHECK(value(text, R"(state{name="store"})") == "0");
    CHECK(value(text, R"(open_duration_seconds{name="store"})") == "10");
    CHECK(value(text, R"(half_open_probes_total{name="store"})") == "2");
    CHECK(value(text, R"(stale_outcomes_total{name="store"})") == "1");
    CHECK(value(text, R"(last_state_change_timestamp_seconds{name="store"})") == "1767225610");
    CHECK(value(text, R"(state_transitions_total{name="store",from_state="closed",to_state="open"})") == "1");
    CHECK(value(text, R"(state_transitions_total{name="store",from_state="open",to_state="half_open"})") == "1");
    CHECK(value(text, R"(state_transitions_total{name="store",from_state="half_open",to_state="closed"})") == "1");
    CHECK(value(text, R"(state_transitions_total{name="store",from_state="half_open",to_state="open"})") == "0");
    CHECK(value(text, R"(state_transitions_total{name="store",from_state="closed",to_state="disabled"})") == "none");

    settle(breaker, Outcome::success, 1ms);
    settle(breaker, Outcome::failure, 1ms);
    const auto fallback = breaker.call_with_fallback([]() -> int { throw std::runtime_error{"no"}; }, [] { return 1; },
                                                     FallbackOn::any_failure);
    CHECK(fallback.value() == 1);
    text = prometheus_text(registry);
    CHECK(value(text, R"(fallbacks_total{name="store"})") == "1");
    CHECK(std::stod(value(text, R"(failure_rate{name="store"})")) == Approx(2.0 / 3));
    CHECK(std::stod(value(text, R"(success_rate{name="store"})")) == Approx(1.0 / 3));
    breaker.disable();
    CHECK(value(prometheus_text(registry),
                R"(state_transitions_total{name="store",from_state="closed",to_state="disabled"})") == "1");
}

TEST_CASE("R42: the duration histogram has the contract's buckets, each holding those below") {
    Registry registry;
    auto& breaker = *registry.get_or_create("x", CircuitBreakerConfig{.consecutive_failure_threshold = 0});
    settle(breaker, Outcome::success, 1ms);  // on the bound: belongs to it
    settle(breaker, Outcome::success, 2ms);
    settle(breaker, Outcome::failure, 300ms);
    settle(breaker, Outcome::timeout, 90s);
    const auto text = prometheus_text(registry);
    const auto start = prefix + "call_duration_seconds_bucket{name=\"x\",le=\"";
    std::vector<std::string> buckets;
    for (const auto& line : lines_of(text, start)) buckets.push_back(line.substr(start.size()));
    CHECK(buckets == std::vector<std::string>{"0.001\"} 1", "0.005\"} 2", "0.01\"} 2", "0.025\"} 2", "0.05\"} 2",
                                              "0.1\"} 2", "0.25\"} 2", "0.5\"} 3", "1\"} 3", "2.5\"} 3", "5\"} 3",
                                              "10\"} 3", "30\"} 3", "60\"} 3", "+Inf\"} 4"});
    CHECK(value(text, R"(call_duration_seconds_count{name="x"})") == "4");
    CHECK(std::stod(value(text, R"(call_duration_seconds_sum{name="x"})")) == Approx(90.303));
}

TEST_CASE("R42: a timeout is a failed call only where it counts as a failure") {
    Registry registry;
    CircuitBreakerConfig config;
    config.count_timeout_as_failure = false;
    auto& breaker = *registry.get_or_create("x", config);
    settle(breaker, Outcome::timeout, 1s);
    settle(breaker, Outcome::failure, 1s);
    CHECK(value(prometheus_text(registry), R"(failed_calls_total{name="x"})") == "1");
    CHECK(value(prometheus_text(registry), R"(calls_total{name="x",status="allowed"})") == "2");

    // What a timeout counted as stays, whatever the configuration says later.
    config.count_timeout_as_failure = true;
    breaker.reconfigure(config);
    CHECK(value(prometheus_text(registry), R"(failed_calls_total{name="x"})") == "1");
    settle(breaker, Outcome::timeout, 1s);
    config.count_timeout_as_failure = false;
    breaker.reconfigure(config);
    CHECK(value(prometheus_text(registry), R"(failed_calls_total{name="x"})") == "2");
}

TEST_CASE("R42: the prefix can be set") {
    Registry registry;
    registry.get_or_create("x");
    const auto text = prometheus_text(registry, {.prefix = "my_"});
    CHECK(lines_of(text, "my_state{name=\"x\"} 0").size() == 1);
    CHECK(text.find("llm_incident") == std::string::npos);
    for (const auto* good : {"", "_", "shop:9_", "Shop_"}) {
        CHECK(lines_of(prometheus_text(registry, {.prefix = good}), std::string{good} + "state{").size() == 1);
    }
}

TEST_CASE("R42: a prefix that would spoil the whole scrape is refused with its value and the rule") {
    const Registry registry;
    struct Case {
        const char* prefix;
        const char* shown;
    };
    for (const auto& [bad, shown] : {Case{"shop-", "shop-"}, Case{"9shop_", "9shop_"}, Case{"shop ", "shop "},
                                     Case{"sh\xc3\xb6p_", "sh\xc3\xb6p_"}, Case{"shop\n", "shop\\n"}, Case{"{", "{"}}) {
        const auto message = std::string{"metrics: prefix is \""} + shown +
                             "\", must be of letters, digits, '_' and ':', the first of them no digit";
        CHECK_THROWS_WITH((RegistryCollectable{registry, {.prefix = bad}}), message);
        CHECK_THROWS_AS(prometheus_text(registry, {.prefix = bad}), std::invalid_argument);
    }
}

TEST_CASE("R42: any name makes a text that a scrape accepts") {
    Registry registry;
    registry.get_or_create("say \"hi\"\\\n");
    registry.get_or_create("gr\xc3\xbc\xc3\x9f \xe2\x86\x92 \xf0\x9f\x94\xa5");
    for (const auto* name : {"\xff", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
        registry.get_or_create(name);
    }
    const auto text = prometheus_text(registry);
    CHECK(value(text, R"(state{name="say \"hi\"\\\n"})") == "0");
    CHECK(value(text, "state{name=\"gr\xc3\xbc\xc3\x9f \xe2\x86\x92 \xf0\x9f\x94\xa5\"}") == "0");
    CHECK(value(text, R"(state{name="\\xff"})") == "0");
    CHECK(value(text, R"(state{name="a\\xc3"})") == "0");
    CHECK(value(text, R"(state{name="\\xc0\\xaf"})") == "0");
    CHECK(value(text, R"(state{name="\\xe0\\x80\\xaf"})") == "0");
    CHECK(value(text, R"(state{name="\\xed\\xa0\\x80"})") == "0");
    CHECK(value(text, R"(state{name="\\xf4\\x90\\x80\\x80"})") == "0");
}

TEST_CASE("R63: breakers beyond the cap are summed as other, the oldest keep their series") {
    ManualClock clock;
    Registry registry{{.clock = &clock}};
    for (const auto* name : {"z", "y", "b", "a", "other"}) {
        auto& breaker = *registry.get_or_create(name, CircuitBreakerConfig{.consecutive_failure_threshold = 1});
        settle(breaker, Outcome::success, 2ms);
        settle(breaker, Outcome::failure, 2s);
        CHECK_FALSE(breaker.try_acquire());
    }
    clock.advance(3s);
    CHECK(value(prometheus_text(registry, {.max_names = 5}), R"(state{name="other"})") == "1");

    const auto text = prometheus_text(registry, {.max_names = 2});
    CHECK(lines_of(text, prefix + "state{").size() == 2);
    CHECK(value(text, R"(state{name="z"})") == "1");
    CHECK(value(text, R"(state{name="y"})") == "1");
    CHECK(value(text, R"(calls_total{name="other",status="allowed"})") == "6");
    CHECK(value(text, R"(calls_total{name="other",status="rejected"})") == "3");
    CHECK(value(text, R"(successful_calls_total{name="other"})") == "3");
    CHECK(value(text, R"(failed_calls_total{name="other"})") == "3");
    CHECK(value(text, R"(open_duration_seconds{name="other"})") == "9");
    CHECK(value(text, R"(state_transitions_total{name="other",from_state="closed",to_state="open"})") == "3");
    CHECK(value(text, R"(call_duration_seconds_bucket{name="other",le="0.005"})") == "3");
    CHECK(value(text, R"(call_duration_seconds_count{name="other"})") == "6");
    // A sum has no state, and no rate of its own.
    for (const auto* gauge : {"state", "failure_rate", "success_rate", "last_state_change_timestamp_seconds"}) {
        CHECK(value(text, std::string{gauge} + R"({name="other"})") == "none");
    }
    CHECK(lines_of(prometheus_text(registry, {.max_names = 0}), prefix + "state{").empty());
}

TEST_CASE("R63: a breaker that is named other never doubles the sum's series") {
    Registry registry;
    for (const auto* name : {"other", "a", "b", "c"}) settle(*registry.get_or_create(name), Outcome::success, 1ms);
    const auto text = prometheus_text(registry, {.max_names = 2});
    CHECK(value(text, R"(successful_calls_total{name="other"})") == "2");
    CHECK(value(text, R"(successful_calls_total{name="a"})") == "1");
    CHECK(value(text, R"(successful_calls_total{name="b"})") == "1");
}

TEST_CASE("R63: what was counted as other stays counted, whatever is removed or gets a place") {
    Registry registry;
    const auto count = [](CircuitBreaker& breaker, int calls) {
        for (int i = 0; i < calls; ++i) settle(breaker, Outcome::failure, 2ms);
    };
    const CircuitBreakerConfig never_trips{.consecutive_failure_threshold = 0, .failure_rate_threshold = 0};
    for (const auto* name : {"a", "b", "c", "d"}) registry.get_or_create(name, never_trips);
    const auto scrape = [&] { return prometheus_text(registry, {.max_names = 2}); };
    const auto other = [&](const std::string& text) { return value(text, R"(failed_calls_total{name="other"})"); };
    count(*registry.get("a"), 100);
    count(*registry.get("c"), 10);
    count(*registry.get("d"), 1);
    CHECK(other(scrape()) == "11");

    // One of the sum is removed, with calls that no scrape has seen.
    count(*registry.get("c"), 20);
    registry.remove("c");
    CHECK(other(scrape()) == "31");
    CHECK(other(scrape()) == "31");

    // One with a series of its own is removed: its series ends, its place is for the next new one, the sum stays.
    registry.remove("a");
    auto text = scrape();
    CHECK(other(text) == "31");
    CHECK(value(text, R"(failed_calls_total{name="a"})") == "none");
    CHECK(value(text, R"(failed_calls_total{name="d"})") == "none");
    count(*registry.get_or_create("e", never_trips), 5);
    text = scrape();
    CHECK(value(text, R"(failed_calls_total{name="e"})") == "5");
    CHECK(other(text) == "31");
    count(*registry.get("d"), 1);
    CHECK(other(scrape()) == "32");

    // Removed and made anew between two scrapes: the new one counts from its own beginning.
    registry.remove("d");
    count(*registry.get_or_create("d", never_trips), 3);
    CHECK(other(scrape()) == "35");
    registry.clear();
    text = scrape();
    CHECK(other(text) == "35");
    CHECK(value(text, R"(call_duration_seconds_count{name="other"})") == "35");
    CHECK(value(text, R"(failed_calls_total{name="b"})") == "none");
    // A breaker of that name never gets a series beside the sum.
    count(*registry.get_or_create("other", never_trips), 1);
    CHECK(other(scrape()) == "36");
}

TEST_CASE("R63: no counter of the sum goes back while breakers come, go and are scraped") {
    Registry registry;
    std::atomic<bool> stop{false};
    std::vector<std::jthread> workers;
    for (int worker = 0; worker < 2; ++worker) {
        workers.emplace_back([&, worker] {
            for (int i = worker; !stop; i += 2) {
                const auto name = "b" + std::to_string(i % 8);
                const auto breaker = registry.get_or_create(name);
                for (int call = 0; call < 3; ++call) breaker->try_acquire()->success();
                if (i % 3 == 0) registry.remove(name);
                breaker->try_acquire()->success();
            }
        });
    }
    double last = 0;
    bool went_back = false;
    // On a busy machine 200 scrapes may be over before the workers have begun.
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds{20};
    for (int scrape = 0; scrape < 200 || (last == 0 && std::chrono::steady_clock::now() < patience); ++scrape) {
        const auto text = prometheus_text(registry, {.max_names = 1});
        const auto now = value(text, R"(successful_calls_total{name="other"})");
        if (now == "none") continue;
        went_back = went_back || std::stod(now) < last;
        last = std::stod(now);
    }
    stop = true;
    CHECK_FALSE(went_back);
    CHECK(last > 0);
}

TEST_CASE("R65: a removed breaker's series end") {
    Registry registry;
    const auto kept = registry.get_or_create("x");
    registry.get_or_create("y");
    registry.remove("x");
    kept->trip();
    const auto text = prometheus_text(registry);
    CHECK(text.find("name=\"x\"") == std::string::npos);
    CHECK(text.find("name=\"y\"") != std::string::npos);
}

TEST_CASE("R43: an Exposer serves the breakers beside what a program exposed before") {
    Registry registry;
    const auto own = std::make_shared<prometheus::Registry>();
    prometheus::BuildCounter().Name("app_orders_total").Help("Orders.").Register(*own).Add({}).Increment(2);
    ScrapedExposer exposed;
    exposed.exposer.RegisterCollectable(own);
    settle(*registry.get_or_create("say \"hi\""), Outcome::success, 20ms);

    auto breakers = std::make_shared<RegistryCollectable>(registry);
    exposed.exposer.RegisterCollectable(breakers);
    const auto text = exposed.scrape();
    CHECK(lines_of(text, "app_orders_total 2").size() == 1);
    CHECK(lines_of(text, "# TYPE " + prefix).size() == 15);
    CHECK(value(text, R"(state{name="say \"hi\""})") == "0");
    CHECK(value(text, R"(call_duration_seconds_bucket{name="say \"hi\"",le="0.01"})") == "0");
    CHECK(value(text, R"(call_duration_seconds_bucket{name="say \"hi\"",le="0.025"})") == "1");

    // It is collected anew for each scrape.
    registry.get_or_create("say \"hi\"")->trip();
    registry.get_or_create("younger");
    CHECK(value(exposed.scrape(), R"(state{name="say \"hi\""})") == "1");
    CHECK(value(exposed.scrape(), R"(state{name="younger"})") == "0");

    // The exposer does not own it.
    breakers.reset();
    CHECK(lines_of(exposed.scrape(), "# TYPE " + prefix).empty());
    CHECK(lines_of(exposed.scrape(), "app_orders_total 2").size() == 1);
}

TEST_CASE("R43: the options hold for the collectable as for the text") {
    Registry registry;
    for (const auto* name : {"a", "b", "c"}) settle(*registry.get_or_create(name), Outcome::success, 1ms);
    const RegistryCollectable collectable{registry, {.prefix = "my_", .max_names = 1}};
    const auto families = collectable.Collect();
    REQUIRE(families.size() == 15);
    CHECK(families[0].name == "my_state");
    CHECK(families[0].metric.size() == 1);
    CHECK(families[2].name == "my_successful_calls_total");
    REQUIRE(families[2].metric.size() == 2);
    CHECK(families[2].metric[1].label == std::vector<prometheus::ClientMetric::Label>{{"name", "other"}});
    CHECK(families[2].metric[1].counter.value == 2);
    CHECK(prometheus_text(families) == prometheus_text(registry, {.prefix = "my_", .max_names = 1}));
}

TEST_CASE("R43: a scrape allocates once for each series of a breaker, and once for its buckets") {
    const auto allocations_for = [](int breakers) {
        Registry registry;
        for (int i = 0; i < breakers; ++i) registry.get_or_create("b" + std::to_string(i));  // no name needs memory
        const RegistryCollectable collectable{registry};
        const auto before = allocations();
        const auto families = collectable.Collect();
        return allocations() - before;
    };
    // calls_total has two series, state_transitions_total four, each of the 13 others one.
    constexpr std::size_t series = 2 + 4 + 13;
    if (allocations_are_counted()) CHECK(allocations_for(400) - allocations_for(300) == 100 * (series + 1));
}

TEST_CASE("a service adds its own families to the scrape") {
    prometheus::Registry own;
    prometheus::BuildCounter()
        .Name("app_deliveries_total")
        .Help("Deliveries.")
        .Register(own)
        .Add({{"destination", "ops"}, {"result", "o\"k"}})
        .Increment(3);
    prometheus::BuildGauge().Name("app_queue").Help("Waiting.").Register(own).Add({}).Set(7);
    Registry registry;
    registry.get_or_create("x");
    auto families = RegistryCollectable{registry}.Collect();
    std::ranges::move(own.Collect(), std::back_inserter(families));
    const auto text = prometheus_text(families);
    CHECK(value(text, R"(state{name="x"})") == "0");
    CHECK(lines_of(text, "# TYPE app_deliveries_total counter").size() == 1);
    CHECK(lines_of(text, R"(app_deliveries_total{destination="ops",result="o\"k"} 3)").size() == 1);
    CHECK(lines_of(text, "# HELP app_queue Waiting.").size() == 1);
    CHECK(lines_of(text, "app_queue 7").size() == 1);
}

namespace {

prometheus::MetricFamily gauge(std::string name, std::vector<prometheus::ClientMetric::Label> labels, double value) {
    prometheus::MetricFamily family;
    family.name = std::move(name);
    family.type = prometheus::MetricType::Gauge;
    auto& metric = family.metric.emplace_back();
    metric.label = std::move(labels);
    metric.gauge.value = value;
    return family;
}

}  // namespace

TEST_CASE("a family is its help, its type and its series") {
    auto sizes = gauge("app_size_bytes", {{"name", "x"}, {"zone", "b"}}, 0);
    sizes.help = "Say \"how much\".";
    sizes.type = prometheus::MetricType::Histogram;
    sizes.metric[0].histogram.sample_count = 7;
    sizes.metric[0].histogram.sample_sum = 2.5;
    sizes.metric[0].histogram.bucket = {{2, 0.5}, {7, std::numeric_limits<double>::infinity()}};
    prometheus::MetricFamily none;
    none.name = "none_total";
    none.type = prometheus::MetricType::Counter;
    auto up = gauge("up", {}, 0.5);
    up.help = "Without labels.";
    CHECK(prometheus_text({sizes, none, up}) == R"(# HELP app_size_bytes Say "how much".
# TYPE app_size_bytes histogram
app_size_bytes_count{name="x",zone="b"} 7
app_size_bytes_sum{name="x",zone="b"} 2.5
app_size_bytes_bucket{name="x",zone="b",le="0.5"} 2
app_size_bytes_bucket{name="x",zone="b",le="+Inf"} 7
# TYPE none_total counter
# HELP up Without labels.
# TYPE up gauge
up 0.5
)");
    CHECK(prometheus_text(std::vector<prometheus::MetricFamily>{}) == "");
}

TEST_CASE("a label's value escapes quotes, backslashes and ends of lines") {
    const auto text = prometheus_text({gauge("up", {{"name", "a\\b\"c\nd"}, {"zone", ""}}, 1)});
    CHECK(text ==
          "# TYPE up gauge\n"
          R"(up{name="a\\b\"c\nd",zone=""} 1)"
          "\n");
}

TEST_CASE("a text that is longer than was expected is whole") {
    // Each of these bytes is written as two.
    const std::string quotes(10'000, '"');
    std::string escaped;
    for (std::size_t i = 0; i < quotes.size(); ++i) escaped += "\\\"";
    CHECK(prometheus_text({gauge("up", {{"name", quotes}}, 1)}) == "# TYPE up gauge\nup{name=\"" + escaped + "\"} 1\n");
}

TEST_CASE("bytes that are not UTF-8 are spelled out") {
    Registry registry;
    registry.get_or_create("gr\xc3\xbc\xc3\x9f");
    registry.get_or_create(
        "\xff"
        "a\xc3\xbc\xc3");
    const auto families = RegistryCollectable{registry}.Collect();
    REQUIRE(families[0].metric.size() == 2);
    CHECK(families[0].metric[0].label[0].value == "\\xffa\xc3\xbc\\xc3");
    CHECK(families[0].metric[1].label[0].value == "gr\xc3\xbc\xc3\x9f");
}

TEST_CASE("a count is written with all its digits") {
    const auto written = [](double value) {
        const auto text = prometheus_text({gauge("x", {}, value)});
        return text.substr(text.rfind(' ') + 1);
    };
    CHECK(written(0) == "0\n");
    CHECK(written(123456789012) == "123456789012\n");
    CHECK(written(9007199254740992) == "9007199254740992\n");  // beyond it Prometheus itself cannot count by one
}

}  // namespace fusebox::test
