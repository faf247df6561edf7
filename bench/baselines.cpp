// What the machine itself charges.
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>

#include <fusebox/core/detail/tick_clock.hpp>

#include "rows.hpp"

namespace fusebox::bench {
namespace {

// A call that the compiler can neither see into nor leave out.
[[gnu::noinline]] int call_nothing() {
    asm volatile("");
    return 1;
}

// Each alone on its cache line.
struct alignas(64) Shared {
    std::atomic<std::uint64_t> count{};
};
struct alignas(64) Guarded {
    std::mutex mutex;
    std::uint64_t count{};  // guarded by mutex
};
struct Nothing {};
struct Products {
    struct alignas(64) Product {
        std::uint64_t value{1};
    };
    std::array<Product, 2> of_thread{};
};

}  // namespace

void add_baseline_rows() {
    add_rows("baseline/noop", std::make_unique<Nothing>,
             [](Nothing&, std::size_t) { benchmark::DoNotOptimize(call_nothing()); });
    add_rows("baseline/steady_clock", std::make_unique<Nothing>,
             [](Nothing&, std::size_t) { benchmark::DoNotOptimize(std::chrono::steady_clock::now()); });
    add_rows("baseline/steady_clock_pair", std::make_unique<Nothing>, [](Nothing&, std::size_t) {
        benchmark::DoNotOptimize(std::chrono::steady_clock::now());
        benchmark::DoNotOptimize(std::chrono::steady_clock::now());
    });
    add_rows("baseline/tsc_pair", std::make_unique<Nothing>, [](Nothing&, std::size_t) {
        // As a timed call reads it. Where no counter is known this is nothing, and the guard goes by steady_clock_pair.
        benchmark::DoNotOptimize(detail::processor_ticks());
        benchmark::DoNotOptimize(detail::processor_ticks());
    });
    add_rows("baseline/fetch_add", std::make_unique<Shared>, [](Shared& shared, std::size_t) {
        // relaxed: orders nothing, that is what is measured.
        shared.count.fetch_add(1, std::memory_order_relaxed);
    });
    add_rows("baseline/cycles100", std::make_unique<Products>, [](Products& products, std::size_t step) {
        // Each multiplication waits for the one before, also for the last one of the operation before: 32 times the 3
        // cycles that it takes on the x86 and Arm processors of these years, and some 4 to write the product and read
        // it again.
        constexpr int multiplications = 32;
        auto product = products.of_thread[step / second_thread].value;
        for (int i = 0; i < multiplications; ++i) {
            product *= 0x9E37'79B9'7F4A'7C15U;
            asm volatile("" : "+r"(product));  // the next one cannot be joined with this one
        }
        products.of_thread[step / second_thread].value = product;
        benchmark::ClobberMemory();
    });
    add_rows("baseline/mutex", std::make_unique<Guarded>, [](Guarded& guarded, std::size_t) {
        const std::scoped_lock lock{guarded.mutex};
        benchmark::DoNotOptimize(++guarded.count);
    });
}

}  // namespace fusebox::bench
