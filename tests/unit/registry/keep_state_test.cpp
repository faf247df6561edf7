#include <condition_variable>
#include <stdexcept>
#include <thread>

#include <fusebox/core/manual_clock.hpp>
#include <fusebox/registry/registry.hpp>

#include "support/catch.hpp"

namespace fusebox::test {

using namespace std::chrono_literals;

namespace {

/// Fails, throws and blocks when told to, counts, and can be waited for.
class Store final : public StateStore {
public:
    std::expected<SavedBreakers, StateStoreError> load_all() override {
        std::unique_lock lock{mutex_};
        ++loads;
        if (broken) return std::unexpected(StateStoreError{"out of order"});
        return kept;
    }
    std::expected<void, StateStoreError> save(const SavedBreakers& changed) override {
        std::unique_lock lock{mutex_};
        entered_ = true;
        changed_.notify_all();
        changed_.wait(lock, [&] { return !blocked_; });
        ++saves;
        changed_.notify_all();
        if (throws) throw std::runtime_error{"no connection"};
        if (broken) return std::unexpected(StateStoreError{"out of order"});
        for (const auto& [name, snapshot] : changed) kept[name] = snapshot;
        return {};
    }
    std::expected<void, StateStoreError> remove(std::span<const std::string> names) override {
        std::unique_lock lock{mutex_};
        if (broken) return std::unexpected(StateStoreError{"out of order"});
        for (const auto& name : names) kept.erase(name);
        changed_.notify_all();
        return {};
    }

    /// Until what is kept, and how often it was saved, are as wanted.
    template <class Wanted>
    void wait_for(Wanted wanted) {
        std::unique_lock lock{mutex_};
        REQUIRE(changed_.wait_for(lock, 30s, [&] { return wanted(); }));
    }
    void set(bool Store::* what, bool value) {
        const std::lock_guard lock{mutex_};
        this->*what = value;
        changed_.notify_all();
    }
    void block() { set(&Store::blocked_, true); }
    void release() { set(&Store::blocked_, false); }
    void wait_until_entered() {
        wait_for([&] { return entered_; });
    }

    // Guarded by the mutex while a registry uses it.
    SavedBreakers kept;
    int loads{};
    std::atomic<int> saves{};
    bool broken{};
    bool throws{};

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool blocked_{};
    bool entered_{};
};

/// What a registry says about its store.
struct Heard {
    std::vector<std::string> texts;
    std::vector<BreakerRestoredEvent> restored;
    Subscription subscription;

    explicit Heard(Registry& registry)
        : subscription(registry.subscribe([this](const RegistryEvent& event) {
              const std::lock_guard lock{mutex};
              if (const auto* load = std::get_if<StateLoadFailedEvent>(&event))
                  texts.push_back("load: " + load->message);
              if (const auto* save = std::get_if<StateSaveFailedEvent>(&event))
                  texts.push_back("save: " + save->message);
              if (std::holds_alternative<StateSaveRecoveredEvent>(event)) texts.emplace_back("recovered");
              if (const auto* back = std::get_if<BreakerRestoredEvent>(&event)) restored.push_back(*back);
              changed.notify_all();
          })) {}
    std::vector<std::string> wait_for(std::size_t count) {
        std::unique_lock lock{mutex};
        REQUIRE(changed.wait_for(lock, 30s, [&] { return texts.size() >= count; }));
        return texts;
    }

private:
    std::mutex mutex;  // guards texts
    std::condition_variable changed;
};

constexpr Registry::KeepStateOptions never{.interval = 24h};  // for what must not hang on the interval
constexpr Registry::KeepStateOptions often{.interval = 1ms};
const CircuitBreakerConfig config{.open_timeout = 30s};

}  // namespace

TEST_CASE("R52: after a restart a breaker that was open stays open for the time it had left") {
    ManualClock clock;
    const auto store = std::make_shared<Store>();
    {
        Registry before{{.clock = &clock}};
        before.keep_state(store, never);
        before.get_or_create("payments", config)->trip("ada", "a drill");
        before.get_or_create("quiet");
        clock.advance(10s);
    }
    clock.advance(1h);  // time does not go on while nobody runs
    Registry after{{.clock = &clock}};
    Heard heard{after};
    after.keep_state(store, never);
    const auto breaker = after.get_or_create("payments", config);
    CHECK(breaker->state() == State::open);
    CHECK(breaker->metrics().retry_after == 20s);
    CHECK(breaker->metrics().trip_count == 1);
    CHECK(breaker->last_trip()->note == "a drill");
    REQUIRE(heard.restored.size() == 1);
    CHECK(heard.restored[0].breaker == breaker);
    CHECK(heard.restored[0].restored.state == State::open);
    CHECK(heard.restored[0].restored.time_left == 20s);
    clock.advance(20s - 1ns);
    CHECK_FALSE(breaker->try_acquire());
    clock.advance(1ns);
    CHECK(breaker->try_acquire());
    // What never left its first state is not kept.
    CHECK(after.get_or_create("quiet")->generation() == 0);
    CHECK(heard.texts.empty());
    CHECK(store->loads == 2);
}

TEST_CASE("R52: a transition is saved at once, by the registry's own thread") {
    const auto store = std::make_shared<Store>();
    Registry registry;
    registry.keep_state(store, never);
    const auto breaker = registry.get_or_create("x", config);
    breaker->force_open("ada", "vendor is down");
    store->wait_for([&] { return store->kept.contains("x") && store->kept["x"].state == State::forced_open; });
    breaker->reset();
    store->wait_for([&] { return store->kept["x"].state == State::closed; });
    CHECK(store->kept["x"].reports.size() == 2);
}

TEST_CASE("R52: the time left of an open breaker is saved at every interval") {
    ManualClock clock;
    const auto store = std::make_shared<Store>();
    Registry registry{{.clock = &clock}};
    registry.keep_state(store, often);
    const auto breaker = registry.get_or_create("x", config);
    breaker->trip();
    store->wait_for([&] { return store->kept.contains("x") && store->kept["x"].time_left == 30s; });
    clock.advance(12s);
    store->wait_for([&] { return store->kept["x"].time_left == 18s; });
    // A restored one's too.
    Registry second{{.clock = &clock}};
    second.keep_state(store, often);
    second.get_or_create("x", config);
    registry.keep_state(nullptr);
    clock.advance(1s);
    store->wait_for([&] { return store->kept["x"].time_left == 17s; });
}

TEST_CASE("R52: no caller waits for the store, and what happens meanwhile is saved once") {
    const auto store = std::make_shared<Store>();
    Registry registry;
    registry.keep_state(store, never);
    const auto breaker = registry.get_or_create("x", config);
    store->block();
    breaker->trip();
    store->wait_until_entered();
    // The store hangs: everything else goes on.
    for (int i = 0; i < 50; ++i) {
        breaker->reset();
        breaker->trip();
        registry.get_or_create("y" + std::to_string(i))->trip();
    }
    CHECK(registry.health_check().open == 51);
    CHECK(store->saves == 0);
    store->release();
    store->wait_for([&] { return store->kept.size() == 51 && store->kept["x"].generation == 101; });
    CHECK(store->saves == 2);
}

TEST_CASE("R52: a store that fails is an event, told once until it works again, and tried again") {
    ManualClock clock;
    const auto store = std::make_shared<Store>();
    Registry registry{{.clock = &clock}};
    Heard heard{registry};
    registry.keep_state(store, often);
    const auto breaker = registry.get_or_create("x", config);
    store->set(&Store::broken, true);
    breaker->trip();
    CHECK(heard.wait_for(1) == std::vector<std::string>{"save: out of order"});
    store->wait_for([&, saves = store->saves.load()] { return store->saves >= saves + 3; });
    store->set(&Store::broken, false);
    CHECK(heard.wait_for(2) == std::vector<std::string>{"save: out of order", "recovered"});
    CHECK(registry.save_now());
    CHECK(store->kept["x"].state == State::open);

    store->set(&Store::throws, true);
    CHECK_FALSE(registry.save_now());
    CHECK(heard.wait_for(3).back() == "save: the state store threw: no connection");
    // Callers notice nothing.
    CHECK_FALSE(breaker->try_acquire());
    store->set(&Store::throws, false);
    heard.wait_for(4);
}

TEST_CASE("R52: a store that cannot be read is an event, and leaves fresh breakers") {
    const auto store = std::make_shared<Store>();
    store->kept["x"] = {.state = State::open, .time_left = 10s};
    store->broken = true;
    Registry registry;
    Heard heard{registry};
    registry.keep_state(store, never);
    CHECK(heard.texts == std::vector<std::string>{"load: out of order"});
    CHECK(registry.get_or_create("x")->state() == State::closed);
    CHECK(registry.get_or_create("x")->try_acquire());
}

TEST_CASE("R52: a snapshot that cannot be is an event, and leaves a fresh breaker") {
    const auto store = std::make_shared<Store>();
    store->kept["x"] = {.state = State::open, .time_left = -1s};
    Registry registry;
    Heard heard{registry};
    registry.keep_state(store, never);
    CHECK(registry.get_or_create("x")->state() == State::closed);
    REQUIRE(heard.texts.size() == 1);
    CHECK(heard.texts[0].find("x: ") != std::string::npos);
    CHECK(heard.texts[0].find("time_left") != std::string::npos);
}

TEST_CASE("R52: removing a breaker drops its state") {
    const auto store = std::make_shared<Store>();
    Registry registry;
    registry.keep_state(store, never);
    registry.get_or_create("x")->trip();
    registry.get_or_create("y")->trip();
    REQUIRE(registry.save_now());
    REQUIRE(store->kept.size() == 2);
    registry.remove("x");
    store->wait_for([&] { return !store->kept.contains("x"); });
    CHECK(registry.get_or_create("x")->state() == State::closed);
    registry.clear();
    store->wait_for([&] { return store->kept.empty(); });
}

TEST_CASE("R52: removing what was not asked for since the restart drops its state too") {
    const auto store = std::make_shared<Store>();
    store->kept["x"] = {.state = State::open, .time_left = 10s, .generation = 1};
    store->kept["y"] = store->kept["x"];
    Registry registry;
    registry.keep_state(store, never);
    CHECK_FALSE(registry.remove("x"));
    CHECK(registry.save_now());
    CHECK_FALSE(store->kept.contains("x"));
    CHECK(store->kept.contains("y"));
    CHECK(registry.get_or_create("x")->state() == State::closed);
}

TEST_CASE("R52: clearing drops the state of what was not asked for since the restart too") {
    const auto store = std::make_shared<Store>();
    store->kept["x"] = {.state = State::open, .time_left = 10s, .generation = 1};
    Registry registry;
    registry.keep_state(store, never);
    registry.clear();
    CHECK(registry.save_now());
    CHECK(store->kept.empty());
    CHECK(registry.get_or_create("x")->state() == State::closed);
}

TEST_CASE("R52: a breaker that was there before the store takes over only what keeps calls away") {
    const auto store = std::make_shared<Store>();
    const auto states = {State::closed,      State::open,     State::half_open,
                         State::forced_open, State::disabled, State::metrics_only};
    Registry registry;
    for (const auto state : states) {
        const std::string name{to_string(state)};
        store->kept[name] = {.state = state, .generation = 5};
        registry.get_or_create(name, config);
    }
    registry.keep_state(store, never);
    for (const auto state : states) {
        const std::string name{to_string(state)};
        INFO(name);
        const bool taken_over = state == State::open || state == State::half_open || state == State::forced_open;
        CHECK((registry.get(name)->generation() != 0) == taken_over);
        CHECK((registry.get(name)->state() != State::closed) == taken_over);
    }
}

TEST_CASE("R52: breakers that were there before the store go on as well, unless they have moved already") {
    ManualClock clock;
    const auto store = std::make_shared<Store>();
    for (const auto* name : {"fresh", "moved"}) {
        store->kept[name] = {.state = State::open, .time_left = 10s, .generation = 5};
    }
    Registry registry{{.clock = &clock}};
    Heard heard{registry};
    const auto fresh = registry.get_or_create("fresh", config);
    const auto moved = registry.get_or_create("moved", config);
    moved->disable();
    registry.keep_state(store, never);
    CHECK(fresh->state() == State::open);
    CHECK(moved->state() == State::disabled);
    CHECK(heard.restored.size() == 1);
    CHECK(registry.save_now());
    CHECK(store->kept["moved"].state == State::disabled);
}

TEST_CASE("R52: another store takes the place of the first, which is written a last time") {
    const auto first = std::make_shared<Store>();
    const auto second = std::make_shared<Store>();
    Registry registry;
    registry.keep_state(first, never);
    registry.get_or_create("x")->trip();
    registry.keep_state(second, never);
    CHECK(first->kept["x"].state == State::open);
    registry.get_or_create("x")->reset();
    CHECK(registry.save_now());
    CHECK(second->kept["x"].state == State::closed);
    CHECK(first->kept["x"].state == State::open);
    registry.keep_state(nullptr);
    CHECK(registry.save_now());
    CHECK(registry.get_or_create("x")->state() == State::closed);
}

TEST_CASE("R52: an interval out of range is refused") {
    Registry registry;
    const auto store = std::make_shared<Store>();
    CHECK_THROWS_WITH(registry.keep_state(store, {.interval = 0s}),
                      "keep_state: interval is 0s, must be greater than 0 and at most 1d");
    CHECK_THROWS_AS(registry.keep_state(store, {.interval = 24h + 1ns}), std::invalid_argument);
    CHECK(store->loads == 0);
}

TEST_CASE("R52: a listener may end the keeping, on the very thread that saves") {
    const auto store = std::make_shared<Store>();
    std::mutex mutex;
    std::condition_variable changed;
    bool ended = false;
    {
        Registry registry;
        const auto subscription = registry.subscribe([&](const RegistryEvent& event) {
            if (!std::holds_alternative<StateSaveFailedEvent>(event)) return;
            registry.keep_state(nullptr);
            const std::lock_guard lock{mutex};
            ended = true;
            changed.notify_all();
        });
        registry.keep_state(store, never);
        store->set(&Store::broken, true);
        registry.get_or_create("x")->trip();
        std::unique_lock lock{mutex};
        REQUIRE(changed.wait_for(lock, 30s, [&] { return ended; }));
    }
    CHECK(store->kept.empty());
}

TEST_CASE("R52: keeping, making, tripping and removing from many threads at once") {
    const auto store = std::make_shared<Store>();
    {
        Registry registry;
        std::vector<std::jthread> workers;
        for (int worker = 0; worker < 3; ++worker) {
            workers.emplace_back([&, worker] {
                for (int i = 0; i < 200; ++i) {
                    const auto name = "b" + std::to_string((i + worker) % 10);
                    registry.get_or_create(name)->trip();
                    if (i % 5 == 0) registry.remove(name);
                    if (i % 50 == 0) registry.save_now();
                }
            });
        }
        workers.emplace_back([&] {
            for (int i = 0; i < 20; ++i) registry.keep_state(i % 3 == 0 ? nullptr : store, often);
        });
        workers.clear();
        registry.keep_state(store, often);
        for (int i = 0; i < 10; ++i) registry.get_or_create("b" + std::to_string(i))->force_open();
    }
    for (int i = 0; i < 10; ++i) CHECK(store->kept["b" + std::to_string(i)].state == State::forced_open);
}

}  // namespace fusebox::test
