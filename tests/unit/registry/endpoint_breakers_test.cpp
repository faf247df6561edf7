#include <barrier>
#include <stdexcept>

#include <fusebox/core/manual_clock.hpp>
#include <fusebox/registry/endpoint_breakers.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

struct Rig {
    ManualClock clock;
    Registry registry{{.clock = &clock}};
    EndpointBreakers breakers;

    explicit Rig(std::size_t cap = 2)
        : breakers(registry, {.prefix = "api",
                              .config = {.consecutive_failure_threshold = 1, .open_timeout = 30s},
                              .criticality = Criticality::optional,
                              .cap = cap,
                              .idle_timeout = 10min}) {}
};

}  // namespace

TEST_CASE("R63: each endpoint has its breaker, made by one configuration when it is first used") {
    Rig rig;
    CHECK(rig.registry.list_names().empty());
    const auto a = rig.breakers.get("a");
    CHECK(a->name() == "api/a");
    CHECK(a->config().open_timeout == 30s);
    CHECK(rig.registry.get("api/a") == a);
    CHECK(rig.registry.criticality("api/a") == Criticality::optional);
    CHECK(rig.breakers.get("a") == a);
    CHECK(rig.breakers.get("") != a);
    CHECK(rig.breakers.size() == 2);
    CHECK(rig.registry.list_names() == std::vector<std::string>{"api/", "api/a"});
}

TEST_CASE("R63: at the cap the idle make room") {
    Rig rig;
    rig.breakers.get("a");
    rig.clock.advance(1min);
    rig.breakers.get("b");
    rig.clock.advance(9min);  // a: unused for 10 min, b for 9
    CHECK(rig.breakers.get("c")->name() == "api/c");
    CHECK(rig.registry.list_names() == std::vector<std::string>{"api/b", "api/c"});
    CHECK(rig.breakers.size() == 2);
    // Used again it starts afresh.
    rig.clock.advance(10min);
    CHECK(rig.breakers.get("a")->name() == "api/a");
}

TEST_CASE("R63: below the cap nothing is evicted unasked") {
    Rig rig{3};
    const auto before = rig.breakers.get("a").get();
    rig.clock.advance(24h);
    rig.breakers.get("b");
    CHECK(rig.breakers.get("a").get() == before);
}

TEST_CASE("R63: where none can go, what has no breaker shares one") {
    Rig rig;
    const auto a = rig.breakers.get("a");
    const auto b = rig.breakers.get("b");
    const auto other = rig.breakers.get("c");
    CHECK(other->name() == "api/other");
    CHECK(rig.breakers.get("d") == other);
    CHECK(other->config().open_timeout == 30s);
    CHECK(rig.breakers.get("a") == a);
    CHECK(rig.breakers.size() == 2);
    CHECK(rig.registry.list_names().size() == 3);
}

TEST_CASE("R63: one that is not closed is never evicted") {
    Rig rig{4};
    rig.breakers.get("open")->trip();
    rig.breakers.get("disabled")->disable();
    rig.breakers.get("half-open")->trip();
    rig.clock.advance(30s);
    rig.breakers.get("half-open")->try_acquire()->success();
    REQUIRE(rig.breakers.get("half-open")->state() == State::half_open);
    rig.breakers.get("closed");
    rig.clock.advance(24h);
    CHECK(rig.breakers.evict_idle() == 1);
    CHECK(rig.registry.list_names() == std::vector<std::string>{"api/disabled", "api/half-open", "api/open"});
    CHECK(rig.breakers.size() == 3);
}

TEST_CASE("R63: one that somebody holds is never evicted") {
    Rig rig;
    auto held = rig.breakers.get("held");
    auto call = held->try_acquire();
    rig.clock.advance(24h);
    CHECK(rig.breakers.evict_idle() == 0);
    CHECK(rig.breakers.get("held") == held);
    call->success();
    rig.clock.advance(10min);
    held.reset();
    CHECK(rig.breakers.evict_idle() == 1);
    CHECK(rig.registry.list_names().empty());
}

TEST_CASE("R63: idle is counted from the last use, at the time that is given") {
    Rig rig;
    rig.breakers.get("a");
    rig.clock.advance(6min);
    rig.breakers.get("a");
    rig.clock.advance(6min);
    CHECK(rig.breakers.evict_idle() == 0);
    CHECK(rig.breakers.evict_idle(rig.clock.now() + 4min - 1ns) == 0);
    CHECK(rig.breakers.evict_idle(rig.clock.now() + 4min) == 1);
}

TEST_CASE("R63: a full table is not searched at every call") {
    Rig rig;
    auto a = rig.breakers.get("a");
    rig.breakers.get("b");
    CHECK(rig.breakers.get("c")->name() == "api/other");  // searched: none is idle
    rig.clock.advance(10min);
    a.reset();
    CHECK(rig.breakers.get("c")->name() == "api/c");  // a and b went
    CHECK(rig.breakers.get("d")->name() == "api/d");
    rig.clock.advance(10min - 1ns);
    CHECK(rig.breakers.get("e")->name() == "api/other");  // searched a moment too early
    rig.clock.advance(1ns);
    CHECK(rig.breakers.get("e")->name() == "api/other");  // not searched again so soon
    rig.clock.advance(Duration{10min} / 16);
    CHECK(rig.breakers.get("e")->name() == "api/e");
}

TEST_CASE("R63: the shared breaker is never evicted, not even as the endpoint of its name") {
    Rig rig;
    const auto one = rig.breakers.get("one");
    auto other = rig.breakers.get("other");
    CHECK(rig.breakers.get("two") == other);
    const auto* before = other.get();
    other.reset();
    rig.clock.advance(24h);
    CHECK(rig.breakers.evict_idle() == 0);
    CHECK(rig.breakers.get("other").get() == before);
}

TEST_CASE("R63: an endpoint too long for a name shares the breaker of those without") {
    Rig rig;
    CHECK(rig.breakers.get(std::string(124, 'x'))->name().size() == 128);
    CHECK(rig.breakers.get(std::string(125, 'x'))->name() == "api/other");
    CHECK(rig.breakers.size() == 1);
}

TEST_CASE("R63: what the registry has under the prefix is taken over") {
    Rig rig;
    const auto* open = rig.breakers.get("open").get();
    rig.breakers.get("open")->trip();
    rig.breakers.get("idle");
    rig.breakers.get("more");
    EndpointBreakers again{rig.registry, {.prefix = "api", .cap = 2, .idle_timeout = 10min}};
    CHECK(again.size() == 2);
    CHECK(again.get("open").get() == open);
    CHECK(EndpointBreakers{rig.registry, {.prefix = "ap"}}.size() == 0);
}

TEST_CASE("R63: each option out of range is named") {
    Registry registry;
    const auto text = [&](const EndpointBreakersOptions& options) -> std::string {
        try {
            const EndpointBreakers breakers{registry, options};
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return "accepted";
    };
    CHECK(text({.prefix = "", .cap = 0, .idle_timeout = 0s}) ==
          "endpoint breakers: prefix has 0 bytes, must have 1 to 64; cap is 0, must be from 1 to 1000000; "
          "idle_timeout is 0s, must be greater than 0");
    CHECK(text({.prefix = std::string(65, 'p'), .cap = 1'000'001}).find("1000001") != std::string::npos);
    CHECK(text({.prefix = std::string(64, 'p'), .cap = 1'000'000, .idle_timeout = 1ns}) == "accepted");
    CHECK_THROWS_AS((EndpointBreakers{registry, {.prefix = "x", .config = {.success_threshold = 0}}}), InvalidConfig);
}

TEST_CASE("R65: an evicted breaker stays usable, and its going is an event heard with no lock held") {
    Rig rig;
    std::vector<std::string> removed;
    const auto subscription = rig.registry.subscribe([&](const RegistryEvent& event) {
        if (const auto* gone = std::get_if<BreakerRemovedEvent>(&event)) {
            removed.push_back(gone->name);
            rig.breakers.get("from the listener");
        }
    });
    const std::weak_ptr<CircuitBreaker> a = rig.breakers.get("a");
    rig.clock.advance(10min);
    CHECK(rig.breakers.evict_idle() == 1);
    CHECK(removed == std::vector<std::string>{"api/a"});
    CHECK(a.expired());
    CHECK(rig.breakers.size() == 1);
}

TEST_CASE("R65: a breaker that was removed from the registry is made anew when it is used again") {
    Rig rig{1};
    const auto a = rig.breakers.get("a");
    const auto other = rig.breakers.get("b");
    CHECK(rig.registry.remove("api/a"));
    CHECK(rig.breakers.size() == 0);
    const auto new_a = rig.breakers.get("a");
    CHECK(new_a != a);
    CHECK(rig.registry.get("api/a") == new_a);
    rig.registry.clear();
    CHECK(rig.breakers.size() == 0);
    const auto newer_a = rig.breakers.get("a");
    CHECK(newer_a != new_a);
    CHECK(rig.registry.get("api/a") == newer_a);
    const auto new_other = rig.breakers.get("b");
    CHECK(new_other != other);
    CHECK(rig.registry.get("api/other") == new_other);
}

TEST_CASE("R63: they outlive their registry") {
    auto registry = std::make_unique<Registry>();
    EndpointBreakers breakers{*registry, {.prefix = "api"}};
    const auto a = breakers.get("a");
    registry.reset();
    CHECK(breakers.get("a") == a);
    CHECK(breakers.get("b") != a);
}

TEST_CASE("R63: many threads never see more breakers than the cap, nor two of one endpoint") {
    constexpr std::size_t cap = 8;
    Rig rig{cap};
    std::atomic<bool> wrong{false};
    std::barrier start{5};
    {
        std::vector<std::jthread> workers;
        for (int worker = 0; worker < 3; ++worker) {
            workers.emplace_back([&, worker] {
                start.arrive_and_wait();
                for (int i = 0; i < 2000; ++i) {
                    const auto endpoint = "e" + std::to_string((i * (worker + 1)) % 20);
                    const auto breaker = rig.breakers.get(endpoint);
                    if (breaker->name() != "api/" + endpoint && breaker->name() != "api/other") wrong = true;
                    // While it is held nobody takes it away.
                    if (rig.registry.get(breaker->name()) != breaker) wrong = true;
                    if (rig.breakers.size() > cap) wrong = true;
                }
            });
        }
        workers.emplace_back([&] {
            start.arrive_and_wait();
            for (int i = 0; i < 500; ++i) {
                rig.clock.advance(1min);
                rig.breakers.evict_idle();
            }
        });
        workers.emplace_back([&] {
            start.arrive_and_wait();
            for (int i = 0; i < 200; ++i) (void)rig.registry.health_check();
        });
    }
    CHECK_FALSE(wrong);
    // Two of the names were never both there: the registry has what the table has, and perhaps the shared one.
    const auto names = rig.registry.list_names();
    CHECK(names.size() - (rig.registry.get("api/other") ? 1 : 0) == rig.breakers.size());
}

TEST_CASE("R65: an eviction is an event also when the endpoint that it made room for gets no breaker") {
    ManualClock clock;
    Registry registry{{.clock = &clock}};
    CircuitBreakerConfig config{.open_timeout = 30s};
    config.backoff = {.kind = Backoff::Kind::exponential, .max_open_timeout = 1min};
    EndpointBreakers breakers{registry, {.prefix = "api", .config = config, .cap = 1, .idle_timeout = 10min}};
    // Good alone, but not with the longest open time above.
    const auto set = BreakerSet::from_toml("[breakers.'api/b']\nopen_timeout = '5m'");
    REQUIRE(set);
    registry.load(*set);
    std::vector<std::string> removed;
    const auto subscription = registry.subscribe([&](const RegistryEvent& event) {
        if (const auto* gone = std::get_if<BreakerRemovedEvent>(&event)) removed.push_back(gone->name);
    });
    breakers.get("a");
    clock.advance(10min);
    CHECK_THROWS_AS(breakers.get("b"), InvalidConfig);
    CHECK(removed == std::vector<std::string>{"api/a"});
    CHECK(breakers.size() == 0);
}

}  // namespace fusebox::test
