// What many breakers take: `registry_bench memory COUNT HOW` weighs them when each was called once (`called`),
// succeeded in two slices of its window (`used`), failed once (`failed`) or tripped once (`tripped`);
// `registry_bench scrape` times scrapes of 1,000 of them and the calls that are made meanwhile. Prints one JSON object;
// run.py makes figures of it.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <fstream>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fusebox/core/manual_clock.hpp>
#include <fusebox/registry/prometheus.hpp>
#include <fusebox/registry/registry.hpp>

#include "pin.hpp"
#include "service_name.hpp"

namespace {

using namespace fusebox;
using namespace std::chrono_literals;

struct Footprint {
    std::int64_t allocated;  // bytes that malloc gave out, with what it keeps beside each piece
    std::int64_t resident;
};
Footprint footprint() {
    const auto heap = mallinfo2();
    std::int64_t pages{};
    std::int64_t resident_pages{};
    std::ifstream{"/proc/self/statm"} >> pages >> resident_pages;
    return {static_cast<std::int64_t>(heap.uordblks + heap.hblkhd), resident_pages * sysconf(_SC_PAGESIZE)};
}

void call(CircuitBreaker& breaker) {
    if (!breaker.call([]() -> std::expected<int, int> { return 1; })) std::abort();
}

void fail(CircuitBreaker& breaker) {
    if (breaker.call([]() -> std::expected<int, int> { return std::unexpected{503}; })) std::abort();
}

// As a dead service does it to its breaker.
void fail_until_open(CircuitBreaker& breaker) {
    while (breaker.state() == State::closed) fail(breaker);
}

// Does this with each of so many breakers, and makes those that are not there yet.
void each(Registry& registry, std::size_t count, void (*once)(CircuitBreaker&)) {
    for (std::size_t i = 0; i < count; ++i) once(*registry.get_or_create(bench::service_name(i)));
}

// Makes breakers and has each do what it is weighed for, so that it has whatever it needs for that.
void use(Registry& registry, ManualClock& clock, std::size_t count, std::string_view how) {
    each(registry, count, how == "failed" ? fail : how == "tripped" ? fail_until_open : call);
    if (how != "used") return;
    // The default window's next slice: what was counted in the last one is put away where it will be forgotten from.
    clock.advance(TimeWindow{}.duration / TimeWindow{}.slices);
    each(registry, count, call);
}

void weigh(std::size_t count, const std::string& how) {
    bench::pin_to_core(0);  // each further core that looks breakers up adds a handle
    ManualClock clock;      // so that slices pass at once, however long a million breakers take
    {
        Registry first{{.clock = &clock}};  // what a process pays once
        use(first, clock, 1, how);
    }
    malloc_trim(0);
    const auto before = footprint();
    Registry registry{{.clock = &clock}};
    use(registry, clock, count, how);
    const auto after = footprint();
    std::printf("{\"breakers\": %zu, \"how\": \"%s\", \"allocated\": %lld, \"resident\": %lld}\n", count, how.c_str(),
                static_cast<long long>(after.allocated - before.allocated),
                static_cast<long long>(after.resident - before.resident));
}

// Calls for `length`, over all breakers in turn; `durations` becomes what each took, in nanoseconds, sorted.
void time_calls(std::vector<std::shared_ptr<CircuitBreaker>>& breakers, std::chrono::nanoseconds length,
                std::vector<std::uint32_t>& durations) {
    durations.clear();
    const auto end = std::chrono::steady_clock::now() + length;
    for (std::size_t i = 0; durations.size() < durations.capacity(); ++i) {
        auto& breaker = *breakers[i % breakers.size()];
        const auto began = std::chrono::steady_clock::now();
        call(breaker);
        const auto ended = std::chrono::steady_clock::now();
        durations.push_back(static_cast<std::uint32_t>((ended - began).count()));
        if (ended > end) break;
    }
    std::sort(durations.begin(), durations.end());
}

struct Phase {
    std::array<std::uint32_t, 3> calls;  // ns at p50, p99 and p99.9
    std::vector<double> scrape_ms;       // what each scrape took
};

// 100 ms of calls, and meanwhile at most so many scrapes, one after the other, on another core.
Phase run_phase(Registry& registry, int scrapes, std::vector<std::uint32_t>& durations) {
    auto breakers = registry.all();
    time_calls(breakers, 10ms, durations);  // what the phase before did to the caches is not of this one
    Phase phase{};
    std::atomic<bool> done{false};
    std::thread scraper{[&] {
        bench::pin_to_core(0);
        for (int i = 0; i < scrapes && !done; ++i) {
            const auto began = std::chrono::steady_clock::now();
            const auto families = RegistryCollectable{registry}.Collect();
            const auto took = std::chrono::steady_clock::now() - began;
            phase.scrape_ms.push_back(std::chrono::duration<double, std::milli>{took}.count());
            if (families.front().metric.size() != breakers.size()) std::abort();
        }
    }};
    time_calls(breakers, 100ms, durations);
    done = true;
    scraper.join();
    const auto at = [&](double share) { return durations[static_cast<std::size_t>(share * (durations.size() - 1))]; };
    phase.calls = {at(0.5), at(0.99), at(0.999)};
    return phase;
}

// What it takes a word to get from one core to the other, in nanoseconds, its cache line taken from the one and read by
// the other: two threads wait for each other's word in turn.
double line_transfer() {
    constexpr int turns = 2'000;
    alignas(64) std::atomic<bool> turn{false};
    std::thread other{[&turn] {
        bench::pin_to_core(0);
        for (int i = 0; i < turns; ++i) {
            while (!turn) continue;
            turn = false;
        }
    }};
    const auto give_turn = [&turn] {
        turn = true;
        while (turn) continue;
    };
    give_turn();  // by now it has begun
    const auto began = std::chrono::steady_clock::now();
    for (int i = 1; i < turns; ++i) give_turn();
    const auto took = std::chrono::steady_clock::now() - began;
    other.join();
    return std::chrono::duration<double, std::nano>{took}.count() / (2 * (turns - 1));
}

// Rounds of three phases: without scrapes, with one (ten a second), with one after the other; in an order drawn by lot.
// Prints {"rounds": [[PHASE, PHASE, PHASE], …], "line_ns": […]}, a phase being {"calls": [ns, …], "scrape_ms": […]},
// and a word's way from core to core measured after each round.
void scrape() {
    constexpr std::array scrapes{0, 1, std::numeric_limits<int>::max()};
    constexpr int rounds = 20;
    Registry registry;

    bench::pin_to_core(1);  // the breakers are made and first called where they go on being called
    each(registry, 1'000, call);
    std::vector<std::uint32_t> durations;
    durations.reserve(4'000'000);
    std::mt19937 random{1};
    std::array<std::size_t, scrapes.size()> order{0, 1, 2};
    std::vector<double> line_ns;
    std::printf("{\"rounds\": [");
    for (int round = 0; round < rounds; ++round) {
        std::shuffle(order.begin(), order.end(), random);
        std::array<Phase, scrapes.size()> phases;
        for (const auto kind : order) phases[kind] = run_phase(registry, scrapes[kind], durations);
        for (std::size_t kind = 0; kind < phases.size(); ++kind) {
            const auto& [calls, scrape_ms] = phases[kind];
            std::printf("%s{\"calls\": [%u, %u, %u], \"scrape_ms\": [",
                        kind > 0    ? ", "
                        : round > 0 ? ", ["
                                    : "[",
                        calls[0], calls[1], calls[2]);
            for (std::size_t i = 0; i < scrape_ms.size(); ++i) std::printf("%s%.3f", i > 0 ? ", " : "", scrape_ms[i]);
            std::printf("]}");
        }
        std::printf("]");
        line_ns.push_back(line_transfer());
    }
    std::printf("], \"line_ns\": [");
    for (std::size_t i = 0; i < line_ns.size(); ++i) std::printf("%s%.1f", i > 0 ? ", " : "", line_ns[i]);
    std::printf("]}\n");
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const std::string how = argc == 4 ? argv[3] : "";
    std::size_t count{};
    if (what == "scrape" && argc == 2) {
        scrape();
    } else if (what == "memory" && argc == 4 &&
               std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), count).ec == std::errc{} && count > 0 &&
               (how == "called" || how == "used" || how == "failed" || how == "tripped")) {
        weigh(count, how);
    } else {
        std::fprintf(stderr, "usage: registry_bench memory COUNT called|used|failed|tripped | registry_bench scrape\n");
        return 2;
    }
}
