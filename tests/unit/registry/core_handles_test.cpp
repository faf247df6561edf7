#include "lookup/core_handles.hpp"

#include "support/allocations/allocations.hpp"
#include "support/catch.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fusebox/registry/endpoint_breakers.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox::test {
namespace {

using namespace std::chrono_literals;
using detail::CoreHandles;
using detail::StripedSharedMutex;
using Shared = StripedSharedMutex::Shared;

// Those that this process may use.
std::vector<int> all_cores() {
    cpu_set_t allowed;
    REQUIRE(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    std::vector<int> cores;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
        if (CPU_ISSET(core, &allowed)) cores.push_back(core);
    }
    return cores;
}

template <class Look>
std::thread on_core(int core, Look look) {
    return std::thread{[core, look] {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        sched_setaffinity(0, sizeof one, &one);
        look();
    }};
}

// Calls `look()` on each core, one after the other.
template <class Look>
std::size_t on_each_core(Look look) {
    const auto cores = all_cores();
    for (const int core : cores) on_core(core, [&] { look(); }).join();
    return cores.size();
}

// Handles whose first core is `first`, and their lock.
struct Cores {
    StripedSharedMutex mutex;
    CoreHandles handles;

    explicit Cores(std::size_t first) { CHECK_FALSE(of(first)); }
    CoreHandles::OfCore of(std::size_t core) { return handles.of_core(Shared{mutex, core}); }
};

TEST_CASE("R61: each core but the first has a count of its own for the breakers that it looks up") {
    Cores cores{3};
    const auto breaker = std::make_shared<CircuitBreaker>("payments");
    CHECK_FALSE(cores.of(3));
    CHECK(&cores.of(3).handle_to(breaker) == &breaker);
    const auto fifth = cores.of(5);
    REQUIRE(fifth);
    CHECK(fifth.find("payments") == nullptr);
    const auto& handle = fifth.handle_to(breaker);
    CHECK(handle == breaker);
    CHECK(handle.use_count() == 1);
    CHECK(fifth.find("payments") == &handle);
    CHECK(&fifth.handle_to(breaker) == &handle);
    CHECK(fifth.find("mail") == nullptr);
    CHECK(cores.of(6).find("payments") == nullptr);
}

TEST_CASE("R61: of those that look up on a core at the same time one at most uses its handles") {
    Cores cores{0};
    std::optional<Shared> early(std::in_place, cores.mutex, 1);
    CHECK(cores.handles.of_core(*early));
    {
        const Shared late{cores.mutex, 1};
        CHECK_FALSE(cores.handles.of_core(late));
        early.reset();
        CHECK_FALSE(cores.of(1));  // late is still there
        CHECK(cores.of(2));
    }
    CHECK(cores.of(1));
}

TEST_CASE("R61: a core without memory for a handle does without") {
    Cores cores{0};
    const auto handles = cores.of(1);
    const auto entry = std::make_shared<CircuitBreaker>("payments");
    if (allocations_are_counted()) {
        const std::shared_ptr<CircuitBreaker>* found = nullptr;
        {
            const NoMemory none;
            found = &handles.handle_to(entry);
        }
        CHECK(found == &entry);
    }
    CHECK(&handles.handle_to(entry) != &entry);
}

TEST_CASE("R63: a breaker is held by whoever holds a copy of any handle, and by no handle itself") {
    Cores cores{0};
    const auto entry = std::make_shared<CircuitBreaker>("payments");  // as the registry holds it
    CHECK(cores.handles.holders(entry) == 0);
    const auto& first = cores.of(1).handle_to(entry);
    const auto& second = cores.of(2).handle_to(entry);
    CHECK(cores.handles.holders(entry) == 0);
    auto plain = entry;
    auto of_first = first;
    auto of_second = second;
    CHECK(cores.handles.holders(entry) == 3);
    of_first.reset();
    plain.reset();
    CHECK(cores.handles.holders(entry) == 1);
    of_second.reset();
    CHECK(cores.handles.holders(entry) == 0);
}

TEST_CASE("R65: a breaker whose handles are removed goes with the last copy of any") {
    Cores cores{0};
    auto entry = std::make_shared<CircuitBreaker>("payments");
    const std::weak_ptr<CircuitBreaker> watch = entry;
    auto copy = cores.of(1).handle_to(entry);
    const std::weak_ptr<CircuitBreaker> of_copy = copy;
    cores.handles.remove("payments");
    CHECK(cores.of(1).find("payments") == nullptr);
    entry.reset();
    CHECK(copy->name() == "payments");
    copy.reset();
    CHECK(watch.expired());
    CHECK(of_copy.expired());
}

TEST_CASE("R61: a core keeps no more handles than its share, and does without the rest") {
    Cores cores{0};
    const auto handles = cores.of(1);
    std::vector<std::shared_ptr<CircuitBreaker>> breakers;
    const auto adds_another = [&] {
        breakers.push_back(std::make_shared<CircuitBreaker>("b" + std::to_string(breakers.size())));
        return &handles.handle_to(breakers.back()) != &breakers.back();
    };
    while (adds_another()) REQUIRE(breakers.size() < 20'000);
    CHECK(breakers.size() == 12'289);
    CHECK(handles.find("b12288") == nullptr);
    cores.handles.remove("b0");
    CHECK(adds_another());
}

TEST_CASE("R61, R65: every core finds the same breaker, and none finds a removed one") {
    Registry registry;
    auto made = registry.get_or_create("payments");
    const std::weak_ptr<CircuitBreaker> watch = made;
    std::vector<std::shared_ptr<CircuitBreaker>> found;
    const auto look_twice = [&] {
        for (int look = 0; look < 2; ++look) {
            found.push_back(registry.get("payments"));
            found.push_back(registry.get_or_create("payments"));
        }
    };
    const auto cores = on_each_core(look_twice);
    REQUIRE(found.size() == 4 * cores);
    for (const auto& one : found) CHECK(one == made);

    REQUIRE(registry.remove("payments"));
    on_each_core([&] { CHECK(registry.get("payments") == nullptr); });
    CHECK(registry.get_or_create("payments") != made);
    made.reset();
    CHECK_FALSE(watch.expired());
    found.clear();
    CHECK(watch.expired());
}

TEST_CASE("R61: those who ask with a configuration get their core's handle too") {
    Registry registry;
    const CircuitBreakerConfig config;
    const auto made = registry.get_or_create("payments", config);
    on_each_core([&] {
        const auto found = registry.get("payments");
        const auto again = registry.get_or_create("payments", config);
        CHECK(again == made);
        CHECK_FALSE(again.owner_before(found));
        CHECK_FALSE(found.owner_before(again));
    });
}

TEST_CASE("R61, R65: no core finds a removed breaker while others look up, make and remove the same names") {
    struct Owned {
        std::string name;
        std::atomic<const CircuitBreaker*> gone{nullptr};  // removed, and not destroyed before the end
        std::vector<std::shared_ptr<CircuitBreaker>> made{};
    };
    Registry registry;
    std::deque<Owned> all;
    std::atomic<int> stale{0};
    std::atomic<int> wrong{0};
    const auto end = std::chrono::steady_clock::now() + 200ms;
    const auto make_and_remove = [&](Owned& own) {
        for (int round = 0; round == 0 || (round < 1'000 && std::chrono::steady_clock::now() < end); ++round) {
            own.made.push_back(registry.get_or_create(own.name));
            if (registry.get(own.name) != own.made.back()) ++wrong;
            for (auto& one : all) {
                const auto* const gone = one.gone.load();
                const auto found = round % 2 == 0 ? registry.get(one.name) : registry.get_or_create(one.name);
                if (found && found.get() == gone) ++stale;
                if (found && found->name() != one.name) ++wrong;
            }
            registry.remove(own.name);
            own.gone = own.made.back().get();
        }
    };
    // Two on each core, so that one may come in the midst of the other's look-up.
    const auto cores = all_cores();
    for (std::size_t i = 0; i < 2 * cores.size(); ++i) all.emplace_back("b" + std::to_string(i));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < all.size(); ++i) {
        threads.push_back(on_core(cores[i / 2], [&, i] { make_and_remove(all[i]); }));
    }
    for (auto& thread : threads) thread.join();
    CHECK(stale == 0);
    CHECK(wrong == 0);

    std::vector<std::weak_ptr<CircuitBreaker>> watches;
    for (auto& one : all) {
        REQUIRE_FALSE(one.made.empty());
        watches.assign(one.made.begin(), one.made.end());
        registry.remove(one.name);
        one.made.clear();
        CHECK(std::ranges::all_of(watches, [](const auto& watch) { return watch.expired(); }));
    }
}

TEST_CASE("R63: an endpoint that was looked up on every core is evicted once nobody holds it") {
    Registry registry;
    EndpointBreakers endpoints{registry, {.prefix = "api", .idle_timeout = 1s}};
    (void)endpoints.get("a");
    std::shared_ptr<CircuitBreaker> held;
    on_each_core([&] {
        (void)registry.get("api/a");
        held = registry.get("api/a");
    });
    const auto later = steady_clock().now() + 1h;
    CHECK(endpoints.evict_idle(later) == 0);
    held.reset();
    CHECK(endpoints.evict_idle(later) == 1);
    CHECK(registry.get("api/a") == nullptr);
}

}  // namespace
}  // namespace fusebox::test
