// What many breakers take: `registry_bench memory COUNT` weighs them when each was called once (or, with `failed` or
// `tripped` after it, has failed once or tripped once), `registry_bench scrape` times scrapes of 1,000 of them and the calls
// that are made meanwhile. Prints one JSON object; run.py makes figures of it.
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <expected>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fusebox/registry/metrics_text.hpp>
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

// Makes breakers, and does this with each, so that it has whatever it needs for that.
void use(Registry& registry, std::size_t count, void (*once)(CircuitBreaker&) = call) {
    for (std::size_t i = 0; i < count; ++i) {
        once(*registry.get_or_create(bench::service_name(i)));
    }
}

void weigh(std::size_t count, const char* how, void (*once)(CircuitBreaker&)) {
    {
        Registry first;  // what a process pays once, for instance for calibrating a clock
        use(first, 1, once);
    }
    malloc_trim(0);
    const auto before = footprint();
    Registry registry;
    use(registry, count, once);
    const auto after = footprint();
    std::printf("{\"breakers\": %zu, \"how\": \"%s\", \"allocated\": %lld, \"resident\": %lld}\n", count, how,
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

// Phases of 100 ms, without scrapes and with one scrape after the other, alternate; caller and scraper each have a core.
void scrape() {
    constexpr std::size_t breakers = 1'000;
    constexpr int rounds = 20;
    Registry registry;
    use(registry, breakers);
    auto all = registry.all();

    std::atomic<bool> scraping{false};
    std::atomic<bool> done{false};
    std::vector<double> scrapes;
    std::thread scraper{[&] {
        bench::pin_to_core(0);
        while (!done) {
            if (!scraping) {
                std::this_thread::sleep_for(1ms);
                continue;
            }
            const auto began = std::chrono::steady_clock::now();
            const auto text = prometheus_text(registry);
            scrapes.push_back(
                std::chrono::duration<double, std::milli>{std::chrono::steady_clock::now() - began}.count());
            if (text.size() < breakers) std::abort();
        }
    }};

    bench::pin_to_core(1);
    std::vector<std::uint32_t> durations;
    durations.reserve(4'000'000);
    time_calls(all, 100ms, durations);  // warm
    const auto phase = [&](bool with) {
        scraping = with;
        std::this_thread::sleep_for(10ms);
        time_calls(all, 100ms, durations);
        const auto at = [&](double share) {
            return durations[static_cast<std::size_t>(share * (durations.size() - 1))];
        };
        std::printf("[%u, %u, %u]", at(0.5), at(0.99), at(0.999));
    };
    std::printf("{\"quiet_and_scraping\": [");
    for (int round = 0; round < rounds; ++round) {
        std::printf("%s[", round == 0 ? "" : ", ");
        phase(false);
        std::printf(", ");
        phase(true);
        std::printf("]");
    }
    done = true;
    scraper.join();
    std::printf("], \"scrape_ms\": [");
    for (std::size_t i = 0; i < scrapes.size(); ++i) std::printf("%s%.3f", i == 0 ? "" : ", ", scrapes[i]);
    std::printf("]}\n");
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const std::string how = argc == 4 ? argv[3] : "used";
    std::size_t count{};
    if (what == "scrape" && argc == 2) {
        scrape();
    } else if (what == "memory" && (argc == 3 || argc == 4) &&
               std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), count).ec == std::errc{} && count > 0 &&
               (how == "used" || how == "failed" || how == "tripped")) {
        weigh(count, how.c_str(), how == "used" ? call : how == "failed" ? fail : fail_until_open);
    } else {
        std::fprintf(stderr, "usage: registry_bench memory COUNT [used|failed|tripped] | registry_bench scrape\n");
        return 2;
    }
}
