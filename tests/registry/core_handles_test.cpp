#include "core_handles.hpp"

#include <catch2/catch.hpp>

#include <sched.h>

#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include <fusebox/registry/endpoint_breakers.hpp>
#include <fusebox/registry/registry.hpp>

namespace fusebox {
namespace {

using namespace std::chrono_literals;
using detail::CoreHandles;

// Calls `look(…)` on each of the cores that this process may use, one after the other.
template <class Look>
std::size_t on_each_core(Look look) {
    cpu_set_t allowed;
    REQUIRE(sched_getaffinity(0, sizeof allowed, &allowed) == 0);
    std::size_t cores = 0;
    for (int core = 0; core < CPU_SETSIZE; ++core) {
        if (!CPU_ISSET(core, &allowed)) continue;
        ++cores;
        std::thread{[&] {
            cpu_set_t one;
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            sched_setaffinity(0, sizeof one, &one);
            look();
        }}.join();
    }
    return cores;
}

TEST_CASE("R61: each core but the first has a count of its own for the breakers that it looks up") {
    CoreHandles handles;
    const auto breaker = std::make_shared<CircuitBreaker>("payments");
    CHECK_FALSE(handles.wants_more(3));  // the first
    CHECK_FALSE(handles.wants_more(3));
    REQUIRE(handles.wants_more(5));
    handles.add(5, breaker);
    CHECK(handles.find(3, "payments") == nullptr);
    const auto* handle = handles.find(5, "payments");
    REQUIRE(handle != nullptr);
    CHECK(*handle == breaker);
    CHECK(handle->use_count() == 1);
    handles.add(5, breaker);
    CHECK(handles.find(5, "payments") == handle);
    CHECK(handles.find(5, "mail") == nullptr);
}

TEST_CASE("R63: a breaker is held by whoever holds a copy of any handle, and by no handle itself") {
    CoreHandles handles;
    const auto entry = std::make_shared<CircuitBreaker>("payments");  // as the registry holds it
    CHECK(handles.holders(entry) == 0);
    handles.add(1, entry);
    handles.add(2, entry);
    CHECK(handles.holders(entry) == 0);
    auto plain = entry;
    auto of_first = *handles.find(1, "payments");
    auto of_second = *handles.find(2, "payments");
    CHECK(handles.holders(entry) == 3);
    of_first.reset();
    plain.reset();
    CHECK(handles.holders(entry) == 1);
    of_second.reset();
    CHECK(handles.holders(entry) == 0);
}

TEST_CASE("R65: a breaker whose handles are removed goes with the last copy of any") {
    CoreHandles handles;
    auto entry = std::make_shared<CircuitBreaker>("payments");
    const std::weak_ptr<CircuitBreaker> watch = entry;
    handles.add(1, entry);
    auto copy = *handles.find(1, "payments");
    const std::weak_ptr<CircuitBreaker> of_copy = copy;
    handles.remove("payments");
    CHECK(handles.find(1, "payments") == nullptr);
    entry.reset();
    CHECK(copy->name() == "payments");
    copy.reset();
    CHECK(watch.expired());
    CHECK(of_copy.expired());
}

TEST_CASE("R61: a core keeps no more handles than its share, and does without the rest") {
    CoreHandles handles;
    CHECK_FALSE(handles.wants_more(0));
    std::vector<std::shared_ptr<CircuitBreaker>> breakers;
    while (handles.wants_more(1)) {
        REQUIRE(breakers.size() < 20'000);
        breakers.push_back(std::make_shared<CircuitBreaker>("b" + std::to_string(breakers.size())));
        handles.add(1, breakers.back());
    }
    CHECK(breakers.size() == 12'288);
    handles.remove("b0");
    CHECK(handles.wants_more(1));
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
}  // namespace fusebox
