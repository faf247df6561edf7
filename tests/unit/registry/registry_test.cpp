#include <barrier>
#include <map>
#include <random>
#include <stdexcept>

#include <fusebox/core/manual_clock.hpp>
#include <fusebox/core/presets.hpp>
#include <fusebox/registry/registry.hpp>

#include "support/allocations/allocations.hpp"
#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

BreakerSet set_of(std::string_view text) {
    auto set = BreakerSet::from_toml(text);
    REQUIRE(set);
    return *std::move(set);
}

/// What a registry tells, sorted by kind.
struct Heard {
    std::vector<std::string> created;
    std::vector<std::string> removed;
    std::vector<ConfigConflictEvent> conflicts;

    RegistryListener listener() {
        return [this](const RegistryEvent& event) {
            if (const auto* made = std::get_if<BreakerCreatedEvent>(&event)) created.push_back(made->breaker->name());
            if (const auto* gone = std::get_if<BreakerRemovedEvent>(&event)) removed.push_back(gone->name);
            if (const auto* conflict = std::get_if<ConfigConflictEvent>(&event)) conflicts.push_back(*conflict);
        };
    }
};

const BreakerHealth& health_of(const RegistryHealth& health, std::string_view name) {
    const auto found = std::ranges::find(health.breakers, name, &BreakerHealth::name);
    REQUIRE(found != health.breakers.end());
    return *found;
}

}  // namespace

TEST_CASE("R60: there is one global registry, and any number of others") {
    CHECK(&registry() == &registry());
    Registry local;
    const auto mine = local.get_or_create("R60");
    const auto global = registry().get_or_create("R60");
    CHECK(mine != global);
    CHECK(registry().get("R60") == global);
    CHECK(registry().remove("R60"));
    CHECK(local.get("R60") == mine);
}

TEST_CASE("R60: a registry gives its clock to the breakers it makes") {
    ManualClock clock;
    Registry registry{{.clock = &clock}};
    const auto breaker = registry.get_or_create("x", CircuitBreakerConfig{.open_timeout = 30s});
    CHECK(&breaker->clock() == &clock);
    breaker->trip();
    CHECK_FALSE(breaker->try_acquire());
    clock.advance(30s);
    CHECK(breaker->try_acquire());
    CHECK(&Registry{}.get_or_create("x")->clock() == &steady_clock());
}

TEST_CASE("R61: a name has one breaker") {
    Registry registry;
    CHECK(registry.get("x") == nullptr);
    const auto breaker = registry.get_or_create("x");
    CHECK(breaker->name() == "x");
    CHECK(registry.get_or_create("x") == breaker);
    CHECK(registry.get_or_create("x", CircuitBreakerConfig{}) == breaker);
    CHECK(registry.get("x") == breaker);
    CHECK(registry.get_or_create("y") != breaker);
}

TEST_CASE("R61: eight threads that ask at once get the same breaker, made once") {
    constexpr int threads = 8;
    constexpr int names = 200;
    Registry registry;
    std::atomic<int> created{0};
    std::atomic<int> conflicts{0};
    const auto subscription = registry.subscribe([&](const RegistryEvent& event) {
        if (std::holds_alternative<BreakerCreatedEvent>(event)) ++created;
        if (std::holds_alternative<ConfigConflictEvent>(event)) ++conflicts;
    });
    std::vector<std::vector<CircuitBreaker*>> seen(threads);
    std::barrier start{threads};
    {
        std::vector<std::jthread> workers;
        for (int worker = 0; worker < threads; ++worker) {
            workers.emplace_back([&, worker] {
                for (int i = 0; i < names; ++i) {
                    start.arrive_and_wait();  // every name is a new race
                    const auto name = "breaker-" + std::to_string(i);
                    const CircuitBreakerConfig config{.success_threshold = worker % 2 == 0 ? 2U : 3U};
                    seen[worker].push_back(registry.get_or_create(name, config).get());
                }
            });
        }
    }
    for (int worker = 1; worker < threads; ++worker) CHECK(seen[worker] == seen[0]);
    CHECK(created == names);
    // Of the two configurations one won; the four threads with the other one each raised a conflict.
    CHECK(conflicts == names * threads / 2);
    CHECK(registry.list_names().size() == names);
}

TEST_CASE("R61: asking, loading, removing and reading from many threads at once") {
    Registry registry;
    const auto sets = std::array{BreakerSet{}, set_of("[breakers.a]\nopen_timeout = '7s'"),
                                 set_of("[breakers.defaults]\nsuccess_threshold = 1")};
    std::atomic<std::uint64_t> heard{0};
    std::barrier start{6};
    const auto work = [&](auto step) {
        return [&, step] {
            start.arrive_and_wait();
            for (int i = 0; i < 300; ++i) step(i);
        };
    };
    {
        std::vector<std::jthread> workers;
        workers.emplace_back(work([&](int) { registry.get_or_create("a", CircuitBreakerConfig{}); }));
        workers.emplace_back(work([&](int i) { registry.get_or_create("b" + std::to_string(i % 7))->trip(); }));
        workers.emplace_back(work([&](int i) { registry.load(sets[static_cast<std::size_t>(i) % 3]); }));
        workers.emplace_back(work([&](int i) { registry.load(sets[static_cast<std::size_t>(i + 1) % 3]); }));
        workers.emplace_back(work([&](int i) {
            registry.remove("b" + std::to_string(i % 7));
            if (i % 50 == 0) registry.clear();
        }));
        workers.emplace_back(work([&](int) {
            const auto one = registry.subscribe([&](const RegistryEvent&) { ++heard; });
            const auto two = registry.subscribe_breakers([&](const CircuitBreaker&, const BreakerEvent&) { ++heard; });
            const auto health = registry.health_check();
            CHECK(health.total == health.breakers.size());
            CHECK(health.closed + health.open + health.half_open == health.total);
        }));
    }
    // However the loads raced, each breaker has what the set in force comes to.
    registry.get_or_create("a", CircuitBreakerConfig{});
    registry.get_or_create("z");
    for (const auto& set : sets) {
        registry.load(set);
        CHECK(registry.get("a")->config() == set.resolve("a", CircuitBreakerConfig{}));
        CHECK(registry.get("z")->config() == set.resolve("z"));
    }
}

TEST_CASE("R62: two threads that load at once leave every breaker with one of the two sets") {
    Registry registry;
    const auto left = set_of("[breakers.defaults]\nopen_timeout = '7s'");
    const auto right = set_of("[breakers.defaults]\nopen_timeout = '9s'");
    for (int i = 0; i < 20; ++i) registry.get_or_create("breaker-" + std::to_string(i));
    std::barrier start{2};
    for (int round = 0; round < 50; ++round) {
        {
            std::jthread one{[&] {
                start.arrive_and_wait();
                registry.load(left);
            }};
            std::jthread two{[&] {
                start.arrive_and_wait();
                registry.load(right);
            }};
        }
        const auto wanted = registry.get_or_create("new-" + std::to_string(round))->config();
        for (const auto& breaker : registry.all()) REQUIRE(breaker->config() == wanted);
    }
}

TEST_CASE("R61: asking with another configuration gives the existing breaker and raises config_conflict") {
    Registry registry;
    Heard heard;
    const auto subscription = registry.subscribe(heard.listener());
    const auto breaker = registry.get_or_create("x", CircuitBreakerConfig{});
    CHECK(heard.created == std::vector<std::string>{"x"});

    CHECK(registry.get_or_create("x", CircuitBreakerConfig{}) == breaker);
    CHECK(registry.get_or_create("x") == breaker);
    CHECK(heard.conflicts.empty());

    CircuitBreakerConfig other;
    other.open_timeout = 5s;
    other.window = CountWindow{50};
    CHECK(registry.get_or_create("x", other) == breaker);
    REQUIRE(heard.conflicts.size() == 1);
    CHECK(heard.conflicts[0].name == "x");
    CHECK(heard.conflicts[0].detail ==
          "window: has 1m in 10 slices, asked for the last 50 calls; open_timeout: has 30s, asked for 5s");
    CHECK(breaker->config() == CircuitBreakerConfig{});

    registry.get_or_create("x", other);
    CHECK(heard.conflicts.size() == 2);
}

TEST_CASE("R61: every field takes part in a conflict") {
    CircuitBreakerConfig base;
    base.window = CountWindow{100};
    base.operation_timeout = std::nullopt;
    std::vector<CircuitBreakerConfig> others(21, base);
    others[0].enabled = false;
    others[1].consecutive_failure_threshold = 0;
    others[2].failure_rate_threshold = 0;
    others[3].slow_call_duration_threshold = 1s;
    others[4].slow_call_rate_threshold = 0.5;
    others[5].minimum_requests = 1;
    others[6].window = TimeWindow{60s, 6};
    others[7].open_timeout = 1s;
    others[8].backoff.kind = Backoff::Kind::linear;
    others[9].backoff.increment = 1s;
    others[10].backoff.multiplier = 3;
    others[11].backoff.max_open_timeout = 1h;
    others[12].backoff.jitter = 0.1;
    others[13].half_open_max_concurrent = 1;
    others[14].success_threshold = 1;
    others[15].half_open_rate = HalfOpenRate{};
    others[16].probe_lease = 1h;
    others[17].operation_timeout = 1s;
    others[18].count_timeout_as_failure = false;
    others[19].hung_call_threshold = 1s;
    others[20].measure_duration = false;
    Registry registry;
    Heard heard;
    const auto subscription = registry.subscribe(heard.listener());
    registry.get_or_create("x", base);
    const auto fields = config_fields(base);
    REQUIRE(fields.size() == others.size());
    for (std::size_t i = 0; i < others.size(); ++i) {
        registry.get_or_create("x", others[i]);
        REQUIRE(heard.conflicts.size() == i + 1);
        CHECK(heard.conflicts[i].detail.starts_with(std::string{fields[i].first} + ": has "));
        CHECK(heard.conflicts[i].detail.find("; ") == std::string::npos);
    }
}

TEST_CASE("R61: what the loaded set decides is no conflict") {
    Registry registry;
    Heard heard;
    const auto subscription = registry.subscribe(heard.listener());
    registry.load(set_of("[breakers.x]\nopen_timeout = '5s'"));
    registry.get_or_create("x", CircuitBreakerConfig{});
    registry.get_or_create("x", CircuitBreakerConfig{.open_timeout = 9s});
    CHECK(heard.conflicts.empty());
    registry.get_or_create("x", CircuitBreakerConfig{.success_threshold = 9});
    CHECK(heard.conflicts.size() == 1);
}

TEST_CASE("R61: a change at run time puts no caller in the wrong") {
    Registry registry;
    Heard heard;
    const auto subscription = registry.subscribe(heard.listener());
    const CircuitBreakerConfig asked;
    const CircuitBreakerConfig changed{.open_timeout = 3s};
    registry.get_or_create("x", asked)->reconfigure(changed, "operator");
    registry.get_or_create("x", asked);
    registry.get_or_create("x", changed);
    CHECK(heard.conflicts.empty());
    registry.get_or_create("x", CircuitBreakerConfig{.open_timeout = 4s});
    REQUIRE(heard.conflicts.size() == 1);
    CHECK(heard.conflicts[0].detail == "open_timeout: has 3s, asked for 4s");
}

TEST_CASE("R61: a configuration or a name that no breaker takes leaves nothing behind") {
    Registry registry;
    Heard heard;
    const auto subscription = registry.subscribe(heard.listener());
    CHECK_THROWS_AS(registry.get_or_create("x", CircuitBreakerConfig{.minimum_requests = 0}), InvalidConfig);
    CHECK_THROWS_AS(registry.get_or_create(""), std::invalid_argument);
    CHECK_THROWS_AS(registry.get_or_create(std::string(129, 'x')), std::invalid_argument);
    CHECK(registry.list_names().empty());
    CHECK(heard.created.empty());
    CHECK(registry.get_or_create("x"));
}

TEST_CASE("R62: a breaker is made as the loaded set says") {
    Registry registry;
    registry.load(set_of(R"(
        [breakers.defaults]
        success_threshold = 7
        [breakers.store]
        preset = "database"
        open_timeout = "5s"
        criticality = "critical"
    )"));
    const auto store = registry.get_or_create("store");
    CHECK(store->config().open_timeout == 5s);
    CHECK(store->config().consecutive_failure_threshold == 10);
    CHECK(registry.criticality("store") == Criticality::critical);
    CHECK(registry.get_or_create("other")->config() == CircuitBreakerConfig{.success_threshold = 7});
    CHECK(registry.criticality("other") == Criticality::degraded);
}

TEST_CASE("R62: a load reconfigures in place those breakers whose configuration changed") {
    Registry registry;
    registry.load(set_of("[breakers.a]\nopen_timeout = '5s'\n[breakers.b]\nopen_timeout = '6s'"));
    const auto a = registry.get_or_create("a", CircuitBreakerConfig{.success_threshold = 4});
    const auto b = registry.get_or_create("b");
    const auto c = registry.get_or_create("c");
    std::vector<std::string> changes;
    const auto subscription = registry.subscribe_breakers([&](const CircuitBreaker& from, const BreakerEvent& event) {
        if (const auto* change = std::get_if<ConfigChangedEvent>(&event))
            changes.push_back(from.name() + " by " + change->actor);
    });
    a->trip();

    registry.load(set_of("[breakers.a]\nopen_timeout = '15s'\n[breakers.b]\nopen_timeout = '6s'"), "SIGHUP");
    CHECK(changes == std::vector<std::string>{"a by SIGHUP"});
    CHECK(registry.get("a") == a);
    CHECK(a->config() == CircuitBreakerConfig{.open_timeout = 15s, .success_threshold = 4});
    CHECK(a->state() == State::open);
    CHECK(b->metrics().config_version == 1);

    // An entry that is gone gives the breaker back what its caller asked for.
    registry.load(BreakerSet{});
    CHECK(a->config() == CircuitBreakerConfig{.success_threshold = 4});
    CHECK(b->config() == CircuitBreakerConfig{});
    CHECK(c->metrics().config_version == 1);
}

TEST_CASE("R62: a load leaves alone what an operator changed and the set did not") {
    Registry registry;
    registry.load(set_of("[breakers.a]\nopen_timeout = '5s'"));
    const auto a = registry.get_or_create("a");
    a->reconfigure(CircuitBreakerConfig{.open_timeout = 9s}, "operator");
    registry.load(set_of("[breakers.a]\nopen_timeout = '5s'\n[breakers.b]\nopen_timeout = '6s'"));
    CHECK(a->config().open_timeout == 9s);
}

TEST_CASE("R62: a load changes criticality, and falls back to what the caller said") {
    Registry registry;
    registry.get_or_create("a", CircuitBreakerConfig{}, Criticality::optional);
    CHECK(registry.criticality("a") == Criticality::optional);
    registry.load(set_of("[breakers.a]\ncriticality = 'critical'"));
    CHECK(registry.criticality("a") == Criticality::critical);
    registry.load(BreakerSet{});
    CHECK(registry.criticality("a") == Criticality::optional);
    CHECK(registry.criticality("unknown") == Criticality::degraded);
}

TEST_CASE("R62: a set that suits a breaker's caller badly is refused whole") {
    Registry registry;
    // Good alone, but this caller caps its open time below what the set asks for.
    CircuitBreakerConfig base;
    base.backoff = {.kind = Backoff::Kind::exponential, .max_open_timeout = 1min};
    const auto a = registry.get_or_create("a", base);
    const auto b = registry.get_or_create("b");
    const auto set = set_of("[breakers.a]\nopen_timeout = '5m'\n[breakers.b]\nopen_timeout = '5m'");
    try {
        registry.load(set);
        FAIL("loaded");
    } catch (const InvalidConfig& error) {
        REQUIRE(error.errors().size() == 1);
        CHECK(error.errors()[0].field.starts_with("a."));
    }
    CHECK(a->config() == base);
    CHECK(b->config() == CircuitBreakerConfig{});
    CHECK(registry.get_or_create("c")->config() == CircuitBreakerConfig{});
    CHECK(registry.get_or_create("b")->metrics().config_version == 1);
}

TEST_CASE("R64: health counts the states and says why") {
    ManualClock clock;
    Registry registry{{.clock = &clock}};
    CHECK(registry.health_check().healthy);
    CHECK(registry.health_check().total == 0);

    registry.get_or_create("closed");
    registry.get_or_create("disabled")->disable("ops", "maintenance");
    registry.get_or_create("watching")->metrics_only();
    const auto probing = registry.get_or_create("probing", CircuitBreakerConfig{.open_timeout = 10s});
    probing->trip();
    clock.advance(10s);
    auto probe = probing->try_acquire();
    REQUIRE(probe);
    auto health = registry.health_check();
    CHECK(health.healthy);

    const auto failing = registry.get_or_create("failing", CircuitBreakerConfig{.consecutive_failure_threshold = 2},
                                                Criticality::critical);
    for (int i = 0; i < 2; ++i) failing->try_acquire()->failure();
    registry.get_or_create("forced")->force_open("ops", "vendor is down");
    clock.advance(1s);

    health = registry.health_check();
    CHECK_FALSE(health.healthy);
    CHECK(health.total == 6);
    CHECK(health.closed == 3);
    CHECK(health.open == 2);
    CHECK(health.half_open == 1);
    std::vector<std::string> names;
    for (const auto& breaker : health.breakers) names.push_back(breaker.name);
    CHECK(names == std::vector<std::string>{"closed", "disabled", "failing", "forced", "probing", "watching"});

    CHECK(health_of(health, "closed").why.empty());
    CHECK(health_of(health, "closed").state == State::closed);
    CHECK(health_of(health, "failing").state == State::open);
    CHECK(health_of(health, "failing").criticality == Criticality::critical);
    CHECK(health_of(health, "failing").retry_after == 29s);
    CHECK(health_of(health, "failing").why == describe(*failing->last_trip()));
    CHECK(health_of(health, "forced").why.find("vendor is down") != std::string::npos);
    CHECK(health_of(health, "probing").state == State::half_open);
    CHECK_FALSE(health_of(health, "probing").why.empty());
    CHECK(health_of(health, "disabled").why.find("maintenance") != std::string::npos);
}

TEST_CASE("R64: a breaker that starts disabled says so") {
    Registry registry;
    registry.get_or_create("x", CircuitBreakerConfig{.enabled = false});
    const auto health = registry.health_check();
    CHECK(health.closed == 1);
    CHECK_FALSE(health_of(health, "x").why.empty());
}

TEST_CASE("R64: names, statistics and counts of all breakers") {
    Registry registry;
    CHECK_FALSE(registry.has_open_circuits());
    registry.get_or_create("b")->try_acquire()->success();
    registry.get_or_create("a")->trip();
    registry.get_or_create("c");
    CHECK(registry.list_names() == std::vector<std::string>{"a", "b", "c"});
    std::vector<std::string> by_name;
    for (const auto& breaker : registry.all()) by_name.push_back(breaker->name());
    CHECK(by_name == registry.list_names());
    std::vector<std::string> by_age;
    for (const auto& breaker : registry.all_by_age()) by_age.push_back(breaker->name());
    CHECK(by_age == std::vector<std::string>{"b", "a", "c"});

    const auto stats = registry.get_all_stats();
    CHECK(stats.size() == 3);
    CHECK(stats.at("b").totals.successes == 1);
    CHECK(stats.at("a").state == State::open);
    const auto counts = registry.get_state_counts();
    CHECK(counts == std::map<State, std::size_t>{{State::closed, 2},
                                                 {State::open, 1},
                                                 {State::half_open, 0},
                                                 {State::forced_open, 0},
                                                 {State::disabled, 0},
                                                 {State::metrics_only, 0}});
    CHECK(registry.has_open_circuits());
    registry.reset_all("ops", "all clear");
    CHECK_FALSE(registry.has_open_circuits());
    CHECK(registry.get("a")->reports().front().actor == "ops");
    registry.get("b")->force_open();
    CHECK(registry.has_open_circuits());
}

TEST_CASE("R65: a removed breaker stays usable by those who hold it") {
    Registry registry;
    Heard heard;
    const auto subscription = registry.subscribe(heard.listener());
    int events = 0;
    const auto tap = registry.subscribe_breakers([&](const CircuitBreaker&, const BreakerEvent&) { ++events; });
    const auto old = registry.get_or_create("x");
    old->trip();
    CHECK(events == 1);
    CHECK(registry.remove("x"));
    CHECK_FALSE(registry.remove("x"));
    CHECK(heard.removed == std::vector<std::string>{"x"});
    CHECK(registry.get("x") == nullptr);
    CHECK_FALSE(registry.has_open_circuits());

    old->reset();
    REQUIRE(old->try_acquire());
    CHECK(events == 1);  // it is no longer one of the registry's breakers

    const auto young = registry.get_or_create("x");
    CHECK(young != old);
    CHECK(young->metrics().totals.requests == 0);

    registry.get_or_create("y");
    registry.clear();
    CHECK(registry.list_names().empty());
    std::ranges::sort(heard.removed);
    CHECK(heard.removed == std::vector<std::string>{"x", "x", "y"});
}

TEST_CASE("R65: breakers and subscriptions may outlive their registry") {
    auto registry = std::make_unique<Registry>();
    int events = 0;
    auto subscription = registry->subscribe([](const RegistryEvent&) {});
    auto tap = registry->subscribe_breakers([&](const CircuitBreaker&, const BreakerEvent&) { ++events; });
    const auto breaker = registry->get_or_create("x");
    registry.reset();
    breaker->trip();
    CHECK(events == 0);
    subscription.cancel();
    tap.cancel();
    CHECK(breaker->state() == State::open);
}

TEST_CASE("R37: one subscription hears every breaker, present and future, until it ends") {
    Registry registry;
    const auto present = registry.get_or_create("present");
    std::vector<std::string> heard;
    auto subscription =
        registry.subscribe_breakers([&, count = 0](const CircuitBreaker& from, const BreakerEvent&) mutable {
            heard.push_back(from.name() + " " + std::to_string(++count));
        });
    present->trip();
    registry.get_or_create("future")->trip();
    CHECK(heard == std::vector<std::string>{"present 1", "future 2"});
    subscription.cancel();
    present->reset();
    registry.get_or_create("later")->trip();
    CHECK(heard.size() == 2);
}

TEST_CASE("R37: per-call events reach who asked for them") {
    Registry registry;
    int control = 0;
    int all = 0;
    const auto first = registry.subscribe_breakers([&](const auto&, const auto&) { ++control; });
    const auto second = registry.subscribe_breakers([&](const auto&, const auto&) { ++all; }, EventMask::all);
    registry.get_or_create("x")->try_acquire()->success();
    CHECK(control == 0);
    CHECK(all == 1);
}

TEST_CASE("R37: a listener may call the registry, also to end itself") {
    Registry registry;
    std::vector<std::string> heard;
    Subscription subscription;
    subscription = registry.subscribe([&](const RegistryEvent& event) {
        if (const auto* made = std::get_if<BreakerCreatedEvent>(&event)) {
            heard.push_back("created " + made->breaker->name());
            if (made->breaker->name() == "first") registry.get_or_create("second");
            registry.get_or_create("first", CircuitBreakerConfig{.open_timeout = 1s});
            registry.load(BreakerSet{});
            CHECK(registry.health_check().total > 0);
        }
        if (std::holds_alternative<ConfigConflictEvent>(event)) heard.emplace_back("conflict");
        if (std::holds_alternative<BreakerRemovedEvent>(event)) {
            heard.emplace_back("removed");
            subscription.cancel();
        }
    });
    registry.get_or_create("first");
    CHECK(heard == std::vector<std::string>{"created first", "created second", "conflict", "conflict"});
    registry.clear();
    CHECK(heard.back() == "removed");
    CHECK(heard.size() == 5);
    registry.get_or_create("third");
    CHECK(heard.size() == 5);

    // A breaker's listener may end it as well.
    const auto tap = registry.subscribe_breakers(
        [&](const CircuitBreaker& from, const BreakerEvent&) { registry.remove(from.name()); });
    registry.get("third")->trip();
    CHECK(registry.get("third") == nullptr);
}

TEST_CASE("R37: a listener that throws is counted and disturbs nobody") {
    Registry registry;
    int heard = 0;
    const auto first = registry.subscribe([](const RegistryEvent&) { throw std::runtime_error{"no"}; });
    const auto second = registry.subscribe([&](const RegistryEvent&) { ++heard; });
    CHECK(registry.get_or_create("x"));
    CHECK(heard == 1);
    CHECK(registry.listener_errors() == 1);
}

TEST_CASE("R61: a name is found for as long as it is there, whatever else comes and goes") {
    Registry registry;
    std::map<std::string, std::shared_ptr<CircuitBreaker>> expected;
    std::minstd_rand random{4711};
    for (int step = 0; step < 20'000; ++step) {
        // Few names and many, so that the table is nearly empty at times and grows at others.
        const auto name = "n" + std::to_string(random() % (step % 4000 < 2000 ? 40 : 400));
        const auto found = expected.find(name);
        if (registry.get(name) != (found == expected.end() ? nullptr : found->second)) FAIL(name << " at " << step);
        if (random() % 2 == 0) {
            const auto breaker = registry.get_or_create(name);
            if (found != expected.end() && breaker != found->second) FAIL(name << " was made twice, at " << step);
            expected[name] = breaker;
        } else if (registry.remove(name) != (expected.erase(name) == 1)) {
            FAIL(name << " was removed wrongly, at " << step);
        }
    }
    REQUIRE_FALSE(expected.empty());
    for (const auto& [name, breaker] : expected) CHECK(registry.get(name) == breaker);
    CHECK(registry.all().size() == expected.size());
}

TEST_CASE("R61: names of any length that differ in one byte anywhere are told apart") {
    Registry registry;
    std::map<std::string, std::shared_ptr<CircuitBreaker>> expected;
    for (std::size_t length = 1; length <= 128; length += length < 20 ? 1 : 27) {
        for (std::size_t at = 0; at < length; ++at) {
            for (const char byte : {'a', 'b', '\0', '\xff'}) {
                std::string name(length, 'a');
                name[at] = byte;
                expected.emplace(name, registry.get_or_create(name));
            }
        }
    }
    for (const auto& [name, breaker] : expected) {
        CHECK(breaker->name() == name);
        CHECK(registry.get(name) == breaker);
    }
    CHECK(registry.get("") == nullptr);
    CHECK(registry.get(std::string_view{}) == nullptr);
}

TEST_CASE("R61: looking a name up allocates nothing") {
    Registry registry;
    const std::string name(100, 'n');
    const auto breaker = registry.get_or_create(name, CircuitBreakerConfig{});
    const auto before = test::allocations();
    const bool right = registry.get(name) == breaker && registry.get("nobody") == nullptr &&
                       registry.get_or_create(name, CircuitBreakerConfig{}) == breaker;
    const auto after = test::allocations();
    CHECK(right);
    CHECK(after == before);
}

TEST_CASE("R61: readers and writers of one registry from many threads") {
    Registry registry;
    const auto kept = registry.get_or_create("kept");
    std::atomic<bool> wrong{false};
    std::barrier start{6};
    {
        std::vector<std::jthread> workers;
        for (int reader = 0; reader < 4; ++reader) {
            workers.emplace_back([&] {
                start.arrive_and_wait();
                for (int i = 0; i < 5000; ++i) {
                    if (registry.get("kept") != kept) wrong = true;
                    if (const auto other = registry.get("x" + std::to_string(i % 50)); other && !other->try_acquire()) {
                        wrong = true;
                    }
                }
            });
        }
        for (int writer = 0; writer < 2; ++writer) {
            workers.emplace_back([&] {
                start.arrive_and_wait();
                for (int i = 0; i < 1000; ++i) {
                    registry.get_or_create("x" + std::to_string(i % 50));
                    registry.remove("x" + std::to_string((i + 25) % 50));
                }
            });
        }
    }
    CHECK_FALSE(wrong);
    CHECK(registry.get("kept") == kept);
}

}  // namespace fusebox::test
