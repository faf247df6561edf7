// Many breakers under their names.
#include <cstddef>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <fusebox/registry/prometheus.hpp>
#include <fusebox/registry/registry.hpp>

#include "rows.hpp"
#include "service_name.hpp"

namespace fusebox::bench {
namespace {

// A registry, and what it is asked for: its names at random, one after the other in memory, so that a look-up misses
// the cache where a real one would, and finding out what to ask for does not. Each thread asks in an order of its own:
// in the same one they would meet all the time, or never.
struct Named {
    explicit Named(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) (void)registry.get_or_create(service_name(i));
        std::mt19937 random{1};
        std::uniform_int_distribution<std::size_t> any{0, count - 1};
        for (std::size_t i = 0; i < 2 * questions; ++i) text.append(service_name(any(random)));
    }
    [[nodiscard]] std::string_view name(std::size_t step) const {
        const auto thread = step / second_thread;
        return {text.data() + (thread * questions + step % questions) * length, length};
    }

    static constexpr std::size_t questions = 1U << 14U;
    Registry registry;
    std::string text;
    std::size_t length = service_name(0).size();
};

}  // namespace

void add_registry_rows() {
    add_rows(
        "lookup/10000", [] { return std::make_unique<Named>(std::size_t{10'000}); },
        [](Named& named, std::size_t step) { benchmark::DoNotOptimize(named.registry.get(named.name(step))); });
    // The parts of a scrape: the same families made once more, by a copy.
    add_rows(
        "parts/families",
        [] {
            const Named named{1'000};
            return std::make_unique<std::vector<prometheus::MetricFamily>>(
                RegistryCollectable{named.registry}.Collect());
        },
        [](const std::vector<prometheus::MetricFamily>& families, std::size_t) {
            benchmark::DoNotOptimize(std::vector<prometheus::MetricFamily>{families});
        });
    add_rows(
        "scrape/1000", [] { return std::make_unique<Named>(std::size_t{1'000}); },
        [](Named& named, std::size_t) { benchmark::DoNotOptimize(RegistryCollectable{named.registry}.Collect()); });
    add_rows(
        "scrape_text/1000", [] { return std::make_unique<Named>(std::size_t{1'000}); },
        [](Named& named, std::size_t) { benchmark::DoNotOptimize(prometheus_text(named.registry)); });
}

}  // namespace fusebox::bench
